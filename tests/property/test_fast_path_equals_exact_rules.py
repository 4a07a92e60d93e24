"""The fast path never decides otherwise than the exact rules, whatever the columns and whatever comes."""

import json
import math
import random
from collections import Counter

import pytest

from datawarehouse.convert.rows import RowConverter, arrow_rows
from datawarehouse.definition.documents import documents
from datawarehouse.definition.rejects import Reject
from datawarehouse.definition.tables import Column
from datawarehouse.definition.types import parse_type
from datawarehouse.definition.unknown_keys import unknown_keys

SCALARS = (
    "boolean", "tinyint", "smallint", "int", "bigint", "float", "double", "string", "varchar(5)", "timestamp", "date",
    "decimal(5,2)", "binary",
)  # fmt: skip
NAMES = ("id", "n", "a_b", "x")
STRINGS = (
    "", "a", "10", "-7", "2.25", "1e3", "true", "False", "oops", "NaN", "0x1F", "äöü", "😀", ":", '":', 'a":b', "\\",
    "a\\", "x : y", "\t:", "2026-03-01T07:08:09.123Z", "2026-03-01 7:08:09", "2026-02-30", "2026-03-01", "1518033528",
    "null", '{"id":1}', "longer than five",
)  # fmt: skip
NUMBERS = (
    "0", "-0", "1", "-1", "7.0", "1.5", "127", "128", "-129", "32768", "2147483648", "9223372036854775808", "1e3",
    "1E-2", "1518033528.123", "1518033528.1234", "1518033528123", "999999999999", "3.5e38", "1e400", "12345.67", "0.10",
    "1e-400", "1e99999999999999999999", "-1e-99999999999999999999",
)  # fmt: skip
BLANKS = ("", "", "", "", "", " ", "\n", "\t ")


class Generator:
    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.usual_times = self.chance(0.5)

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    def kind(self, depth: int = 0) -> str:
        pick = self.random.random()
        if depth == 3 or pick < 0.7:
            return self.random.choice(SCALARS)
        if pick < 0.8:
            return f"array<{self.kind(depth + 1)}>"
        if pick < 0.88:
            return f"map<{self.random.choice(('string', 'int', 'double'))},{self.kind(depth + 1)}>"
        names = self.random.sample(NAMES, self.random.randint(1, 3))
        return "struct<" + ",".join(f"{name}:{self.kind(depth + 1)}" for name in names) + ">"

    def key(self, name: str) -> str:
        if self.chance(0.05):
            name = name.upper()
        if self.chance(0.02):
            return '"' + "".join(f"\\u{ord(letter):04x}" for letter in name) + '"'
        return json.dumps(name)

    def object(self, names: list[str], depth: int) -> str:
        chosen = [name for name in names if not self.chance(0.15)]
        if self.chance(0.15):
            chosen.append(self.random.choice(("extra", "Extra2", "k\\", "kä", "12")))
        if self.chance(0.03) and chosen:
            chosen.append(self.random.choice(chosen))
        self.random.shuffle(chosen)
        members = [
            f"{self.blank()}{self.key(name)}{self.blank(0.02)}:{self.blank()}{self.value(depth + 1)}" for name in chosen
        ]
        return "{" + ",".join(members) + self.blank() + "}"

    def blank(self, share: float = 0.05) -> str:
        return self.random.choice(BLANKS) if self.chance(share) else ""

    def value(self, depth: int) -> str:
        pick = self.random.random()
        if pick < 0.4:
            return json.dumps(self.random.choice(STRINGS), ensure_ascii=self.chance(0.5))
        if pick < 0.65:
            return self.random.choice(NUMBERS)
        if pick < 0.8:
            return self.random.choice(("true", "false", "null", "null"))
        if self.chance(0.005):
            return "[" * 600 + "]" * 600
        if depth > 3:
            return "[]"
        if pick < 0.9:
            return "[" + ",".join(self.value(depth + 1) for _ in range(self.random.randint(0, 3))) + "]"
        return self.object(list(NAMES), depth)

    def fitting(self, kind: str) -> str:
        """A value that is plain for a type, most of the time."""
        if self.chance(0.03):
            return self.value(1)
        if kind == "timestamp" and self.usual_times and self.chance(0.97):
            return f'"2026-03-01T07:{self.random.randrange(60):02d}:09.123Z"'
        plain = {
            "boolean": ("true", "false"),
            "float": ("1.5", "2", "-0.25"),
            "double": ("1.5", "1e10", "3"),
            "timestamp": ('"2026-03-01T07:08:09.123Z"', '"2026-03-01 07:08:09"', "1518033528", "1518033528123"),
            "date": ('"2026-03-01"', '"1969-12-31"'),
            "decimal(5,2)": ("1.25", '"7"', "-3"),
            "binary": ("null",),
            "string": tuple(json.dumps(text, ensure_ascii=False) for text in STRINGS),
            "varchar(5)": ('"a"', '"äöü😀"', '"12345"'),
        }
        return self.random.choice(plain.get(kind, ("1", "-1", "0", "100", "null")))

    def record(self, columns: dict[str, str]) -> bytes:
        members = [
            f"{self.key(name)}:{self.fitting(kind) if kind in SCALARS else self.value(1)}"
            for name, kind in columns.items()
            if not self.chance(0.1)
        ]
        if self.chance(0.2):
            members.append(f"{self.key(self.random.choice(('extra', 'debug')))}:{self.value(1)}")
        if self.chance(0.03):
            members += [f'"extra":{self.value(1)}', f'"Extra":{self.value(1)}']
        if self.chance(0.02) and members:
            members.append(self.random.choice(members))
        text = "{" + ",".join(members) + "}"
        if self.chance(0.1):
            text = self.object(list(columns), 0)
        if self.chance(0.03):
            text += self.random.choice(("\n", " ", "\r\n")) + self.object(list(columns), 0)
        data = text.encode("utf-8", "surrogatepass")
        if self.chance(0.04) and data:
            at = self.random.randrange(len(data))
            change = self.random.choice((b"", b"\xff", b"\0", b'"', b"{", b"}", b"\\", b":", b",", b"\\ud800", b"\xc3"))
            data = data[:at] + change + data[at + self.random.randint(0, 2) :]
        return data


