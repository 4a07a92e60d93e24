"""The events of a file: lines whatever is in them, or the elements of an array of any size."""

import gzip
import io
import json
import random
import time

import pytest

from datawarehouse.errors import BadRequest
from datawarehouse.runtime import lines
from datawarehouse.runtime.lines import BATCH_BYTES, Lines, batches


def lines_of(data, piece=None, monkeypatch=None):
    if piece:
        monkeypatch.setattr(lines, "_PIECE_BYTES", piece)
    return b"".join(batches(Lines(io.BytesIO(data)))).splitlines()


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", []),
        (b"\n \n", []),
        (b'{"a":1}\n\n{"a":2}', [b'{"a":1}', b'{"a":2}']),
        (b'\xef\xbb\xbf{"a":1}\n', [b'{"a":1}']),
        (b'{"a":1}\r\n \r\n{"a":2}\r\r\n{"a":3}\r', [b'{"a":1}', b'{"a":2}', b'{"a":3}']),
        (b'[2026-11-23 07:00:00] oops\n{"a":1}\n', [b"[2026-11-23 07:00:00] oops", b'{"a":1}']),
        (b"[1,2,3]\n[4]\n", [b"[1,2,3]", b"[4]"]),
        (b'[{"a":1}]\n[{"a":2}]\n', [b'[{"a":1}]', b'[{"a":2}]']),
        (b'[{"a":1}]', [b'{"a":1}']),
        (b'[{"a":1}]\n\n', [b'{"a":1}']),
        (b"[]", []),
        (b"[\n]\n", []),
        (b'\n[\n  {"a": 1},\n  {"b": [1,\n 2]}\n]\n', [b'{"a": 1}', b'{"b": [1,  2]}']),
        (
            b'\xef\xbb\xbf[{"a":"\xc3\xa4"},5,"x",null,{"b":1.50}]',
            [b'{"a":"\xc3\xa4"}', b"5", b'"x"', b"null", b'{"b":1.50}'],
        ),
        (b'{\n  "a": 1,\n  "b": [\n    2\n  ]\n}\n', [b'{   "a": 1,   "b": [     2   ] }']),
        (b'\n{"a":\r\n 1}', [b'{"a":   1}']),
        (b'{\n"a": 1\n}\n{\n"a": 2\n}\n\n', [b'{ "a": 1 }', b'{ "a": 2 }']),
        (b'{\n"a": 1} {"a": 2}\n{"a": 3}', [b'{ "a": 1}', b'{"a": 2}', b'{"a": 3}']),
        (b'{"a": 1} {\n"a": 2}\n', [b'{"a": 1} {', b'"a": 2}']),  # the first line has its object
        (b'{"a": 1,\n{"a": 2}\n{"a": 3}\n', [b'{"a": 1,', b'{"a": 2}', b'{"a": 3}']),
        (b'{"a": "1\n{"a": 2}\n', [b'{"a": "1', b'{"a": 2}']),
        (b'{"a": {\n"b": 2}\n', [b'{"a": {', b'"b": 2}']),  # it never ends
        (b"{\n", [b"{"]),
        (b"{oops}\n}\n", [b"{oops}", b"}"]),
        (b'{"a":' * 100_000 + b"\n1\n", [b'{"a":' * 100_000, b"1"]),
    ],
)
def test_files(data, expected):
    assert lines_of(data) == expected


@pytest.mark.seeds(fixed=60, random=20)
def test_an_array_comes_apart_wherever_it_is_cut(seed, monkeypatch):
    chance = random.Random(seed)

    def value(depth=0):
        match chance.randrange(7 if depth < 3 else 4):
            case 0:
                return chance.choice((0, -1, 123456789012345678901234567890, 1e300, 1.5))
            case 1:
                return "".join(chance.choices('ä€😀"\\ab]},[{\n ', k=chance.randrange(12)))
            case 2 | 3:
                return chance.choice((None, True, False))
            case 4:
                return [value(depth + 1) for _ in range(chance.randrange(4))]
            case _:
                return {str(number): value(depth + 1) for number in range(chance.randrange(4))}

    elements = [{"first": 1}, *(value() for _ in range(chance.randrange(30)))]
    text = json.dumps(elements, indent=chance.choice((None, 1, 4)), ensure_ascii=chance.random() < 0.5)
    found = lines_of(text.encode(), chance.choice((1, 2, 3, 7, 50, 1000)), monkeypatch)
    assert [json.loads(line) for line in found] == elements


