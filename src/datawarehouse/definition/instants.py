"""Text, numbers and instants -> timestamps (milliseconds) and dates (days) since 1970-01-01, UTC.

Sources: Firehose developer guide, "Convert input data format" (OpenX SerDe); Athena stores timestamps in
milliseconds.

    timestamp   yyyy-M-d H:m:s[.f]            fields of one or two digits
                yyyy-MM-ddTHH:mm:ss[.f][Z]    fields of two digits
                a number, or a number as a string: seconds below 10^12, milliseconds from there on
    date        yyyy-M-d

Digits below a millisecond must be zeros, and offsets other than Z and years outside 1 to 9999 are refused, because the
value could not be stored without a silent change.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from decimal import Context, Decimal, InvalidOperation

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")
_SPACED = re.compile(r"(\d{4})-(\d\d?)-(\d\d?) (\d\d?):(\d\d?):(\d\d?)(?:\.(\d{1,9}))?", re.ASCII)
_STRICT = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?Z?", re.ASCII)
_DATE = re.compile(r"(\d{4})-(\d\d?)-(\d\d?)", re.ASCII)

TIMESTAMP_FORMS = (
    "'yyyy-MM-dd HH:mm:ss[.fff]', 'yyyy-MM-ddTHH:mm:ss[.fff][Z]' in UTC, or seconds or milliseconds since 1970"
)
DATE_FORMS = "'yyyy-MM-dd'"

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY = date(1970, 1, 1).toordinal()
MIN_MS = (date(1, 1, 1).toordinal() - _EPOCH_DAY) * 86_400_000
MAX_MS = (date(9999, 12, 31).toordinal() + 1 - _EPOCH_DAY) * 86_400_000 - 1
_MILLISECONDS_FROM = 10**12
_NUMBER_CHARACTERS_MAX = 64
_EXACT = Context(prec=2 * _NUMBER_CHARACTERS_MAX)


def instant_of(milliseconds: int) -> datetime:
    """The instant, in UTC, that is this many milliseconds after 1970-01-01T00:00:00Z."""
    return EPOCH + timedelta(milliseconds=milliseconds)


def written(milliseconds: int) -> str:
    """The same instant in ISO 8601, UTC."""
    return instant_of(milliseconds).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def milliseconds_of(instant: datetime) -> int:
    """Whole milliseconds from 1970-01-01T00:00:00Z to an instant; one without a zone is in UTC."""
    in_zone = instant if instant.tzinfo else instant.replace(tzinfo=UTC)
    return (in_zone - EPOCH) // timedelta(milliseconds=1)


def is_number(text: str) -> bool:
    """Whether `text` is a number as JSON writes it."""
    return _NUMBER.fullmatch(text) is not None


def timestamp_ms(text: str) -> int | None:
    """The timestamp in `text`, or None if it is not one."""
    match = _STRICT.fullmatch(text) or _SPACED.fullmatch(text)
    if match:
        fraction = (match[7] or "").ljust(9, "0")
        if fraction[3:] != "000000":
            return None
        try:
            instant = datetime(*map(int, match.groups()[:6]), tzinfo=UTC)  # type: ignore[arg-type, misc]
        except ValueError:
            return None
        seconds = (
            (instant.toordinal() - _EPOCH_DAY) * 86_400 + instant.hour * 3600 + instant.minute * 60 + instant.second
        )
        return seconds * 1000 + int(fraction[:3])
    return epoch_ms(text) if is_number(text) else None


def exact_number(text: str) -> Decimal | None:
    """The value of a number as JSON writes it; None if its exponent is too large for any column."""
    try:
        return Decimal(text)
    except InvalidOperation:
        return None


def epoch_ms(number: str) -> int | None:
    """The timestamp that a number, as JSON writes it, stands for; None if it has no exact one."""
    if len(number) > _NUMBER_CHARACTERS_MAX:
        return None
    value = exact_number(number)
    if value is None or value.adjusted() > 18:
        return None
    if value.copy_abs() < _MILLISECONDS_FROM:
        value = _EXACT.multiply(value, Decimal(1000))
    return int(value) if value == value.to_integral_value() and MIN_MS <= value <= MAX_MS else None


def date_days(text: str) -> int | None:
    """The date in `text`, or None if it is not one."""
    match = _DATE.fullmatch(text)
    try:
        return date(int(match[1]), int(match[2]), int(match[3])).toordinal() - _EPOCH_DAY if match else None
    except ValueError:
        return None
