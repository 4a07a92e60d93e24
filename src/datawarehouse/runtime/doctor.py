"""What is wrong with a data folder, and its repair: each thing is a finding, with what mends it if no guess is needed.

The looks are in one order, because each needs what the looks before it have found or mended:

  1. `places`: a file where a folder belongs, or a folder where a file belongs.
  2. `format`: the file FORMAT.
  3. `catalog`: missing, damaged, of another folder, or older than the data. It is made again of the record of commits,
     or, where that has a gap, of the files and journals (`rebuild.py`).
  4. `streams`: each stream's journal, compared with the catalog.
  5. `files`: live data files that are missing or not what was written.
  6. `scratch`: lists and files of what keys have made.
  7. `leftovers`: what dead processes left.

A look changes nothing: it works on a copy of the catalog. A repair makes the same looks, and mends after each one what
that one has found. It deletes nothing: what it replaces is moved to `_aside/`, under the path that it had.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from datawarehouse.catalog import commits
from datawarehouse.catalog.catalog import Catalog
from datawarehouse.catalog.check import BESIDE, CatalogLook, begin_at, look_at, prepared, put_in_place, upgraded
from datawarehouse.catalog.records import File
from datawarehouse.catalog.schema import VERSION
from datawarehouse.catalog.store import StoreError, commits_folder
from datawarehouse.clock import Clock
from datawarehouse.definition.tables import StreamingInputTable, Table
from datawarehouse.definition.warehouse import Warehouse
from datawarehouse.durable import ASIDE_SUFFIX, LOCAL_DISK, publish
from datawarehouse.errors import DataWarehouseError, FolderError, FormatTooNew
from datawarehouse.folder import (
    FORMAT,
    aside_root,
    bring_up_to_date,
    catalog_path,
    check_format,
    check_restored,
    folder_id,
    holder_of,
    is_new,
    journal_root,
    owned_as_it_is,
    set_aside,
    write_format,
)
from datawarehouse.journal.journal import CUT_SUFFIX
from datawarehouse.journal.place import place_of
from datawarehouse.parquet.digest import digest_of
from datawarehouse.runtime.findings import NOTHING, Finding, of_scratch
from datawarehouse.runtime.journal_repair import StreamLook, convert_what_is_there, look_at_stream
from datawarehouse.runtime.opening import FOLDER_NOTE
from datawarehouse.runtime.upgrades import UPGRADES
from datawarehouse.tidy.orphans import files_of, is_named_as_ours, on_disk

_IS_FOLDER = "it is a folder where a file belongs"
_FORBIDDEN = "this user may not read it"
_REPLACED = "what it replaces is moved to _aside/"


class Doctor:
    """Looks at a data folder, and repairs it. One use each."""

    def __init__(self, folder: Path, warehouse: Warehouse | None, clock: Clock, scratch: Path) -> None:
        """warehouse: the declaration; None if there is none, and then a catalog cannot be made of files alone. scratch:
        an empty folder for copies."""
        self.folder = folder
        self._warehouse = warehouse
        self._clock = clock
        self._scratch = scratch
        self._catalog: Path | None = None
        self.has_owner = False
        self._is_newer = False  # written by a newer release: nothing is repaired
        self._id = ""  # of the folder, as FORMAT says or should say
        self._looks = (
            self._places,
            self._format,
            self._find_catalog,
            self._streams,
            self._files,
            self._tables_of_keys,
            self._leftovers,
        )

    def look(self) -> list[Finding]:
        """What is wrong; nothing is changed. Raises FolderError if there is no data folder."""
        self._check_is_one()
        self.has_owner = holder_of(self.folder) is not None
        return [finding for look in self._looks for finding in look()]

    def repair(self) -> list[Finding]:
        """Mend what can be mended without a guess; returns what was found, as it was before. Raises FolderInUse."""
        self._check_is_one()
        lock = self.folder / "_lock"  # the folder can be owned only after it has been moved away
        found = [self._moved(lock, _IS_FOLDER)] if lock.is_dir() else []
        with owned_as_it_is(self.folder):
            for look in self._looks:
                for finding in look():
                    found.append(finding)
                    if finding.mend:
                        finding.mend()
                        if self._catalog:
                            self._catalog = self._looked_at().copy
                if look == self._format:
                    self._upgrade()
        return found

    def _check_is_one(self) -> None:
        if not self.folder.is_dir():
            raise FolderError(f"There is no data folder {self.folder}. Give the right one with --data.")
        check_restored(self.folder)
        parts = (self.folder / "FORMAT", catalog_path(self.folder), journal_root(self.folder))
        if not any(path.exists() for path in (*parts, commits_folder(catalog_path(self.folder)))):
            raise FolderError(f"{self.folder} is not a data folder. Give the right one with --data.")

    def _upgrade(self) -> None:
        """Bring a folder of an earlier release up to date, as its next opening would."""
        with suppress(FolderError):  # the looks that follow say what is wrong with it
            if check_format(self.folder) < FORMAT:
                bring_up_to_date(self.folder, UPGRADES)

    # -- 1: what kind each thing is

    def _places(self) -> Iterator[Finding]:
        folders = [journal_root(self.folder), commits_folder(catalog_path(self.folder)), aside_root(self.folder)]
        files = [self.folder / "_lock", self.folder / "FORMAT", catalog_path(self.folder)]
        if journal_root(self.folder).is_dir():
            folders += [path for path in journal_root(self.folder).iterdir() if not path.name.startswith(".")]
        for path in [path for path in folders if path.exists() and not path.is_dir()]:
            yield self._moved(path, "it is a file where a folder belongs")
        for path in [path for path in files if path.exists() and not path.is_file()]:
            yield self._moved(path, _IS_FOLDER)

    def _moved(self, path: Path, cause: str, loss: str = NOTHING, *, is_damage: bool = True) -> Finding:
        name = str(path.relative_to(self.folder))
        if path == aside_root(self.folder):
            return Finding(name, cause, loss, "move it away, since things are set aside in a folder of this name")
        return Finding(
            name, cause, loss, "it is moved to _aside/", lambda: set_aside(self.folder, name), is_damage=is_damage
        )

    # -- 2: the format

    def _format(self) -> Iterator[Finding]:
        path = self.folder / "FORMAT"
        self._id = folder_id(self.folder)
        if is_new(self.folder) and not path.exists():
            return
        try:
            if path.is_file():
                check_format(self.folder)
                if self._is_format_ours():
                    return
                cause = "it is of another data folder"
            else:
                cause = "it is missing" if not path.exists() else "it is a folder"
        except FormatTooNew as error:
            yield Finding("FORMAT", str(error), NOTHING, "install the newer release")
            self._is_newer = True
            return
        except FolderError:
            cause = "it does not hold the version of a data folder"
        looked = self._looked_at()
        version = looked.version or FORMAT
        source = "the catalog" if looked.version else "what is in the folder"
        own = self._id = self._noted_id(looked)

        def mend() -> None:
            if path.exists():
                set_aside(self.folder, "FORMAT")
            write_format(self.folder, version, own)

        yield Finding("FORMAT", cause, NOTHING, f"it is written again, with version {version}, as {source} says", mend)

    def _is_format_ours(self) -> bool:
        """False if the catalog and the record of commits, which fit each other and the files, are of another folder."""
        if self.has_owner or not self._id:
            return True
        looked = self._looked_at()
        noted = self._noted_id(looked)
        if noted in ("", self._id):
            return True
        made = Path(tempfile.mkdtemp(dir=self._scratch)) / catalog_path(self.folder).name
        with suppress(StoreError, OSError):
            if commits.rebuild(commits_folder(catalog_path(self.folder)), made) == looked.number:
                with closing(Catalog(made, writable=False)) as catalog:
                    return catalog.noted(FOLDER_NOTE) != noted or not has_files(self.folder, catalog)
        return True

    def _noted_id(self, looked: CatalogLook) -> str:
        if looked.problem:
            return ""
        with closing(Catalog(looked.copy, writable=False)) as catalog:
            return str(catalog.noted(FOLDER_NOTE) or "")

    # -- 3: the catalog

    def _looked_at(self) -> CatalogLook:
        place = Path(tempfile.mkdtemp(dir=self._scratch))
        return look_at(catalog_path(self.folder), place)

    def _find_catalog(self) -> Iterator[Finding]:
        """Find a catalog to go on with."""
        path = catalog_path(self.folder)
        if self.has_owner:  # it has compared its catalog when it opened it
            self._catalog = path
            return
        if is_new(self.folder) or self._is_newer:
            return
        if path.is_file() and not os.access(path, os.R_OK):
            yield Finding(path.name, "this user may not read it", NOTHING, "give this user the right to read it")
            return
        shm = path.with_name(path.name + "-shm")
        if shm.exists() and not shm.stat().st_mode & 0o200:
            yield Finding(shm.name, "it cannot be written", NOTHING, "it is made writable", lambda: shm.chmod(0o644))
        looked = self._looked_at()
        if looked.version is not None and looked.version > VERSION:
            yield Finding(path.name, "it was written by a newer release", NOTHING, "install the newer release")
            return
        if looked.version is not None and (self._version() or VERSION) <= looked.version < VERSION:
            upgraded(looked.copy, looked.version)  # as the next opening does, also if one was killed
            looked = replace(looked, problem="", version=VERSION)
        if not looked.problem and not self._is_ours(looked.copy):
            looked = replace(looked, problem="it is of another data folder", number=0)
        problem = looked.problem or self._fault_of(looked.copy, looked.number)
        if problem:
            yield self._made_again(looked, problem)
            return
        self._catalog = looked.copy
        noted, made = commits.last_commit(commits_folder(path)) or 0, self._of_commits()
        if noted and (made is None or made[1] < noted):
            yield self._moved(
                commits_folder(path),
                f"it does not give all commits up to the last, which is {noted}; a lost catalog could not be made again"
                " of it",
            )

    def _version(self) -> int | None:
        try:
            return check_format(self.folder)
        except FolderError:
            return None

    def _is_ours(self, catalog: Path) -> bool:
        """Whether a catalog is not known to be of another folder."""
        with closing(Catalog(catalog, writable=False)) as opened:
            return not self._id or opened.noted(FOLDER_NOTE) in (None, self._id)

    def _fault_of(self, catalog: Path, number: int) -> str:
        """What shows that commits are missing in a catalog of this folder; empty if nothing does."""
        noted = commits.last_commit(commits_folder(catalog_path(self.folder))) or 0
        if number < noted:
            return f"it is older than its data: it ends with commit {number}, and commit {noted} was made"
        with closing(Catalog(catalog, writable=False)) as opened:
            unknown = first_unknown(self.folder, opened)
        return (
            f"it is older than its data: it does not know {unknown}, of which nothing else is left" if unknown else ""
        )

    def _made_again(self, looked: CatalogLook, problem: str) -> Finding:
        """The finding for a catalog that cannot be used; what takes its place is made here, in the scratch folder."""
        name = catalog_path(self.folder).name
        of_commits = self._of_commits()
        if of_commits and of_commits[1] >= looked.number and not self._fault_of(*of_commits):
            made, number = of_commits
            self._catalog = made
            how = f"it is made again of the record of commits, up to the last, which is {number}; {_REPLACED}"
            return Finding(name, problem, NOTHING, how, lambda: self._put_in_place(made, keep_commits=True))
        try:
            made, unknown, how = self._of_files(looked, of_commits)
        except DataWarehouseError as error:
            return Finding(
                name, problem, "nothing yet", f"nothing, since a catalog cannot be made of the files: {error}"
            )
        self._catalog = made
        loss = "what only a catalog knows: " + "; ".join(unknown)
        return Finding(name, problem, loss, how, lambda: self._put_in_place(made, keep_commits=False))

    def _of_commits(self) -> tuple[Path, int] | None:
        """(a catalog, the number of its last commit) of the record of commits, if that gives one of this folder."""
        folder = commits_folder(catalog_path(self.folder))
        made = Path(tempfile.mkdtemp(dir=self._scratch)) / catalog_path(self.folder).name
        try:
            number = commits.rebuild(folder, made) if folder.is_dir() else None
        except (StoreError, OSError):
            return None
        return None if number is None or not self._is_ours(made) else (made, number)

    def _of_files(self, looked: CatalogLook, of_commits: tuple[Path, int] | None) -> tuple[Path, list[str], str]:
        """(a catalog, what is not known, what was done) of the files and journals, and of the latest catalog of this
        folder that is left."""
        from datawarehouse.runtime.rebuild import Rebuild  # it loads Arrow, which a look at a healthy folder needs not

        found = [of_commits] if of_commits else []
        if looked.version is not None and looked.problem in ("", f"it is of format {looked.version}"):
            upgraded(looked.copy, looked.version)
            found.append((looked.copy, looked.number))
        made = Path(tempfile.mkdtemp(dir=self._scratch)) / catalog_path(self.folder).name
        source, number = max(found, key=lambda each: each[1], default=(None, 0))
        if source:
            put_in_place(source, made)
        elif self._warehouse is None:
            raise FolderError("nothing but the declaration says which tables there are; give it with --warehouse")
        with closing(Catalog(made, writable=True, new=source is None)) as catalog:
            rebuild = Rebuild(self.folder, catalog, self._warehouse, self._clock.now_ms(), new=source is None)
            rebuild.run()
        noted = commits.last_commit(commits_folder(catalog_path(self.folder))) or 0
        begin_at(made, max(noted, number) + 1)
        begun = f", beginning with what was known at commit {number}" if source else ""
        return made, rebuild.unknown, f"it is made again of the data files and journals{begun}; {_REPLACED}"

    def _put_in_place(self, made: Path, *, keep_commits: bool) -> None:
        path = catalog_path(self.folder)
        whole = prepared(made, path)
        for end in BESIDE:
            if path.with_name(path.name + end).exists():
                set_aside(self.folder, path.name + end)
        publish(LOCAL_DISK, whole, path)
        if not keep_commits and commits_folder(path).exists():
            set_aside(self.folder, commits_folder(path).name)
        write_format(self.folder, FORMAT)

    # -- 4: the journals

    def _streams(self) -> Iterator[Finding]:
        if self._catalog is None or self.has_owner:
            return
        with closing(Catalog(self._catalog, writable=False)) as catalog:
            looks = [look_at_stream(self.folder, catalog, name) for name in catalog.streams()]
        for look in looks:
            if look.problems:
                yield Finding(
                    f"_journal/{look.stream}",
                    " ".join(look.problems),
                    look.loss,
                    "it is copied to _aside/, and what is there is converted, with a reject for each record that is "
                    "known to be lost",
                    self._converting(look),
                )

    def _converting(self, look: StreamLook) -> Callable[[], None]:
        def mend() -> None:
            with self._opened() as catalog:
                convert_what_is_there(self.folder, catalog, look.stream, self._clock)

        return mend

    # -- 5: data files

    def _files(self) -> Iterator[Finding]:
        if self._catalog is None:
            return
        with closing(Catalog(self._catalog, writable=False)) as catalog:
            tables = [table.name for table in catalog.tables(undeclared=True)]
            live = [file for name in tables for file in catalog.ledger.live(name)]
            known = catalog.paths()
        for file in live:
            yield from self._of_file(file)
        for name in tables:
            for path, _ in files_of(self.folder, name):
                if path not in known and not is_named_as_ours(path.removesuffix(ASIDE_SUFFIX)):
                    yield Finding(
                        path, "it is a data file that this warehouse has not written", NOTHING,
                        "it is left where it is, and is not read", is_damage=False,
                    )  # fmt: skip

    def _of_file(self, file: File) -> Iterator[Finding]:
        path = self.folder / file.path
        problem = problem_with(path, file)
        if problem == _FORBIDDEN:
            yield Finding(file.path, problem, NOTHING, "give this user the right to read it")
            return
        if problem and self.has_owner and not self._is_live(file):
            return  # its owner has replaced and deleted it meanwhile
        if not problem:
            if file.damage:
                there = path.stat()

                def mend() -> None:
                    with self._opened() as catalog:
                        catalog.ledger.mark_sound(file, there.st_ino, there.st_mtime_ns)

                yield Finding(file.path, f"it was damaged ({file.damage}) and is again what was written", NOTHING,
                              "queries read it again", mend)  # fmt: skip
            return
        thing = "rows" if file.kind == "rows" else "rejected records"
        where = "" if "missing" in problem else "it is moved to _aside/, and "
        yield Finding(
            file.path, problem, f"{file.rows} {thing} of table {file.table}, hour {file.partition}",
            f"{where}what it held is counted as lost; the rest of the table can be queried",
            lambda: self._write_off(file),
        )  # fmt: skip

    def _is_live(self, file: File) -> bool:
        with closing(Catalog(catalog_path(self.folder), writable=False)) as catalog:
            return catalog.accounts.is_live(file.path)

    def _write_off(self, file: File) -> None:
        if (self.folder / file.path).exists():
            set_aside(self.folder, file.path)
        with self._opened() as catalog:
            catalog.ledger.write_off([file])

    # -- 6: what keys have made

    def _tables_of_keys(self) -> Iterator[Finding]:
        return of_scratch(self.folder, self._clock)

    # -- 7: what was left

    def _leftovers(self) -> Iterator[Finding]:
        if not self.has_owner:
            left = list(self.folder.glob("_*.progress")) + list(self.folder.glob(f"*{ASIDE_SUFFIX}"))
            left += list(journal_root(self.folder).glob(f"*/*{CUT_SUFFIX}"))
            left += list(commits_folder(catalog_path(self.folder)).glob(f"*{ASIDE_SUFFIX}"))
            for path in sorted(left):
                yield self._moved(path, "a process that died has left it", is_damage=False)
        aside = [path for path in aside_root(self.folder).rglob("*") if path.is_file()]
        if aside:
            size = sum(path.stat().st_size for path in aside)
            yield Finding(
                "_aside", f"{len(aside)} files of {size} bytes were set aside", NOTHING,
                "look at them, and delete them when you need them no longer", is_damage=False,
            )  # fmt: skip

    @contextmanager
    def _opened(self) -> Iterator[Catalog]:
        """The catalog of the folder, to write."""
        with closing(Catalog(catalog_path(self.folder), writable=True)) as catalog:
            yield catalog
            catalog.store.snapshot_if_due()


def problem_with(path: Path, file: File) -> str:
    """What is wrong with a live file; empty if nothing is. Its bytes are read if the file system says anything new."""
    try:
        there = path.stat()
        if not path.is_file():
            return "it is not a file"
        if there.st_size != file.bytes:
            return f"it has {there.st_size} bytes, and {file.bytes} were written"
        is_as_it_was = (there.st_ino, there.st_mtime_ns) == (file.inode, file.modified_ns)
        if (not is_as_it_was or file.damage) and file.digest and digest_of(path) != file.digest:
            return "its bytes are not those that were written"
    except FileNotFoundError:
        return "it is missing"
    except PermissionError:
        return _FORBIDDEN
    except OSError as error:
        return f"it cannot be read ({error.strerror})"
    return file.damage or "" if not file.digest else ""


def has_files(folder: Path, catalog: Catalog) -> bool:
    """Whether a file that a catalog has as live is there, if it has any."""
    live = [file for table in catalog.tables() for file in catalog.ledger.live(table.name)]
    return not live or any((folder / file.path).exists() for file in live)


def first_unknown(folder: Path, catalog: Catalog) -> str:
    """A data file that a catalog does not know and should, as its records are nowhere else; empty if there is none."""
    known = catalog.paths()
    for table in catalog.tables(undeclared=True):
        if table.kind == Table.kind:
            continue
        unknown = on_disk(folder, table.name, known).files
        gone = {file.path for file in catalog.ledger.live(table.name) if not (folder / file.path).exists()}
        record = first = 0
        if unknown and table.kind == StreamingInputTable.kind:
            record, first = catalog.converted(table.name).next_record, _first_record(folder, table.name)
        for file in unknown:
            spans, run = file.footer.spans, file.footer.run
            is_beyond = bool(spans) and record <= spans[-1][1] < first
            if is_beyond or not gone.isdisjoint(file.footer.replaces) or (run and catalog.runs.is_unknown(run[0])):
                return file.path
    return ""


def _first_record(folder: Path, stream: str) -> int:
    """The number of the first record that a stream's journal has; a number beyond all if it has none."""
    first = place_of(LOCAL_DISK, journal_root(folder) / stream, 0).first_record
    return 2**63 if first is None else first


@contextmanager
def doctor_of(folder: Path, warehouse: Warehouse | None, clock: Clock) -> Iterator[Doctor]:
    """A doctor for one look or one repair."""
    with tempfile.TemporaryDirectory(prefix="dw-doctor-", ignore_cleanup_errors=True) as scratch:
        yield Doctor(folder.absolute(), warehouse, clock, Path(scratch))