def same(left, right):
    if isinstance(left, float) and isinstance(right, float):
        return (left == right and math.copysign(1, left) == math.copysign(1, right)) or (left == 0 == right)
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        return len(left) == len(right) and all(map(same, left, right))
    return left == right


@pytest.mark.seeds(fixed=60, random=15)
def test_fast_path_and_exact_rules_agree(seed, caplog):
    generate = Generator(seed)
    columns = {name: generate.kind() for name in generate.random.sample(NAMES, generate.random.randint(1, 4))}
    declared = [Column(name, parse_type(kind)) for name, kind in columns.items()]
    converter = RowConverter(declared)
    for _ in range(6):  # one converter, so that what it learned from a group meets the next
        records = [generate.record(columns) for _ in range(generate.random.choice((1, 7, 60)))]
        found = converter.convert(records)
        assert not caplog.records, f"seed {seed}: {columns} the fast path or a rule failed"
        rejected = {place for place, _ in found.rejects}
        got = [row for batch in found.batches for row in batch.to_pylist(maps_as_pydicts="strict")]
        expected = []
        unknown = Counter()
        for place, record in enumerate(records):
            try:
                rows = converter.exact(record)
                assert place not in rejected, f"seed {seed}: {columns} {record!r} was rejected, the rules store it"
                batch = arrow_rows(rows, converter.schema)
                expected += batch.to_pylist(maps_as_pydicts="strict")
                fields = [(column.name, column.type) for column in declared]
                names = []
                for document in documents(record):
                    unknown_keys(fields)(document, "", names)
                unknown.update(names)
            except Reject as reject:
                assert place in rejected, f"seed {seed}: {columns} {record!r} was stored; {reject.reason.message}"
        assert found.unknown_keys == unknown, f"seed {seed}: {columns} {records}"
        # Rows that took the exact way stand behind the others of their group.
        for row in expected:
            at = next((at for at, candidate in enumerate(got) if same(candidate, row)), None)
            assert at is not None, f"seed {seed}: {columns} the rules give {row}, which is not among the rows"
            got.pop(at)
        assert not got
