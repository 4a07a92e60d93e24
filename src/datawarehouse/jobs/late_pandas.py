"""pandas in a run of a job, or a test of one: loaded when the job imports it, and not before.

pyarrow imports pandas, where it is installed, with the first array that it makes, to recognize pandas' own types. That
takes as long as all else that a run loads, and most jobs never make a data frame.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

import pyarrow as pa


def load_pandas_late() -> None:
    """Keep pyarrow from importing pandas into this process. When something else does, pyarrow knows its types."""
    if "pandas" not in sys.modules and not any(isinstance(each, _Finder) for each in sys.meta_path):
        finder = _Finder()
        sys.meta_path.insert(0, finder)
        pa.array([0])  # here pyarrow looks for pandas; later it looks again only where it cannot do without
        finder.is_kept_away = False


class _Finder:
    """The place where the import system looks first."""

    def __init__(self) -> None:
        self.is_kept_away = True

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name != "pandas":
            return None
        if self.is_kept_away:
            raise ModuleNotFoundError("pandas is not loaded yet.", name=name)
        others = [finder for finder in sys.meta_path if finder is not self and hasattr(finder, "find_spec")]
        spec = next(filter(None, (finder.find_spec(name, path, target) for finder in others)), None)
        if spec and spec.loader:
            execute = spec.loader.exec_module

            def execute_and_tell(module: ModuleType) -> None:
                execute(module)
                with contextlib.suppress(Exception):  # one that pyarrow cannot use may be of use to the job
                    pa.array([0]).to_pandas()

            spec.loader.exec_module = execute_and_tell  # type: ignore[method-assign]
        return spec
