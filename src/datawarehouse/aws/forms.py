"""What the same events cost a day in each format of their tables, one in a record and packed. Pure.

Parquet, packed, is several JSON objects in a record: Firehose's documentation accepts them as the input of its
conversion, and nobody has published a test of it. What Firehose bills for the records in an aggregate of the Kinesis
Producer Library is published for neither format: for Parquet each may be rounded up, so that aggregates are not counted
as a saving there; for Iceberg nothing is rounded, and the bytes of events are counted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from datawarehouse.aws.cost import Assumptions, Line, Price, Prices, StreamLoad, bill, packed_stream, total_usd
from datawarehouse.definition.tables import HIVE, ICEBERG

PARQUET, PARQUET_PACKED, ICEBERG_PLAIN, ICEBERG_PACKED = "Parquet", "Parquet packed", "Iceberg", "Iceberg packed"
FORMS = {
    PARQUET: (HIVE, False),
    PARQUET_PACKED: (HIVE, True),
    ICEBERG_PLAIN: (ICEBERG, False),
    ICEBERG_PACKED: (ICEBERG, True),
}
"""The format of the tables, and whether producers pack events."""
WORTH_USD_PER_DAY = 1
"""What another form than Parquet must save to be chosen."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The form that is recommended. usd: of a day. less_usd: than Parquet."""

    form: str
    usd: Fraction
    less_usd: Fraction


def side_by_side(
    streams: Sequence[StreamLoad], assumptions: Assumptions, prices: Prices
) -> Mapping[str, Sequence[Line]]:
    """The bill of a day for each form, all streams in that form."""
    unit_bytes = prices.of["kinesis_put_units"].record_rounding_bytes

    def in_form(stream: StreamLoad, table_format: str, is_packed: bool) -> StreamLoad:
        plain = replace(stream, table_format=table_format, events_per_record=1)
        return packed_stream(plain, unit_bytes, assumptions.headroom) if is_packed else plain

    return {
        name: bill([in_form(stream, *form) for stream in streams], assumptions, prices) for name, form in FORMS.items()
    }


def dollars(bills: Mapping[str, Sequence[Line]], prices: Prices) -> Mapping[Price, Mapping[str, Fraction]]:
    """Dollars a day by price and form, in the order of the price file, without the prices that nothing is paid for."""
    paid = {form: {line.price: line.usd for line in lines if line.usd} for form, lines in bills.items()}
    by_price = {price: {form: of[price] for form, of in paid.items() if price in of} for price in prices.of.values()}
    return {price: by_form for price, by_form in by_price.items() if by_form}


def rests_on(price: Price) -> str:
    """What a line of a bill rests on: the price, and the quantity if it does not follow from the load alone."""
    source = "secondary source" if price.confirmed else "no source"
    return f"{source}, quantity {price.quantity}" if price.quantity else source


def choice(bills: Mapping[str, Sequence[Line]]) -> Choice:
    """The cheapest form whose packing is documented; Parquet, which most people run, unless it saves a dollar a day."""
    totals = {form: total_usd(lines) for form, lines in bills.items() if form != PARQUET_PACKED}
    cheapest = min(totals, key=lambda form: totals[form])
    less = totals[PARQUET] - totals[cheapest]
    return (
        Choice(cheapest, totals[cheapest], less)
        if less >= WORTH_USD_PER_DAY
        else Choice(PARQUET, totals[PARQUET], Fraction(0))
    )
