"""Paths of SQL/JSON as DuckDB text: `lax $.items[*].price ? (@ > 5)`.

The value of a path is a list of JSON values, and NULL where its evaluation fails (a member that is missing in strict
mode, a text in arithmetic), which the function around it answers by ON ERROR.

1. Split the path into words.
2. Read it by its grammar; each part is translated when it has been read.
3. `lax` takes an array apart before a member or a filter looks at it, and leaves out what is missing; `strict` fails.

Sources: ISO 9075-2, <JSON path expression>; Trino documentation, "JSON functions and operators", JSON path language.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Mapping

from datawarehouse.errors import QueryFailed, QueryRefused
from datawarehouse.sql.translate.typed import quoted_text

NOTHING = "CAST([] AS JSON[])"
_WORDS_MAX = 100
_LEVELS_MAX = 6
"""How deep filters may be inside each other; a position counts as three. The engine's work grows fourfold with each."""
_WORDS = re.compile(
    r"""\s*(?:(?P<text>"(?:[^"]|"")*")|(?P<number>(?:[0-9]+(?:[.][0-9]*)?|[.][0-9]+)(?:[eE][+-]?[0-9]+)?)"""
    r"""|(?P<variable>[$][A-Za-z_][A-Za-z0-9_]*)|(?P<name>[A-Za-z_][A-Za-z0-9_]*)"""
    r"""|(?P<sign>==|<>|!=|<=|>=|&&|[|][|]|[-+*/%$@.,()\[\]?<>!]))"""
)
_COMPARED = {
    "==": {0: 1, 10: 4},
    "<>": {-1: 1, 1: 1, 11: 4},
    "!=": {-1: 1, 1: 1, 11: 4},
    "<": {-1: 1},
    "<=": {-1: 1, 0: 1},
    ">": {1: 1},
    ">=": {1: 1, 0: 1},
}
"""For each result of `trino_json_order` other than false: 1 true, 4 true because of null, 2 and 3 unknown."""
_TYPES = {"NULL": "null", "BOOLEAN": "boolean", "VARCHAR": "string", "OBJECT": "object", "ARRAY": "array"}


def translated(path: str, context: str, variables: Mapping[str, str], arithmetic: bool = True) -> str:
    """The DuckDB text of `path`; `context` and `variables` (by name) are texts of lists of JSON values.

    arithmetic: whether the numbers among the variables are of the type integer, as those of the path are.
    Raises QueryFailed for what is no path, and QueryRefused for what is not supported.
    """
    return _Path(path, context, variables, arithmetic).read()


