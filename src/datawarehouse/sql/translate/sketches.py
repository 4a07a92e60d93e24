"""HyperLogLog: sketches of sets, whose sizes are estimated; the lines are as in `functions`.

1. Each value of a set is hashed. The first 14 bits of the hash name one of 16,384 registers.
2. A register keeps the greatest rank of its hashes: how many of the other 50 bits are zero before the first one, and 1.
3. A sketch is a list of numbers register * 64 + rank, each once. Sketches are merged by putting their lists together.
4. The size follows from how many registers have each rank. The error is about 0.8 %, and less for small sets.

The bytes of a sketch as varbinary are those of its own form: neither Athena reads them, nor are Athena's read here.

Sources: Trino documentation, "HyperLogLog functions"; O. Ertl, "New cardinality estimation algorithms for HyperLogLog
sketches" (2017), algorithm 6.
"""

from __future__ import annotations

SKETCHES = r"""
empty_approx_set() -> HyperLogLog                   CAST([] AS INTEGER[])
cardinality(HyperLogLog) -> bigint                  trino_sketch_size($1)
"""

SKETCH_AGGREGATES = r"""
approx_set(bigint) -> HyperLogLog                   trino_sketch(list(DISTINCT trino_sketch_register($1))$w)
approx_set(double) -> HyperLogLog                   trino_sketch(list(DISTINCT trino_sketch_register($1))$w)
approx_set(varchar) -> HyperLogLog                  trino_sketch(list(DISTINCT trino_sketch_register($1))$w)
merge(HyperLogLog) -> HyperLogLog                   list_distinct(flatten(nullif(list_filter(list($1)$w,
    lambda "h#": "h#" IS NOT NULL), [])))
"""

SKETCH_MACROS = (
    r"""trino_sketch_register(x) AS
        CASE WHEN x IS NOT NULL THEN CAST((hash(x) >> 50) * 64 + 51
            - length(ltrim(right(CAST(CAST(hash(x) AS BIT) AS VARCHAR), 50), '0')) AS INTEGER) END""",
    r"""trino_sketch(registers) AS nullif(list_filter(registers, lambda "sr#": "sr#" IS NOT NULL), [])""",
    r"""trino_sketch_size(s) AS
        CASE WHEN len(s) = 0 THEN 0 ELSE list_extract(list_transform([list_sort(s, 'DESC')], lambda "ss#":
            list_extract(list_transform([list_filter("ss#", lambda "st#", "su#":
                "su#" = 1 OR "ss#"["su#" - 1] // 64 <> "st#" // 64)], lambda "sv#":
                CAST(round(16384e0 * 16384e0 / (2 * ln(2) * (
                    list_sum(list_transform("sv#", lambda "sw#": pow(2e0, -("sw#" % 64))))
                    + if(len("sv#") = 16384, 0e0, (16384 - len("sv#")) + 16384 * list_sum(list_transform(range(1, 41),
                        lambda "sx#": pow((16384 - len("sv#")) / 16384e0, pow(2e0, "sx#")) * pow(2e0, "sx#" - 1))))))
                ) AS BIGINT)), 1)), 1) END""",
    r"""trino_sketch_bytes(s) AS encode('HyperLogLog ' || array_to_string(list_transform(list_sort(s),
        lambda "sy#": CAST("sy#" AS VARCHAR)), ','))""",
    r"""trino_sketch_of_bytes(x) AS
        list_extract(list_transform([hex(x)], lambda "sz#":
            CASE WHEN NOT starts_with("sz#", hex(encode('HyperLogLog ')))
                 THEN CAST(CAST('Not a HyperLogLog that was made here: ' || "sz#" AS INTEGER) AS INTEGER[])
                 WHEN length("sz#") = 24 THEN CAST([] AS INTEGER[])
                 ELSE CAST(string_split(decode(unhex(substr("sz#", 25))), ',') AS INTEGER[]) END), 1)""",
)
