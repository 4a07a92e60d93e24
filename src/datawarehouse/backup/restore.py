"""Makes a data folder from a back-up.

1. Choose the back-up: the newest, or the newest that is not younger than an instant. Its manifest must be whole.
2. Read the copies of its catalog, its journals and its FORMAT. Without one of them nothing is restored.
3. Mark the folder, which is empty or missing, as not restored yet: what is not there is not lost.
4. Copy all files into it, and compare each with its digest. A data file whose copy is damaged is left out and named;
   the catalog gets to know it.
5. FORMAT comes last: before it is there, no release opens the folder. Then the mark is removed.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from datawarehouse.backup.copying import Unreadable, copy
from datawarehouse.backup.make import Progress
from datawarehouse.backup.manifest import CATALOG, DATA, LAYOUT, NEEDED, Kept, Manifest, Problem, shown
from datawarehouse.backup.store import BackupStore
from datawarehouse.catalog.copies import fit
from datawarehouse.catalog.store import StoreError
from datawarehouse.durable import ASIDE_SUFFIX, LOCAL_DISK, create, make_folder, place, remove
from datawarehouse.errors import BackupError
from datawarehouse.folder import catalog_path, restoring_path
from datawarehouse.parquet.digest import digest_of

_NOT_KEPT = "the bytes of its copy are not those that were written"


@dataclass(frozen=True, slots=True)
class Restored:
    """What was restored, from the back-up `manifest`. problems: the files that are missing in the folder."""

    manifest: Manifest
    files: int
    bytes: int
    problems: list[Problem]


def restore(root: Path, folder: Path, at_ms: int | None, on_progress: Callable[[Progress], None]) -> Restored:
    """Restore the newest back-up in `root`, or the newest that is not younger than `at_ms`, into an empty `folder`.

    Raises BackupError, and then the folder is as it was, or has no file FORMAT.
    """
    try:
        with BackupStore.to_read(root) as store:
            manifest = _chosen(store, at_ms)
            _check_needed(store, manifest)
            lock = _taken(folder)
            try:
                return _Restoring(store, manifest, folder.absolute(), on_progress).run()
            finally:
                os.close(lock)
    except (OSError, StoreError) as error:
        raise BackupError(
            f"Restoring into {folder} failed: {error}. The folder is not whole: it has no file FORMAT, and cannot be "
            "opened. Remove what is in it, and try again."
        ) from error


def _chosen(store: BackupStore, at_ms: int | None) -> Manifest:
    moments = store.moments()
    if not moments:
        raise BackupError(f"{store.root} has no back-up that was finished. Nothing was restored.")
    there = f"There are {', '.join(shown(moment) for moment in moments[-20:])}"
    fitting = moments
    if at_ms is not None:  # one that names no milliseconds stands for its whole second
        last_ms = at_ms if at_ms % 1000 else at_ms + 999
        fitting = [moment for moment in moments if moment <= last_ms]
        if not fitting:
            raise BackupError(f"{store.root} has no back-up of {shown(at_ms)} or before. {there}.")
    try:
        return store.manifest(fitting[-1])
    except BackupError as error:
        raise BackupError(f"{error} Nothing was restored. {there}: choose another one with --at.") from None


def _check_needed(store: BackupStore, manifest: Manifest) -> None:
    """Raises BackupError if a file is damaged without which nothing can be opened."""
    for file in manifest.files:
        if file.kind in NEEDED and (problem := _problem(store.copy_of(file.digest), file)):
            others = [moment for moment in store.moments() if moment != manifest.moment_ms]
            raise BackupError(
                f"The back-up of {shown(manifest.moment_ms)} in {store.root} is damaged: the copy of {file.path}, "
                f"{store.copy_of(file.digest)}: {problem}. Nothing was restored. "
                + (
                    f"There are also {', '.join(map(shown, others[-20:]))}: choose one with --at."
                    if others
                    else "There is no other back-up."
                )
            )


def _problem(copied: Path, file: Kept) -> str:
    try:
        return "" if digest_of(copied) == file.digest else _NOT_KEPT
    except FileNotFoundError:
        return "it is missing"
    except OSError as error:
        return f"it cannot be read ({error.strerror})"


def _taken(folder: Path) -> int:
    """The lock of the folder, which is made if it is missing; no owner opens it meanwhile."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        names = sorted(path.name for path in folder.iterdir())
    except BlockingIOError:
        names = ["an owner"]
    if names:
        os.close(lock)
        unfinished = "" if "FORMAT" in names else " It has no file FORMAT: it may be a restore that was interrupted."
        raise BackupError(
            f"{folder} is not empty: it has {', '.join(names[:3])}. Nothing was restored.{unfinished} Give an empty or "
            "a new folder with --data."
        )
    return lock


class _Restoring:
    def __init__(
        self, store: BackupStore, manifest: Manifest, folder: Path, on_progress: Callable[[Progress], None]
    ) -> None:
        self._store = store
        self._manifest = manifest
        self._folder = folder
        self._on_progress = on_progress
        self._progress = Progress(0, len(manifest.files), 0, manifest.bytes)
        self._problems = list(manifest.problems)
        self._stats: list[tuple[str, int, int]] = []
        self._made: set[Path] = set()

    def run(self) -> Restored:
        files = self._manifest.files
        create(LOCAL_DISK, restoring_path(self._folder), [])
        for file in files:
            if file.kind != LAYOUT:
                self._one(file)
        catalog = [file.path for file in files if file.kind == CATALOG]
        layout = [file for file in files if file.kind == LAYOUT]
        if len(catalog) != 1 or len(layout) != 1:
            raise BackupError(f"The back-up of {shown(self._manifest.moment_ms)} has no catalog or no file FORMAT.")
        lost = [(problem.path, problem.problem) for problem in self._problems]
        fit(catalog_path(self._folder), self._stats, lost)
        for made in self._made:
            LOCAL_DISK.sync_folder(made)
        self._one(layout[0])
        LOCAL_DISK.sync_folder(self._folder)
        remove(LOCAL_DISK, [restoring_path(self._folder)])
        missing = {problem.path for problem in self._problems}
        whole = [file for file in files if file.path not in missing]
        return Restored(self._manifest, len(whole), sum(file.bytes for file in whole), self._problems)

    def _one(self, file: Kept) -> None:
        target = self._folder / file.path
        if target.parent not in self._made:
            make_folder(LOCAL_DISK, self._folder, target.parent)
            self._made.add(target.parent)
        aside = self._folder / f"restored{ASIDE_SUFFIX}"
        try:
            digest, _ = copy(self._store.copy_of(file.digest), aside, None, self._piece)
            if digest != file.digest:
                raise Unreadable(_NOT_KEPT)
        except Unreadable as error:
            aside.unlink(missing_ok=True)
            if file.kind in NEEDED:
                raise BackupError(f"The copy of {file.path} is damaged: {error.problem}.") from None
            self._problems.append(Problem(file.path, error.problem))
        else:
            place(LOCAL_DISK, aside, target)
            if file.kind == DATA:
                found = target.stat()
                self._stats.append((file.path, found.st_ino, found.st_mtime_ns))
        self._progress.files += 1

    def _piece(self, size: int) -> None:
        self._progress.bytes += size
        self._on_progress(self._progress)