class _Path:
    def __init__(self, path: str, context: str, variables: Mapping[str, str], arithmetic: bool) -> None:
        self._path, self._context, self._variables, self._may_compute = path, context, variables, arithmetic
        self._words: list[tuple[str, str]] = []
        self._at = 0
        self._numbers = itertools.count()
        self._items: list[str] = []
        """The variables that `@` means, the innermost last."""
        self._arrays: list[str] = []
        """The arrays whose last position `last` means."""
        self.lax = True

    def read(self) -> str:
        mode, _, rest = self._path.strip().partition(" ")
        if mode not in ("lax", "strict"):
            raise self._error("it begins with lax or strict")
        self.lax = mode == "lax"
        at = 0
        while rest[at:].strip():
            word = _WORDS.match(rest, at)
            if not word:
                raise self._error(f"{rest[at:].strip()[:10]!r} is not understood")
            self._words.append((str(word.lastgroup), word[word.lastgroup or 0]))
            at = word.end()
        if len(self._words) > _WORDS_MAX:
            raise QueryRefused(f"A JSON path has at most {_WORDS_MAX} words here; this one has {len(self._words)}.")
        sequence = self._sum()
        if self._at < len(self._words):
            raise self._error(f"{self._words[self._at][1]!r} is not expected there")
        return sequence

    # -- words

    def _error(self, reason: str) -> QueryFailed:
        return QueryFailed(f"INVALID_PATH: The JSON path {self._path!r} is not valid: {reason}.")

    def _refused(self, what: str) -> QueryRefused:
        return QueryRefused(f"The JSON path {self._path!r} has {what}, which is not supported here.")

    def _next(self, *texts: str) -> str | None:
        """The present word, if it is a name or sign among `texts`; then it has been read."""
        if self._at < len(self._words):
            kind, text = self._words[self._at]
            if kind in ("sign", "name") and text in texts:
                self._at += 1
                return text
        return None

    def _expect(self, text: str) -> None:
        if not self._next(text):
            found = repr(self._words[self._at][1]) if self._at < len(self._words) else "the end"
            raise self._error(f"{text!r} is expected in the place of {found}")

    def _word(self) -> tuple[str, str]:
        if self._at == len(self._words):
            raise self._error("it ends too early")
        self._at += 1
        return self._words[self._at - 1]

    def _check_levels(self) -> None:
        if len(self._items) + 3 * len(self._arrays) > _LEVELS_MAX:
            raise self._refused("too many filters and positions inside each other")

    def _name(self, letter: str) -> str:
        return f'"{letter}{next(self._numbers)}#"'

    # -- values

    def _sum(self) -> str:
        left = self._product()
        while sign := self._next("+", "-"):
            left = self._arithmetic(left, sign, self._product())
        return left

    def _product(self) -> str:
        left = self._signed()
        while sign := self._next("*", "/", "%"):
            left = self._arithmetic(left, sign, self._signed())
        return left

    def _signed(self) -> str:
        sign = self._next("-", "+")
        if not sign:
            return self._accessors(self._primary())
        if self._at < len(self._words) and self._words[self._at][0] == "number":
            return self._accessors(self._number(self._word()[1], sign))
        raise self._refused(f"{sign!r} before something else than a number")

    def _arithmetic(self, left: str, sign: str, right: str) -> str:
        if not self._may_compute:
            raise self._refused("arithmetic beside a number of PASSING that is no integer (cast it)")
        sides = [f"trino_path_number({self._apart(side)})" for side in (left, right)]
        pair = self._name("a")
        a, b = f"{pair}[1]", f"{pair}[2]"
        value = f"({a} {'//' if sign == '/' else sign} {f'nullif({b}, 0)' if sign in '/%' else b})"
        return f"list_transform([row({sides[0]}, {sides[1]})], lambda {pair}: trino_path_whole({value}, {a}, {b}))[1]"

    def _primary(self) -> str:
        kind, text = self._word()
        if kind == "text":
            return self._literal(text[1:-1].replace('""', '"'))
        if kind == "number":
            return self._number(text)
        if kind == "variable":
            if text[1:] not in self._variables:
                raise self._error(f"PASSING gives no value for {text}; a name without quotes is in capitals there")
            return self._variables[text[1:]]
        if kind == "sign" and text == "(":
            inner = self._sum()
            self._expect(")")
            return inner
        if text == "$":
            return self._context
        if text == "@" and self._items:
            return f"[{self._items[-1]}]"
        if text == "last" and self._arrays:
            return f"[CAST(CAST(len({self._arrays[-1]}) - 1 AS VARCHAR) AS JSON)]"
        if text in ("true", "false", "null"):
            return self._literal({"true": True, "false": False, "null": None}[text])
        raise self._error(f"{text!r} is not expected there")

    def _number(self, text: str, sign: str = "") -> str:
        if re.fullmatch("[0-9]+", text):
            number = int(text) * (-1 if sign == "-" else 1)
            if abs(number) > 2**63 - 1:
                raise self._error(f"{text} is too large")
            return self._literal(number)
        return self._literal(float(text) * (-1 if sign == "-" else 1))

    @staticmethod
    def _literal(value: object) -> str:
        return f"[CAST({quoted_text(json.dumps(value, ensure_ascii=False))} AS JSON)]"

    def _apart(self, sequence: str) -> str:
        return f"trino_path_apart({sequence})" if self.lax else sequence

    def _each(self, sequence: str, item: str, found: str) -> str:
        """`found`, a list for each item of a sequence, joined to one."""
        return f"trino_path_joined(list_transform({sequence}, lambda {item}: {found}))"

    # -- what follows a value

    def _accessors(self, sequence: str) -> str:
        while True:
            if self._next("."):
                sequence = self._member(sequence)
            elif self._next("["):
                sequence = self._elements(sequence)
            elif self._next("?"):
                self._expect("(")
                item = self._name("p")
                self._items.append(item)
                self._check_levels()
                predicate = self._disjunction()
                self._items.pop()
                self._expect(")")
                sequence = f"list_filter({self._apart(sequence)}, lambda {item}: coalesce({predicate}, FALSE))"
            else:
                return sequence

    def _member(self, sequence: str) -> str:
        missing = NOTHING if self.lax else "NULL"
        item = self._name("i")
        if self._next("*"):
            values = f"CASE WHEN json_type({item}) = 'OBJECT' THEN json_extract({item}, '$.*') ELSE {missing} END"
            return self._each(self._apart(sequence), item, values)
        kind, text = self._word()
        if kind == "name" and self._next("("):
            self._expect(")")
            return self._method(sequence, text)
        if kind not in ("name", "text"):
            raise self._error(f"{text!r} is no name of a member")
        name = text if kind == "name" else text[1:-1].replace('""', '"')
        if re.search(r'["\\*]', name) or not name:
            raise self._refused(f"the name {name!r}")
        member = quoted_text(f'$."{name}"')
        found = f"CASE WHEN json_exists({item}, {member}) THEN [json_extract({item}, {member})] ELSE {missing} END"
        return self._each(self._apart(sequence), item, found)

    def _method(self, sequence: str, name: str) -> str:
        item = self._name("i")
        if name == "size":
            other = "1" if self.lax else "NULL"
            size = f"CASE WHEN json_type({item}) = 'ARRAY' THEN json_array_length({item}) ELSE {other} END"
            return self._each(sequence, item, f"CASE WHEN {size} IS NOT NULL THEN [to_json({size})] END")
        if name == "type":
            kinds = " ".join(f"WHEN '{kind}' THEN '\"{shown}\"'" for kind, shown in _TYPES.items())
            shown = f"CAST(CASE json_type({item}) {kinds} ELSE '\"number\"' END AS JSON)"
            return f"list_transform({sequence}, lambda {item}: {shown})"
        raise self._refused(f"the method {name}()")

    def _elements(self, sequence: str) -> str:
        """`[*]`, or positions from 0 and ranges of them."""
        item, array = self._name("i"), self._name("e")
        elements = f"CASE WHEN json_type({item}) = 'ARRAY' THEN json_extract({item}, '$[*]') "
        elements += f"ELSE {f'[{item}]' if self.lax else 'NULL'} END"
        if self._next("*"):
            self._expect("]")
            return self._each(sequence, item, elements)
        self._arrays.append(array)
        self._check_levels()
        parts = []
        while True:
            begin = end = self._position()
            if self._next("to"):
                end = self._position()
            parts.append(f"{'trino_path_slice' if self.lax else 'trino_path_strict_slice'}({array}, {begin}, {end})")
            if not self._next(","):
                break
        self._expect("]")
        self._arrays.pop()
        sliced = parts[0] if len(parts) == 1 else f"trino_path_joined([{', '.join(parts)}])"
        return self._each(sequence, item, f"list_transform([{elements}], lambda {array}: {sliced})[1]")

    def _position(self) -> str:
        kind, text = self._words[self._at] if self._at < len(self._words) else ("", "")
        following = self._words[self._at + 1][1] if self._at + 1 < len(self._words) else ""
        if kind == "number" and re.fullmatch("[0-9]{1,18}", text) and following in ("]", ",", "to"):
            self._at += 1
            return text
        return f"trino_path_position({self._sum()})"

    # -- predicates: TRUE, FALSE, or NULL for unknown

    def _disjunction(self) -> str:
        parts = [self._conjunction()]
        while self._next("||"):
            parts.append(self._conjunction())
        return parts[0] if len(parts) == 1 else f"({' OR '.join(parts)})"

    def _conjunction(self) -> str:
        parts = [self._predicate()]
        while self._next("&&"):
            parts.append(self._predicate())
        return parts[0] if len(parts) == 1 else f"({' AND '.join(parts)})"

    def _predicate(self) -> str:
        if self._next("!"):
            if self._at < len(self._words) and self._words[self._at][1] in ("(", "exists"):
                return f"(NOT {self._predicate()})"
            raise self._error("parentheses are expected after '!'")
        if self._next("exists"):
            self._expect("(")
            sequence = self._sum()
            self._expect(")")
            return f"(len({sequence}) > 0)"
        start, depth = self._at, (len(self._items), len(self._arrays))
        if self._next("("):
            # A parenthesis begins a predicate or a value.
            try:
                inner = self._disjunction()
                self._expect(")")
            except QueryFailed:
                self._at = start
                del self._items[depth[0] :], self._arrays[depth[1] :]
            else:
                if self._next("is"):
                    self._expect("unknown")
                    return f"({inner} IS NULL)"
                return inner
        return self._comparison()

    def _comparison(self) -> str:
        left = self._sum()
        if self._next("starts"):
            self._expect("with")
            return self._starts_with(left)
        if self._next("like_regex"):
            raise self._refused("like_regex")
        sign = self._next(*_COMPARED)
        if not sign:
            raise self._error("a comparison is expected in a filter")
        orders = f"trino_path_orders({self._apart(left)}, {self._apart(self._sum())})"
        order = self._name("o")
        cases = {**_COMPARED[sign], 12: 2, 13: 3}
        whens = " ".join(f"WHEN {key} THEN {code}" for key, code in cases.items())
        return self._decided(f"list_transform({orders}, lambda {order}: CASE {order} {whens} ELSE 0 END)")

    def _starts_with(self, left: str) -> str:
        kind, text = self._word()
        item = self._name("o")
        if kind == "text":
            prefix = quoted_text(text[1:-1].replace('""', '"'))
        elif kind == "variable" and text[1:] in self._variables:
            value = f"{self._variables[text[1:]]}[1]"
            prefix = f"(CASE WHEN json_type({value}) = 'VARCHAR' THEN {value} ->> '$' END)"
        else:
            raise self._error("starts with takes a text or a variable")
        code = (
            f"CASE WHEN json_type({item}) <> 'VARCHAR' THEN 2 "
            f"ELSE coalesce(CAST(starts_with({item} ->> '$', {prefix}) AS INTEGER), 2) END"
        )
        return self._decided(f"list_transform({self._apart(left)}, lambda {item}: {code})")

    def _decided(self, codes: str) -> str:
        """Lax stops at the first pair that decides, strict looks at all."""
        return f"{'trino_path_lax' if self.lax else 'trino_path_strict'}({codes})"
