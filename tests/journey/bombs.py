"""Queries that ask for more memory, time or depth than they may have, over a table `clicks` of 20,000 rows."""

# ruff: noqa: E501 - a statement stands on one line

BOMBS = {
    # texts
    "one long text": "select length(array_join(flatten(repeat(flatten(repeat(repeat('x', 10000), 10000)), 10)), ''))",
    "a format": "select format('%1000000000d', 1)",
    "padding": "select rpad('x', 2147483647, 'y')",
    "repeated text": "select flatten(repeat(flatten(repeat(repeat('x', 10000), 10000)), 10))",
    "long rows": "select lpad(id, 1000000, 'x') from clicks a",
    "a text that doubles": "select length(replace(replace(lpad('', 30000, 'a'), 'a', lpad('', 30000, 'b')), "
    "'b', 'cccc'))",
    "replaced by a pattern": f"select length(regexp_replace(lpad('', 300000, 'a'), 'a', '{'b' * 10_000}'))",
    "all texts in one": "select length(listagg(a.id || b.id, ',') within group (order by a.n)) from clicks a, clicks b",
    "joined texts": "select max(length(array_join(transform(flatten(transform(sequence(1, 300), s -> "
    "sequence(1, 10000))), x -> lpad('', 500, 'x')), ''))) from clicks",
    # lists and maps
    "a list to sort": "select array_sort(flatten(transform(sequence(1, 5000), s -> sequence(1, 10000))))",
    "a long list": "select cardinality(flatten(transform(sequence(1, 10), t -> flatten(transform(sequence(1, "
    "10000), s -> sequence(1, 10000))))))",
    "texts in a list": "select transform(flatten(transform(sequence(1, 1000), s -> sequence(1, 10000))), x -> "
    "cast(x as varchar))",
    "lists in lists": "select cardinality(flatten(transform(flatten(transform(sequence(1, 3), s -> sequence(1, "
    "10000))), x -> flatten(transform(sequence(1, 3), s -> sequence(1, 10000))))))",
    "a list of all rows": "select cardinality(array_agg(a.id || b.id)) from clicks a, clicks b",
    "a map": "select map_agg(id, n) from (select a.id || b.id as id, a.n from clicks a, clicks b)",
    "a histogram": "select histogram(a.id || b.id) from clicks a, clicks b",
    "distinct elements": "select cardinality(array_distinct(flatten(transform(sequence(1, 10000), s -> "
    "sequence(1, 10000)))))",
    "unnested": "select count(*), max(x) from clicks cross join unnest(flatten(transform(sequence(1, 1000), s "
    "-> sequence(1, 10000)))) as t(x)",
    "zipped": "select zip(flatten(transform(sequence(1, 3000), s -> sequence(1, 10000))), "
    "flatten(transform(sequence(1, 3000), s -> sequence(1, 10000))))",
    "reduced": "select reduce(flatten(transform(sequence(1, 2000), s -> sequence(1, 10000))), 0, (s, x) -> s + "
    "x, s -> s)",
    # sorts, groups and windows
    "lists of a window": "select array_agg(id) over () from clicks",
    "a sort of everything": "select a.id || b.id as x from clicks a, clicks b order by x desc limit 900000",
    "a group for each pair": "select count(*) from (select a.id, b.id from clicks a, clicks b group by a.id, b.id)",
    "distinct pairs": "select count(distinct a.id || b.id) from clicks a, clicks b",
    "a wide window": "select max(s) from (select sum(length(a.id || b.id)) over (order by a.n, b.n) as s from "
    "clicks a, clicks b)",
    "exact percentile": "select approx_percentile(a.n * b.n, 0.5), count(distinct a.n * b.n) from clicks a, "
    "clicks b, clicks c",
    # joins
    "a cross join": "select count(*) from clicks a, clicks b, clicks c where a.n * b.n * c.n = -1",
    "a join on nothing": "select count(*) from clicks a join clicks b on a.n <> b.n join clicks c on b.n <> c.n",
    "a full join": "select count(a.id || b.id || c.id) from clicks a, clicks b, clicks c",
    "a correlated query": "select sum((select count(*) from clicks b, clicks c where b.n + c.n > a.n)) from clicks a",
    "a range join": "select count(*) from clicks a join clicks b on a.n < b.n join clicks c on b.n < c.n and "
    "a.id < c.id",
    # recursion
    "recursion": "with recursive t(n) as (select 1 union all select n + 1 from t) select count(*) from t",
    "recursion that grows": "with recursive t(s) as (select 'xxxxxxxxxx' union all select s || s || s || s || s || s || s || s"
    " || s || s from t) select max(length(s)) from t",
    "recursion over a table": "with recursive t(n) as (select n from clicks union all select c.n from t, clicks c) select"
    " count(*) from t",
    # patterns
    "a pattern that explodes": "select count(*) from clicks a, clicks b where regexp_like(a.id || b.id, "
    "'(a*)*(a*)*(a*)*b')",
    "all matches": "select cardinality(regexp_extract_all(lpad('', 50000000, 'a'), 'a'))",
    "a large pattern": "select regexp_like(lpad('', 1000000, 'a'), '(((a{1,100}){1,100}){1,100})b')",
    "like": "select count(*) from clicks a, clicks b where a.id || b.id like '%1%2%3%4%5%6%7%8%9%0%a'",
    # JSON
    "a large document": "select json_format(cast(flatten(transform(sequence(1, 5000), s -> sequence(1, 10000))) "
    "as json))",
    "parsed": "select cardinality(cast(json_parse('[' || array_join(flatten(transform(sequence(1, 2000), s -> "
    "sequence(1, 10000))), ',') || ']') as array(bigint)))",
    "extracted": "select count(json_extract_scalar('{\"a\": \"' || lpad('', 100000, 'x') || '\"}', '$.a') || "
    "a.id) from clicks a,"
    " clicks b",
}

BENIGN = "select count(distinct id || lpad(cast(k as varchar), 1100, 'x')) from clicks, (values 1, 2, 3, 4, 5) as v (k)"
"""It needs some 200 MiB: 100,000 texts of 1,100 characters."""
