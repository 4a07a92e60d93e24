"""What `dw doctor` finds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from datawarehouse.clock import Clock
from datawarehouse.scratch.checking import ScratchProblem, mend_scratch, scratch_problems

NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong.

    what: its path in the data folder. loss: what is lost, exactly where it is known. action: what `dw doctor --repair`
    does or, if `mend` is None, what the user can do. is_damage: false for what is only worth knowing.
    """

    what: str
    cause: str
    loss: str
    action: str
    mend: Callable[[], object] | None = None
    is_damage: bool = True


def of_scratch(folder: Path, clock: Clock) -> Iterator[Finding]:
    """What is wrong with what keys have made."""
    for wrong in scratch_problems(folder, whole=False):

        def mend(wrong: ScratchProblem = wrong) -> None:
            mend_scratch(folder, wrong, clock)

        loss, action = (
            "what this key has made in scratch",
            "it is moved to _aside/ with its rows; this scratch is empty",
        )
        if wrong.table:
            loss = f"{wrong.rows} rows of the scratch table {wrong.table} of {wrong.key}"
            action = "it is moved to _aside/ if it is there; the rest of the table can be queried"
        yield Finding(wrong.path, wrong.problem, loss, action, mend)