@pytest.mark.seeds(fixed=40, random=20)
def test_objects_over_several_lines_come_apart_wherever_they_are_cut(seed, monkeypatch):
    chance = random.Random(seed)
    objects = [
        {"".join(chance.choices('aä€😀"\\}{:', k=3)): chance.choice((1, -1.5e3, "}\n{", None, [{}], {"b": [1, 2]}))}
        for _ in range(chance.randrange(1, 20))
    ]
    ascii = chance.random() < 0.5
    text = chance.choice(("", " ", "\n")).join(json.dumps(each, indent=2, ensure_ascii=ascii) for each in objects)
    found = lines_of(text.encode(), chance.choice((1, 2, 3, 7, 50, 1000)), monkeypatch)
    assert [json.loads(line) for line in found] == objects


def test_batches_are_about_a_megabyte_of_whole_lines():
    line = b'{"a":"' + b"x" * 1000 + b'"}\n'
    found = list(batches(Lines(io.BytesIO(line * 3000))))
    assert b"".join(found) == line * 3000
    assert all(BATCH_BYTES <= len(each) < BATCH_BYTES + len(line) and each.endswith(b"\n") for each in found[:-1])
    array = b"[" + b",".join([line.strip()] * 3000) + b"]"
    assert list(batches(Lines(io.BytesIO(array)))) == found


@pytest.mark.parametrize(
    ("data", "sent", "says"),
    [
        (b'[{"a":1},{"a":2},oops]', 2, "its element 3 is not JSON .* The 2 before it were read"),
        (b'[{"a":1},{"a":', 1, "its element 2 is not JSON"),
        (b'[{"a":1} {"a":2}]', 1, "after its element 1 comes '{\"a\":2}\\]', where a comma"),
        (b'[{"a":1}] {"a":2}', 1, "more comes after its closing bracket"),
        (b"[" + b'{"a":' * 100_000, 0, "its element 1 is not JSON"),
        (b'{\n"a": 1}\n{"a": 2}\n{"a": oops}\n', 2, "over several lines, and its object 3 is not JSON .* The 2 before"),
        (b'{\n"a": 1}\n{"a": 2', 1, "its object 2 is not JSON"),
    ],
)
@pytest.mark.parametrize("batch_bytes", [1, BATCH_BYTES])
def test_an_array_that_is_no_json_says_how_far_it_was_sent(data, sent, says, batch_bytes, monkeypatch):
    monkeypatch.setattr(lines, "BATCH_BYTES", batch_bytes)
    found = []
    with pytest.raises(BadRequest, match=says):
        for batch in batches(Lines(io.BytesIO(data))):
            found.append(batch)
    assert b"".join(found).count(b"\n") == sent


@pytest.mark.parametrize(
    ("last", "is_left_out"),
    [
        (b'{"a":1', True),
        (b'{"a":1}', False),
        (b'{"a":1}\n', False),
        (b"12", True),
        (b"12\n", False),
        (b"oops", True),
        (b'"oops"', False),
        (b'"oops', True),
        (b" ", False),
        (b"", False),
    ],
)
def test_a_last_line_that_is_still_written_is_left_out(last, is_left_out):
    before = b'{"a":0}\n'
    growing, ended = (Lines(io.BytesIO(before + last), is_growing=is_growing) for is_growing in (True, False))
    whole = [line for line in (before, last.strip() + b"\n") if line.strip()]
    assert list(ended) == whole
    assert list(growing) == (whole[:1] if is_left_out else whole)
    assert (ended.unfinished_bytes, growing.unfinished_bytes) == (0, len(last) if is_left_out else 0)
    first = Lines(io.BytesIO(last), is_growing=True)
    assert list(first) == ([] if is_left_out else whole[1:])


def test_a_gzip_file_that_is_cut_gives_what_is_before_the_place():
    packed = gzip.compress(b'{"a":1}\n' * 100_000 + random.Random(1).randbytes(100_000).hex().encode())
    found = []
    with pytest.raises(BadRequest, match="cannot be read any further"):
        for batch in batches(Lines(gzip.GzipFile(fileobj=io.BytesIO(packed[:-50_000])))):
            found.append(batch)
    assert b"".join(found) == b'{"a":1}\n' * 100_000


def test_small_elements_before_a_large_one_take_little_time():
    elements = ["x" * 2**22, *[1] * 20_000, "x" * 2**22]
    began = time.process_time()
    found = lines_of(json.dumps(elements).replace('["', '[{},"', 1).encode())
    assert len(found) == len(elements) + 1
    assert time.process_time() - began < 1
