"""What a statement is to Athena, and the statement to run in its place: pure, from text to text.

PREPARE and DEALLOCATE change what a workgroup has prepared; EXECUTE gets the text from there. Parameters that come
beside the statement are literals of SQL, as texts; they go where EXECUTE ... USING has them.

Sources: Amazon Athena API reference, QueryExecution and StartQueryExecution; Amazon Athena user guide, "Use
parameterized queries".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from datawarehouse.errors import BadRequest

DML, DDL, UTILITY = "DML", "DDL", "UTILITY"
PARAMETERS_MAX = 1000
_COMMENTS = re.compile(r"(?:\s+|--[^\n]*(?:\n|$)|/\*.*?\*/)*", re.DOTALL)
_WORDS = re.compile(r"[A-Za-z]+")
_NAME = r"(?:\"(?P<quoted>(?:[^\"]|\"\")+)\"|(?P<name>[A-Za-z_][A-Za-z0-9_]*))"
_PREPARE = re.compile(rf"PREPARE\s+{_NAME}\s+FROM\s+(?P<text>.+)", re.IGNORECASE | re.DOTALL)
_DEALLOCATE = re.compile(rf"DEALLOCATE\s+PREPARE\s+{_NAME}", re.IGNORECASE)
_EXECUTE = re.compile(rf"EXECUTE\s+(?!IMMEDIATE\b){_NAME}(?:\s+USING\s+(?P<using>.+))?", re.IGNORECASE | re.DOTALL)
_IMMEDIATE = re.compile(r"EXECUTE\s+IMMEDIATE\s+'(?P<text>(?:[^']|'')*)'", re.IGNORECASE)
_QUOTED = re.compile(r"'(?:[^']|'')*+'|\"(?:[^\"]|\"\")*+\"")
_OF_QUERY = re.compile(r"\bAS[\s(]*+(?:SELECT|WITH|VALUES|TABLE)\b", re.IGNORECASE)
_DML = {"SELECT", "WITH", "VALUES", "TABLE", "INSERT", "UPDATE", "DELETE", "MERGE", "UNLOAD", "EXECUTE"}
_CHANGES = {"INSERT", "UPDATE", "DELETE", "MERGE", "UNLOAD", "CREATE_TABLE_AS_SELECT"}
_BETWEEN = {"OR", "REPLACE", "EXTERNAL"}
_OTHERWISE = {"CREATE_SCHEMA": "CREATE_DATABASE", "DROP_SCHEMA": "DROP_DATABASE"}
_UTILITY = {"SHOW", "DESCRIBE", "DESC", "EXPLAIN", "PREPARE", "DEALLOCATE"}
_QUERIES = {"WITH", "VALUES", "TABLE", "EXECUTE"}

# No part of these can be read in two ways: one that can takes for ever to find out that a long text does not fit.
_TEXT = r"'(?:[^']|'')*+'"
_NUMBER = r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?"
_ONE = rf"(?:{_TEXT}|{_NUMBER}|true|false|null|[a-z]+(?:\s+[a-z]+)?\s*{_TEXT})"
_CAST = rf"cast\s*\(\s*{_ONE}\s+as\s+[a-z]+(?:\s+[a-z]+)*\s*(?:\([0-9, ]+\)\s*)?\)"
_LITERAL = re.compile(rf"\s*(?:{_ONE}|{_CAST}|array\s*\[\s*(?:{_ONE}\s*(?:,\s*{_ONE}\s*)*)?\])\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Kind:
    """The type of a statement and its kind within that, by Athena's names. has_names: whether the names of the columns
    come first in the result. suffix: of the file with its result; None for what writes rows elsewhere."""

    type: str
    of: str

    @property
    def has_names(self) -> bool:
        return self.type == DML and self.of not in _CHANGES

    @property
    def suffix(self) -> str | None:
        if self.of in _CHANGES:
            return None
        return ".csv" if self.has_names else ".txt"


def kind_of(sql: str) -> Kind:
    """By its first words; of EXECUTE IMMEDIATE by those of the statement within."""
    text = bare(sql)
    if found := _IMMEDIATE.match(text):
        text = bare(found["text"].replace("''", "'"))
    words = _WORDS.findall(text[:200].upper().replace("(", " "))
    first = words[0] if words else ""
    if first in _UTILITY:
        subtype = {"SHOW": "_".join(words[:2]), "DESC": "DESCRIBE"}.get(first, first)
        return Kind(UTILITY, f"{subtype}_TABLE" if subtype == "DESCRIBE" else subtype)
    if first in _DML or not first:
        return Kind(DML, "SELECT" if first in _QUERIES or not first else first)
    if first in ("CREATE", "DROP", "ALTER", "MSCK", "TRUNCATE"):
        subtype = "_".join([first, *[word for word in words[1:] if word not in _BETWEEN][:1]])
        if subtype == "CREATE_TABLE" and _OF_QUERY.search(_QUOTED.sub("''", text)):
            subtype = "CREATE_TABLE_AS_SELECT"
        return Kind(DDL, _OTHERWISE.get(subtype, subtype))
    return Kind(DML, "SELECT")


def bare(sql: str) -> str:
    """Without comments before it and a semicolon behind."""
    return _COMMENTS.sub("", sql, count=1).rstrip().removesuffix(";").rstrip()


def prepared(sql: str) -> tuple[str, str] | None:
    """The name and the text of a PREPARE."""
    found = _PREPARE.fullmatch(bare(sql))
    return (_name(found), found["text"].strip()) if found else None


def deallocated(sql: str) -> str | None:
    """The name of a DEALLOCATE PREPARE."""
    found = _DEALLOCATE.fullmatch(bare(sql))
    return _name(found) if found else None


def meant(sql: str, statements: Mapping[str, str], parameters: Sequence[str]) -> str:
    """The statement to run: the prepared one for an EXECUTE, with its parameters. Raises BadRequest."""
    found = _EXECUTE.fullmatch(bare(sql))
    if found and found["using"] and parameters:
        raise BadRequest("Parameters are given both with USING and as ExecutionParameters. Give them once.")
    text, using = sql, ", ".join(map(checked, parameters))
    if found:
        name = _name(found)
        if name not in statements:
            names = ", ".join(sorted(statements)) or "none"
            raise BadRequest(f"PreparedStatement {name} was not found in workGroup. There are {names}.")
        text, using = statements[name], found["using"] or using
    if not using:
        return text
    quoted = bare(text).replace("'", "''")
    return f"EXECUTE IMMEDIATE '{quoted}' USING {using}"


def checked(parameter: str) -> str:
    """A parameter that is a literal, so that a text from elsewhere is never a part of the statement. Raises
    BadRequest."""
    if not _LITERAL.fullmatch(parameter):
        raise BadRequest(
            f"The execution parameter {parameter[:100]!r} is not a literal of SQL. Send a number as 5, a text as "
            "'abc', others as DATE '2026-01-31', DECIMAL '1.5', true, or CAST('1' AS bigint)."
        )
    return parameter.strip()


def _name(found: re.Match[str]) -> str:
    return found["quoted"].replace('""', '"') if found["quoted"] else str(found["name"])
