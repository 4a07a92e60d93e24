"""Many texts at once -> timestamps and dates, as `definition/instants.py` reads them one at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from datawarehouse.definition.instants import MIN_MS

_USUAL = "yyyy-MM-ddTHH:mm:ss.fffZ"
_MARKS = {20: [4, 7, 10, 13, 16, -1], 24: [4, 7, 10, 13, 16, 19, -1]}
_UTC = pa.timestamp("ms", "UTC")
_MOSTLY = 0.9  # above this share of usual forms, the others are read one by one

Numbers = np.ndarray[tuple[int], np.dtype[np.int64]]
Flags = np.ndarray[tuple[int], np.dtype[np.bool_]]
Bytes = np.ndarray[tuple[int, int], np.dtype[np.uint8]]


def timestamps_ms(texts: pa.Array) -> tuple[Numbers, Flags]:
    """Many timestamps at once: (milliseconds, whether each was read).

    Reads the forms with two-digit fields; other forms that `timestamp_ms` can read are flagged as not read, and so are
    nulls.
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
    """As `timestamps_ms`, but only for texts of the form yyyy-MM-ddTHH:mm:ss[.fff]Z that have the most frequent length.

    None if one of them is not a time. Arrow reads these texts eight times faster. It accepts more forms than it should,
    but with this length and these characters in their places only the right form is left.
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
        import pyarrow.compute as pc

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
    digits = characters - 48  # wraps round for characters below '0', so that one comparison finds non-digits
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
