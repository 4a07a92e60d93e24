"""Text and numbers -> timestamps (milliseconds) and dates (days) since 1970-01-01, UTC.

Sources: Firehose developer guide, "Convert input data format" (OpenX SerDe); Athena stores timestamps in
milliseconds.

    timestamp   yyyy-M-d H:m:s[.f]            fields of one or two digits
                yyyy-MM-ddTHH:mm:ss[.f][Z]    fields of two digits
                a number, or a number as a string: seconds below 10^12, milliseconds from there on
    date        yyyy-M-d

Digits below a millisecond must be zeros, offsets other than Z are refused, and so are years outside 1 to 9999:
each would have to change the value silently.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Context, Decimal, InvalidOperation
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")
_SPACED = re.compile(r"(\d{4})-(\d\d?)-(\d\d?) (\d\d?):(\d\d?):(\d\d?)(?:\.(\d{1,9}))?", re.ASCII)
_STRICT = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?Z?", re.ASCII)
_DATE = re.compile(r"(\d{4})-(\d\d?)-(\d\d?)", re.ASCII)

TIMESTAMP_FORMS = (
    "'yyyy-MM-dd HH:mm:ss[.fff]', 'yyyy-MM-ddTHH:mm:ss[.fff][Z]' in UTC, or seconds or milliseconds since 1970"
)
DATE_FORMS = "'yyyy-MM-dd'"

_EPOCH_DAY = date(1970, 1, 1).toordinal()
MIN_MS = (date(1, 1, 1).toordinal() - _EPOCH_DAY) * 86_400_000
MAX_MS = (date(9999, 12, 31).toordinal() + 1 - _EPOCH_DAY) * 86_400_000 - 1
_MILLISECONDS_FROM = 10**12
_USUAL = "yyyy-MM-ddTHH:mm:ss.fffZ"
_MARKS = {20: [4, 7, 10, 13, 16, -1], 24: [4, 7, 10, 13, 16, 19, -1]}
_UTC = pa.timestamp("ms", "UTC")
_NUMBER_CHARACTERS_MAX = 64
_EXACT = Context(prec=2 * _NUMBER_CHARACTERS_MAX)


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
    """The value of a number as JSON writes it; None if its exponent is beyond all use."""
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


_MOSTLY = 0.9  # from that share on, the few other forms are read one by one

Numbers = np.ndarray[tuple[int], np.dtype[np.int64]]
Flags = np.ndarray[tuple[int], np.dtype[np.bool_]]
Bytes = np.ndarray[tuple[int, int], np.dtype[np.uint8]]


def timestamps_ms(texts: pa.Array) -> tuple[Numbers, Flags]:
    """Many timestamps at once: (milliseconds, whether each was read).

    Reads the forms with two-digit fields; whatever else `timestamp_ms` can read is flagged as not read, and so
    are nulls.
    """
    usual = _usual_timestamps(texts)
    if usual is not None and np.count_nonzero(usual[1]) >= _MOSTLY * (len(texts) - texts.null_count):
        return usual
    values: Numbers = np.zeros(len(texts), np.int64)
    read: Flags = np.zeros(len(texts), np.bool_)
    for size, rows, characters in _by_size(texts, 19, 30):
        values[rows], read[rows] = _timestamps_of_size(size, characters)
    return values, read


def _usual_timestamps(texts: pa.Array) -> tuple[Numbers, Flags] | None:
    """As `timestamps_ms`, of those texts alone that are yyyy-MM-ddTHH:mm:ss[.fff]Z in the most frequent size.

    None if one of them is no time. Arrow reads these eight times faster, and reads more forms than it should: of
    this size, and with these characters in these places, only the right one.
    """
    sizes, offsets, data = _layout(texts)
    size = int(np.bincount(sizes[sizes > 0], minlength=1).argmax())
    if size not in _MARKS:
        return None
    rows, characters = _of_size(size, sizes, offsets, data)
    marks = "".join(_USUAL[place] for place in _MARKS[size]).encode()
    has_marks = characters[:, _MARKS[size]] == np.frombuffer(marks, np.uint8)
    if isinstance(rows, slice) and has_marks.all():
        read: Flags = np.ones(len(texts), np.bool_)
    else:
        read = np.zeros(len(texts), np.bool_)
        read[rows] = has_marks.all(axis=1)
        texts = pc.if_else(pa.array(read), texts, None)
    try:
        values: Numbers = texts.cast(_UTC).cast(pa.int64()).fill_null(0).to_numpy().copy()
    except pa.ArrowInvalid:
        return None
    return (values, read) if values.min() >= MIN_MS else None


def dates_days(texts: pa.Array) -> tuple[Numbers, Flags]:
    """Many dates at once, as `timestamps_ms`."""
    values: Numbers = np.zeros(len(texts), np.int64)
    read: Flags = np.zeros(len(texts), np.bool_)
    for _, rows, characters in _by_size(texts, 10, 10):
        digits = characters - 48
        days, good = _days(digits)
        values[rows], read[rows] = days, good & (characters[:, 4] == 45) & (characters[:, 7] == 45)
    return values, read


def _by_size(texts: pa.Array, low: int, high: int) -> Iterator[tuple[int, Any, Bytes]]:
    """For each length of text in range: (length, which rows, their characters as a matrix of bytes)."""
    sizes, offsets, data = _layout(texts)
    for size in np.unique(sizes):
        if low <= size <= high:
            yield size, *_of_size(size, sizes, offsets, data)


def _layout(texts: pa.Array) -> tuple[Any, Any, Any]:
    """The lengths of texts in bytes, where each begins, and the bytes."""
    _, offsets_buffer, data_buffer = texts.buffers()
    offsets = np.frombuffer(offsets_buffer, np.int32)[texts.offset : texts.offset + len(texts) + 1]
    data = np.frombuffer(data_buffer or b"", np.uint8)
    return np.diff(offsets), offsets, data


def _of_size(size: int, sizes: Any, offsets: Any, data: Any) -> tuple[Any, Bytes]:
    """Which rows have texts of a length, and their characters as a matrix of bytes."""
    rows = np.flatnonzero(sizes == size)
    if len(rows) == len(sizes):
        return slice(None), data[offsets[0] : offsets[-1]].reshape(len(sizes), size)
    return rows, data[offsets[rows][:, None] + np.arange(size)]


def _timestamps_of_size(size: int, characters: Bytes) -> tuple[Numbers, Flags]:
    digits = characters - 48  # wraps round for what is below '0', so that one comparison finds non-digits
    days, good = _days(digits)
    good &= (characters[:, 4] == 45) & (characters[:, 7] == 45)
    good &= (characters[:, 13] == 58) & (characters[:, 16] == 58)
    strict = characters[:, 10] == 84
    good &= strict | (characters[:, 10] == 32)
    clock = []
    for at, limit in ((11, 24), (14, 60), (17, 60)):
        good &= (digits[:, at] < 10) & (digits[:, at + 1] < 10)
        number = digits[:, at].astype(np.int64) * 10 + digits[:, at + 1]
        good &= number < limit
        clock.append(number)
    values = days * 86_400_000 + clock[0] * 3_600_000 + clock[1] * 60_000 + clock[2] * 1000
    if size > 19:
        zulu = characters[:, -1] == 90
        good &= strict | ~zulu
        if size == 20:
            return values, good & zulu
        # A fraction: digits up to the end, or up to a closing Z.
        good &= characters[:, 19] == 46
        fraction = digits[:, 20:].copy()
        fraction[zulu, -1] = 0
        good &= (fraction < 10).all(axis=1) & (fraction[:, 3:] == 0).all(axis=1)
        good &= ~zulu | (size > 21)
        for place, weight in zip(range(min(3, size - 20)), (100, 10, 1), strict=False):
            values += fraction[:, place].astype(np.int64) * weight
        if size == 30:
            good &= zulu
    return values, good


def _days(digits: Bytes) -> tuple[Numbers, Flags]:
    """Days since 1970 of the yyyy-MM-dd in the first ten columns."""
    good = (digits[:, [0, 1, 2, 3, 5, 6, 8, 9]] < 10).all(axis=1)
    number = digits[:, :10].astype(np.int64)
    year = number[:, 0] * 1000 + number[:, 1] * 100 + number[:, 2] * 10 + number[:, 3]
    month = number[:, 5] * 10 + number[:, 6]
    day = number[:, 8] * 10 + number[:, 9]
    good &= (year >= 1) & (month >= 1) & (month <= 12) & (day >= 1)
    months = np.where(good, (year - 1970) * 12 + month - 1, 0)
    first = months.astype("M8[M]").astype("M8[D]").astype(np.int64)
    following = (months + 1).astype("M8[M]").astype("M8[D]").astype(np.int64)
    good &= day <= following - first
    return first + day - 1, good
