"""What `dw init --from` makes of files of events: a table for each, and a test that a sample is stored."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from textwrap import indent

from datawarehouse.cli.check import Checked, checked
from datawarehouse.cli.output import print_table, quantity
from datawarehouse.definition.documents import Object, documents
from datawarehouse.definition.inference import InferredColumn, column_name, infer
from datawarehouse.definition.rejects import Reject
from datawarehouse.definition.tables import checked_columns, checked_table_name
from datawarehouse.errors import BadRequest, DeclarationError
from datawarehouse.runtime.event_files import event_file

SAMPLE_EVENTS, SAMPLE_BYTES = 10_000, 32 * 1024 * 1024
_PARTITION_KEY = "inserted_at"
_EXAMPLE_BYTES_MAX = 2_000


@dataclass(frozen=True)
class Draft:
    """checked: what becomes of the sample. example: one of its events, as JSON; None if all are very long."""

    table: str
    file: Path
    form: str
    columns: list[InferredColumn]
    checked: Checked
    is_whole: bool
    example: bytes | None

    def declared(self) -> dict[str, str | tuple[str, str]]:
        return _declared(self.columns)


def _declared(columns: Iterable[InferredColumn]) -> dict[str, str | tuple[str, str]]:
    return {each.name: each.type if each.key is None else (each.type, each.key) for each in columns}


def drafted(files: Iterable[Path]) -> list[Draft]:
    """A table for each file. Raises BadRequest for a file that cannot be read, or in which there is no event."""
    found: list[Draft] = []
    for path in files:
        name = column_name(path.name.split(".")[0])
        try:
            checked_table_name(name)
        except DeclarationError:  # it is reserved
            name += "_events"
        table = name
        number = 2
        while table in {draft.table for draft in found}:
            table, number = f"{name}_{number}", number + 1
        found.append(_draft(path, table))
    return found


def _draft(path: Path, table: str) -> Draft:
    with event_file(path) as file:
        source, form = iter(file.lines), file.form
        lines = list(_sample(source))
        is_whole = next(source, None) is None
    columns = infer(_objects(lines), only_texts=form == "CSV", taken=(_PARTITION_KEY,))
    if not columns:
        raise BadRequest(
            f"No event was found in {path}, read as {form}: an event is a JSON object on a line of its own, such as "
            '{"id": "1"}, an element of one array, or a row of CSV or Parquet.'
        )
    found = checked(lines, checked_columns(table, _declared(columns)))
    example = next((line for line in lines if len(line) <= _EXAMPLE_BYTES_MAX and any(_objects([line]))), None)
    return Draft(table, path, form, columns, found, is_whole, example)


def _sample(lines: Iterable[bytes]) -> Iterator[bytes]:
    size = 0
    for line in islice(lines, SAMPLE_EVENTS):
        yield line
        size += len(line)
        if size > SAMPLE_BYTES:
            return


def _objects(lines: Iterable[bytes]) -> Iterator[Object]:
    for line in lines:
        try:
            yield from documents(line)
        except Reject:
            continue  # `checked` counts it


def declaration_of(drafts: Sequence[Draft]) -> str:
    """A chain of one call is not in parentheses, as formatters have it."""
    calls = [_call(draft) for draft in drafts]
    made = 'Warehouse("analytics_dw")'
    chain = indent("\n".join([made, *calls]), "    ")
    text = f"{made}{calls[0]}" if len(calls) == 1 else f"(\n{chain}\n)"
    return f"from datawarehouse import Warehouse\n\nwarehouse = {text}\n"


def _call(draft: Draft) -> str:
    columns = "".join(f"        {_text(name)}: {_literal(kind)},\n" for name, kind in draft.declared().items())
    return f".with_streaming_input_table(\n    {_text(draft.table)},\n    columns={{\n{columns}    }},\n)"


def _literal(kind: str | tuple[str, str]) -> str:
    return _text(kind) if isinstance(kind, str) else f"({', '.join(map(_text, kind))})"


def _text(text: str) -> str:
    """As a literal of Python, which JSON's are too."""
    return json.dumps(text, ensure_ascii=False)


def tests_of(drafts: Iterable[Draft]) -> str:
    text = '"""Each test gets `warehouse`, a new warehouse of warehouse.py, and controls its clock."""\n'
    for draft in drafts:
        if draft.example is None:
            continue
        text += (
            f"\n\ndef test_an_event_of_{draft.table}_is_stored(warehouse):\n"
            f"    warehouse.put({draft.table!r}, {draft.example.strip()!r})\n"
            f"    assert list(warehouse.query('select count(*) from {draft.table}')) == [(1,)]\n"
        )
    return text


def print_drafts(drafts: list[Draft], folder: Path) -> None:
    for draft in drafts:
        events = draft.checked.events
        sample = "all" if draft.is_whole and events > 1 else "the" if draft.is_whole else "the first"
        print(f"{draft.table}, from {sample} {quantity(events, 'event')} of {draft.file} ({draft.form}):")
        rows = [(each.name, each.type, _why(each)) for each in draft.columns]
        print_table(("column", "type", "why"), rows)
        print(f"of these, {draft.checked.rows} would be stored and {draft.checked.rejected} rejected\n")
    first = drafts[0]
    is_here = str(folder) == "."
    file = shlex.quote(str(first.file if is_here else first.file.absolute()))
    print(f"Wrote {folder / 'warehouse.py'}; change a type there if you know better. Next:")
    print(f"  {'' if is_here else f'cd {shlex.quote(str(folder))}; '}dw check {file} --table {first.table}")
    print("  dw up")
    print(f"and in another terminal: dw send {first.table} {file}")


def _why(column: InferredColumn) -> str:
    return column.why if column.key is None else f"key {column.key!r}: {column.why}"
