"""Acts of administration on a warehouse that nobody serves: its catalog keeps them until it is served, for the log."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from datawarehouse.catalog.catalog import Catalog
from datawarehouse.definition.instants import written
from datawarehouse.server.access_log import audit_alone

_NOTE = "acts that no log has"
_KEPT_MAX = 1000


@contextmanager
def noted_act(catalog: Catalog, words: str, now_ms: int) -> Iterator[None]:
    """Keep what somebody does, and what came of it. words: of the command, without a secret."""
    before = (catalog.noted(_NOTE) or [])[1 - _KEPT_MAX :]

    def note(outcome: str) -> None:
        catalog.note(_NOTE, [*before, [written(now_ms), words, outcome]])

    note("not known")  # if the process is killed
    try:
        yield
    except Exception as error:
        note(type(error).__name__)
        raise
    note("done")


def tell_acts(catalog: Catalog) -> None:
    """Write to the log what was done since it last had a line."""
    if acts := catalog.noted(_NOTE):
        for at, words, outcome in acts:
            audit_alone(at, words, outcome)
        catalog.note(_NOTE, [])
