"""Statements made from a seed, over two tables whose partition keys are k (text) and h (number).

A statement has a hundred choices: drawing each of them with Hypothesis would take longer than running it.
"""

from datawarehouse.definition.tables import Column
from datawarehouse.definition.types import parse_type
from datawarehouse.sql.plan import TableSchema

TEXTS = ("a", "ab", "b", "c%")
COLUMNS = {"k": "text", "h": "number", "t": "text", "v": "number"}
TYPES = {"text": "string", "number": "int"}


def table(name):
    columns = {name: Column(name, parse_type(TYPES[kind])) for name, kind in COLUMNS.items()}
    return TableSchema(name, (columns["t"], columns["v"]), (columns["k"], columns["h"]))


TABLES = {name: table(name) for name in ("a", "b")}


class Statements:
    """Makes statements. A relation or a query is its text and its columns, each a name and a kind.

    Keys, and what is made of them, are drawn more often than other columns, and simple conditions more often than
    others: a condition that says nothing of a key tests nothing. texts: the values that text is compared with.
    """

    def __init__(self, chance, texts=TEXTS):
        self.chance = chance
        self.texts = texts
        self.ctes = []
        self.aliases = 0

    def pick(self, *choices):
        return self.chance.choice(choices)

    def alias(self):
        self.aliases += 1
        return f"r{self.aliases}"

    def statement(self):
        if self.pick(True, False, False, False, False):
            return self.kept_side()
        for _ in range(self.pick(0, 0, 0, 1, 2)):
            text, columns = self.query(1)
            self.ctes.append((self.alias(), text, columns))
        text, columns = self.query(2)
        heads = ", ".join(f"{name} as ({body})" for name, body, _ in self.ctes)
        return f"with {heads} {text}" if heads else text

    def kept_side(self):
        """An outer join whose ON has two columns of the kept side equal, and a WHERE that asks of one of them.

        They are equal only in rows that match. All of this together is drawn too seldom otherwise.
        """
        joins = self.pick(0, 1, 1)
        (kept, columns), (filled, more) = self.relation(0, joins), self.item(0)
        a, b = self.pick(*pairs(columns, columns))
        across = self.pick(*pairs(columns, more))
        if joins:
            kept = f"({kept})"
        join = self.pick(f"{kept} left join {filled}", f"{filled} right join {kept}", f"{kept} full join {filled}")
        on = " and ".join(f"{left[0]} = {right[0]}" for left, right in ((a, b), across))
        listed = ", ".join(f"{name} as c{n}" for n, (name, _) in enumerate([a, b, *across]))
        return f"select {listed} from {join} on {on} where {self.leaf([a, a, self.pick(*columns)])}"

    def query(self, depth):
        kind = self.pick("plain", "plain", "joined", "joined", "set", "group", "window", "distinct", "limit", "exists")
        if kind == "set" and depth:
            return self.set_operation(depth)
        source, columns = self.relation(depth, joins=self.pick(1, 1, 2) if kind == "joined" else 0)
        where = f" where {self.condition(columns)}" if self.pick(True, True, True, False) else ""
        if kind == "group":
            return self.grouped(source, columns, where)
        chosen = [self.pick(*columns) for _ in range(self.pick(2, 3))]
        listed = [f"{name} as c{n}" for n, (name, _) in enumerate(chosen)]
        outputs = [(f"c{n}", kind) for n, (_, kind) in enumerate(chosen)]
        if kind == "window":
            keys = ", ".join(self.pick(*columns)[0] for _ in range(self.pick(1, 2)))
            listed.append(f"count(*) over (partition by {keys}) as w")
            outputs.append(("w", "number"))
        if kind == "exists" and depth:
            inner, names = self.query(0)
            within = [
                f"{name} in (select x.{n} from ({inner}) x)" for name, k in columns for n, kind in names if k == kind
            ]
            where += f"{' and' if where else ' where'} {self.pick(*within, f'exists ({inner})')}"
        text = f"select {'distinct ' if kind == 'distinct' else ''}{', '.join(listed)} from {source}{where}"
        if kind == "limit":
            text += f" order by {', '.join(str(n + 1) for n in range(len(listed)))} limit {self.pick(1, 2)}"
        return text, outputs

    def grouped(self, source, columns, where):
        keys = list(dict.fromkeys(self.pick(*columns) for _ in range(self.pick(1, 2))))
        names = ", ".join(name for name, _ in keys)
        grouping = self.pick(names, names, f"rollup({names})", f"grouping sets (({names}), ())")
        listed = ", ".join(f"{name} as c{n}" for n, (name, _) in enumerate(keys))
        having = f" having {self.condition(keys)}" if self.pick(True, False) else ""
        outputs = [*((f"c{n}", kind) for n, (_, kind) in enumerate(keys)), ("w", "number")]
        return f"select {listed}, count(*) as w from {source}{where} group by {grouping}{having}", outputs

    def set_operation(self, depth):
        kinds = ("text", "text", "number")
        branches = []
        for _ in range(2):
            text, columns = self.query(depth - 1)
            by_kind = {kind: [name for name, k in columns if k == kind] or ["null"] for kind in TYPES}
            listed = ", ".join(f"{self.pick(*by_kind[kind])} as c{n}" for n, kind in enumerate(kinds))
            branches.append(f"select {listed} from ({text}) {self.alias()}")
        text = f" {self.pick('union all', 'union', 'intersect', 'except')} ".join(branches)
        text += self.pick("", "", f" order by 1, 2, 3 limit {self.pick(1, 2)}")
        return text, [(f"c{n}", kind) for n, kind in enumerate(kinds)]

    def relation(self, depth, joins):
        left, columns = self.item(depth)
        for _ in range(joins):
            right, more = self.item(depth)
            if self.pick(True, False, False, False):
                third, others = self.item(depth)
                right, more = self.join(right, more, third, others, "join", "cross join", "left join")
                right = f"({right})"
            words = "join", "left join", "left join", "right join", "full join", "cross join"
            left, columns = self.join(left, columns, right, more, *words)
        return left, columns

    def join(self, left, columns, right, more, *words):
        """One join. Columns that its ON has equal are drawn more often in the conditions that follow."""
        word, both = self.pick(*words), columns + more
        if word == "cross join":
            return f"{left} {word} {right}", both
        equal = self.equal(word, columns, more)
        parts = [f"{a} = {b}" for (a, _), (b, _) in equal]
        if not parts or self.pick(True, False):
            parts.append(self.condition(both))
        return f"{left} {word} {right} on {' and '.join(parts)}", both + 4 * [
            column for pair in equal for column in pair
        ]

    def equal(self, word, left, right):
        """What an ON has equal: columns of both sides, and columns within a side whose rows an outer join keeps."""
        across = pairs(left, right)
        found = [self.pick(*across) for _ in range(self.pick(1, 1, 2))] if across else []
        kept = {"left join": left, "right join": right, "full join": self.pick(left, right)}.get(word, [])
        within = pairs(kept, kept)
        if within and self.pick(True, False):
            found.append(self.pick(*within))
        return found

    def item(self, depth):
        alias = self.alias()
        if self.ctes and self.pick(True, False):
            name, _, columns = self.pick(*self.ctes)
            return f"{name} as {alias}", [(f"{alias}.{column}", kind) for column, kind in columns]
        if depth and self.pick(True, False):
            text, columns = self.query(depth - 1)
            return f"({text}) as {alias}", [(f"{alias}.{column}", kind) for column, kind in columns]
        columns = [(f"{alias}.{column}", COLUMNS[column]) for column in ("k", "k", "k", "k", "h", "h", "t", "v")]
        return f"{self.pick(*TABLES)} as {alias}", columns

    def condition(self, columns):
        shape = self.pick("leaf", "leaf", "leaf", "and", "and", "or", "not", "not and", "not or")
        leaves = [self.leaf(columns) for _ in range(2)]
        word = shape.split()[-1]
        text = leaves[0] if word in ("leaf", "not") else f"({leaves[0]} {word} {leaves[1]})"
        return f"not {text}" if shape.startswith("not") else text

    def leaf(self, columns):
        name, kind = self.pick(*columns)
        others = [other for other, k in columns if k == kind]
        return self.of_text(name, others) if kind == "text" else self.of_number(name, others)

    def of_text(self, name, others):
        x, y = (f"'{self.pick(*self.texts)}'" for _ in range(2))
        return self.pick(
            f"{name} {self.pick('=', '=', '<>', '<', '<=', '>', '>=')} {x}",
            f"{name} {self.pick('=', '=', '<>', '<', '<=', '>', '>=')} {x}",
            f"{x} {self.pick('=', '<', '>=')} {name}",
            f"{name} in ({x}, {y})",
            f"{name} not in ({x}, {y})",
            f"{name} between {x} and {y}",
            f"{name} like '{self.pick('a%', 'b_', '%a', 'ab', '%', 'c%')}'",
            f"{name} not like '{self.pick('a%', 'b_', '%a', 'ab', 'c%')}'",
            f"{name} like 'c!%' escape '!'",
            f"substr({name}, 1, 1) = '{self.pick('a', 'b')}'",
            f"starts_with({name}, 'b')",
            f"{name} is null",
            f"{name} is not distinct from {x}",
            f"not {name} is not distinct from {x}",
            f"{name} is distinct from {x}",
            f"coalesce({name}, {x}) = {y}",
            f"{name} = {self.pick(*others)}",
        )

    def of_number(self, name, others):
        return self.pick(
            f"{name} {self.pick('=', '<>', '<', '<=', '>', '>=')} {self.pick(0, 1, 2)}",
            f"{self.pick(0, 1)} < {name}",
            f"{name} in (0, {self.pick(1, 2)})",
            f"{name} between 1 and 2",
            f"{name} is null",
            f"{name} = {self.pick(*others)}",
        )


def pairs(left, right):
    """Two columns of the same kind, one of each side."""
    return [(a, b) for a in left for b in right if a[1] == b[1] and a[0] != b[0]]
