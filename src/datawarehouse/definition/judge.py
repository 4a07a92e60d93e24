"""Whether a record can be converted, by the exact rules, without making rows of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from datawarehouse.definition.coercion import by_name, members, rule_for
from datawarehouse.definition.documents import documents
from datawarehouse.definition.rejects import PARSE_ERROR, Reason, Reject
from datawarehouse.definition.tables import Column


def judge_of(columns: Sequence[Column]) -> Callable[[bytes], Reason | None]:
    """A function that says why a record is rejected; None if it is not."""
    names, keys = [column.name for column in columns], [column.json_key for column in columns]
    rules = [rule_for(column.type) for column in columns]

    def judge(record: bytes) -> Reason | None:
        try:
            for document in documents(record):
                found = members(document)
                by_name(names, rules, [found.get(key) for key in keys])
        except Reject as reject:
            return reject.reason
        except RecursionError:
            return Reason(PARSE_ERROR, "values nested at most about 500 levels", "a deeper value")
        return None

    return judge
