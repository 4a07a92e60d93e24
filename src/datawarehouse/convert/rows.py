"""Records -> rows and rejects: the fast path for plain records, the exact rules for the rest. Pure.

A record converts whole or is rejected whole. Rows are in the order of their records, except that the rows of records
which needed the exact rules are after the other rows of their group.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pyarrow as pa

from datawarehouse.convert.fast import FastPath
from datawarehouse.convert.literals import keys_are_single, literals, value_of
from datawarehouse.definition.coercion import by_name, members, rule_for
from datawarehouse.definition.documents import Object, documents, twice
from datawarehouse.definition.rejects import MALFORMED_DATA, PARSE_ERROR, Reason, Reject
from datawarehouse.definition.tables import Column
from datawarehouse.definition.unknown_keys import unknown_inside, unknown_keys
from datawarehouse.journal.aggregate import MAGIC, NotAnAggregate, user_records
from datawarehouse.parquet.schema import arrow_schema

_TOO_DEEP = (PARSE_ERROR, "values nested at most about 500 levels", "a deeper value")

log = logging.getLogger("datawarehouse")

GROUP_RECORDS = 700  # enough to spread the cost of a call, few enough to fit into the processor's cache


_Exact = tuple[int, list[tuple[Any, ...]], list[str]]
"""A record that needed the exact rules: its place in the group, its rows, and its keys that no column has."""


@dataclass
class Rows:
    """The result for a group of records. `rejects` are (place in the group, reason); `unknown_keys` says how often the
    records that became rows had keys that no column has."""

    batches: list[pa.RecordBatch] = field(default_factory=list)
    rejects: list[tuple[int, Reason]] = field(default_factory=list)
    unknown_keys: Counter[str] = field(default_factory=Counter)

    @property
    def row_count(self) -> int:
        return sum(batch.num_rows for batch in self.batches)


class RowConverter:
    """Converts records to rows of these columns."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self.schema = arrow_schema(columns)
        self._names = [column.name for column in columns]
        self._keys = [column.json_key for column in columns]
        self._unknown_keys = unknown_keys([(column.json_key, column.type) for column in columns])
        self._inner = [
            (place, column.json_key, find)
            for place, column in enumerate(columns)
            if (find := unknown_inside(column.type))
        ]
        self._rules = [rule_for(column.type) for column in columns]
        self._rule_of = dict(zip(self._keys, self._rules, strict=True))
        self._name_of = dict(zip(self._keys, self._names, strict=True))
        self._only = {key: _decoder_of(key) for key in self._keys}
        self._fast = FastPath(columns)

    def convert(self, records: Sequence[bytes], joined: bytes | None = None) -> Rows:
        """Convert a group of records; about GROUP_RECORDS of them is best.

        joined: the same bytes in one piece, if the caller has them in this form.
        """
        try:
            batch, others, unknown = self._fast.convert(records, b"".join(records) if joined is None else joined)
        except Exception:  # an error in the fast path must not stop the table: use the exact rules
            log.exception("the fast conversion failed; going record by record")
            batch, others, unknown = arrow_rows([], self.schema), dict.fromkeys(range(len(records))), {}
        rows = Rows([batch] if batch.num_rows else [], unknown_keys=Counter(unknown))
        exact: list[_Exact] = []
        for place, finding in others.items():
            if isinstance(finding, Reason):
                rows.rejects.append((place, finding))
                continue
            if finding is not None and finding in self._rule_of:
                found = self._fault(records[place], finding)
                if found:
                    rows.rejects.append((place, found))
                    continue
            try:
                packed = self._packed(records[place])
                if packed:
                    rows.batches.append(packed[0])
                    rows.unknown_keys.update(packed[1])
                else:
                    exact.append((place, *self._exact(records[place])))
            except Reject as reject:
                rows.rejects.append((place, reject.reason))
            except RecursionError:
                rows.rejects.append((place, Reason(*_TOO_DEEP)))
            except Exception as error:
                rows.rejects.append((place, _unforeseen(error)))
        if exact:
            try:
                rows.batches.append(arrow_rows([row for _, found, _ in exact for row in found], self.schema))
                rows.unknown_keys.update([key for _, _, keys in exact for key in keys])
            except Exception:
                self._one_by_one(exact, rows)
        return rows

    def _one_by_one(self, exact: list[_Exact], rows: Rows) -> None:
        """Convert rows that Arrow refused together, separately for each record."""
        for place, found, keys in exact:
            try:
                rows.batches.append(arrow_rows(found, self.schema))
                rows.unknown_keys.update(keys)
            except Exception as error:
                rows.rejects.append((place, _unforeseen(error)))

    def _exact(self, record: bytes) -> tuple[list[tuple[Any, ...]], list[str]]:
        """The same as `exact`, but faster for most records; and the keys that no column has."""
        found = literals(record)
        keys: list[str] = []
        if found is None or not keys_are_single(record, found):
            read = _read(record)
            for document in read:
                self._unknown_keys(document, "", keys)
            return self._rows_of(read), keys
        lowered = {name.lower(): literal for name, literal in found.items()}
        if len(lowered) != len(found):
            raise twice([name.lower() for name in found])
        values = [value_of(lowered.get(key)) for key in self._keys]
        if not lowered.keys() <= self._rule_of.keys():
            keys += [name for name in found if name.lower() not in self._rule_of]
        for place, name, find in self._inner:
            find(values[place], name, keys)
        return [by_name(self._names, self._rules, values)], keys

    def _fault(self, record: bytes, key: str) -> Reason | None:
        """The reason why the value of the key that stopped the fast path cannot be converted; None if it is not that
        simple."""
        try:
            self._rule_of[key](value_of(self._only[key].decode(record).value))
        except Reject as reject:
            return reject.within(self._name_of[key]).reason
        except Exception:  # the exact rules will find the reason
            return None
        return None

    def exact(self, record: bytes) -> list[tuple[Any, ...]]:
        """The rows of a record by the exact rules. Raises Reject."""
        return self._rows_of(_read(record))

    def _rows_of(self, read: list[Object]) -> list[tuple[Any, ...]]:
        rows = []
        for document in read:
            found = members(document)
            try:
                rows.append(by_name(self._names, self._rules, [found.get(key) for key in self._keys]))
            except RecursionError:
                raise Reject(*_TOO_DEEP) from None
        return rows

    def _packed(self, record: bytes) -> tuple[pa.RecordBatch, Mapping[str, int]] | None:
        """The rows of a record with one plain document on each line, and its keys that no column has; None if it is not
        such a record.

        A JSON string cannot contain a raw line feed, so if each line is a complete document, the lines are the
        documents.
        """
        if b"\n" not in record:
            return None
        lines = [line for line in record.split(b"\n") if line.strip(b" \t\r")]
        if len(lines) < 2:
            return None
        batch, others, unknown = self._fast.convert(lines, record)
        return None if others else (batch, unknown)


def _read(record: bytes) -> list[Object]:
    """The objects in a record. Raises Reject."""
    if record.startswith(MAGIC):
        raise Reject(PARSE_ERROR, "JSON", _aggregate(record))
    return documents(record)


def _aggregate(record: bytes) -> str:
    """What a record is that begins as an aggregate of the KPL and was not taken apart before it was written."""
    try:
        user_records(record, len(record))
    except NotAnAggregate as error:
        return f"a damaged aggregate of the Kinesis Producer Library (KPL): {error}"
    return "an aggregate of the Kinesis Producer Library (KPL) that came inside another one, or not by Kinesis"


def _unforeseen(error: Exception) -> Reason:
    """The reason for an error in this program: only the one record is rejected, and the error is logged."""
    log.error("a record could not be converted and is kept as a reject", exc_info=error)
    fault = f"a value at which conversion failed ({type(error).__name__}: {error})"
    return Reason(MALFORMED_DATA, "a value that can be converted", fault)


def arrow_rows(rows: list[tuple[Any, ...]], schema: pa.Schema) -> pa.RecordBatch:
    columns = zip(*rows, strict=True) if rows else [()] * len(schema)
    arrays = [pa.array(values, kind) for values, kind in zip(columns, schema.types, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _decoder_of(member: str) -> msgspec.json.Decoder[Any]:
    """Reads one member of an object as it is written, and skips the others."""
    fields = [("value", msgspec.Raw, msgspec.Raw(b"null"))]
    return msgspec.json.Decoder(msgspec.defstruct("Only", fields, rename={"value": member}))
