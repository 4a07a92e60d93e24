"""Child processes: what they do, and how the owner communicates with them.

A child reads orders from its standard input and writes answers to its standard output, one message after the other:
four bytes of length, then MessagePack. It ends when its input ends, so that a child outlives the owner at most until
its present work is done. A caller that waits for a child that dies gets WorkerDied; the next order starts a new child.

    python -m datawarehouse.runtime.workers convert
    python -m datawarehouse.runtime.workers compact  (as convert, at a lower priority)
    python -m datawarehouse.runtime.workers query
    python -m datawarehouse.runtime.workers job      (one order, then it ends)
    python -m datawarehouse.runtime.workers prepared (forks the others, except for jobs: see `prepared`)
"""

from __future__ import annotations

import contextlib
import gc
import os
import select
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NoReturn

import msgspec

from datawarehouse.clock import WallClock
from datawarehouse.convert.orders import ConvertAnswer, ConvertOrder
from datawarehouse.definition.workgroups import NO_LIMITS, PRODUCTION, Workgroup
from datawarehouse.errors import WorkerDied
from datawarehouse.jobs.orders import JobFailure, JobOrder, JobOutput
from datawarehouse.query.limits import QueryLimits, limit_memory, use_system_memory
from datawarehouse.query.messages import Columns, End, Failure, Head, Message, Piece, Progress, QueryOrder
from datawarehouse.runtime import prepared
from datawarehouse.runtime.prepared import Child, PreparedProcess
from datawarehouse.scratch.limits import ScratchLimits

if TYPE_CHECKING:
    from datawarehouse.query.engine import Engine
    from datawarehouse.query.sources import Sources


class QuerySetup(msgspec.Struct, frozen=True, tag=True):
    """The first message to a child process for queries: where the data is, the limits, and whose queries they are.
    scratch: None for one whose statements write nothing."""

    folder: str
    database: str
    limits: QueryLimits
    workgroup: Workgroup = NO_LIMITS
    scratch: ScratchLimits | None = None


ChildOrder = ConvertOrder | QuerySetup | QueryOrder | JobOrder
ChildAnswer = ConvertAnswer | Message | JobOutput | JobFailure

_ENCODE = msgspec.msgpack.Encoder().encode
_ORDER = msgspec.msgpack.Decoder(ChildOrder)
_ANSWER = msgspec.msgpack.Decoder(ChildAnswer)
LENGTH_BYTES = 4
_NICE = 10
_OUT_OF_MEMORY_SCORE = 500  # between the owner's, usually 0, and 1000, which a job's process has


StartChild = Callable[[str], Child]
"""Starts a child process of one kind."""


def _command(kind: str) -> list[str]:
    return [sys.executable, "-m", "datawarehouse.runtime.workers", kind]


def spawned(kind: str) -> Child:
    """A child process that does its imports itself."""
    return subprocess.Popen(_command(kind), stdin=subprocess.PIPE, stdout=subprocess.PIPE)


@contextlib.contextmanager
def prepared_children() -> Iterator[StartChild]:
    """What starts child processes quickly, where that is possible.

    To be entered before anything is opened or started in this process.
    """
    if not prepared.is_possible():
        yield spawned
        return
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # if it is ignored, as it can be inherited, nobody hears of ends
    process = PreparedProcess(_command("prepared"), _serve_prepared)
    try:
        yield lambda kind: process.child(kind) or spawned(kind)
    finally:
        process.close()


class Worker:
    """A child process of one kind, started with its first order. One order at a time."""

    def __init__(
        self,
        kind: str,
        setup: ChildOrder | None = None,
        time_max_s: float | None = None,
        start_child: StartChild = spawned,
    ) -> None:
        """time_max_s: after this time in one order the process is ended, as if it had died (`convert_time_max_s`)."""
        self.kind = kind
        self._start_child = start_child
        self._setup = setup
        self.time_max_s = time_max_s
        self._is_late = False
        self._process: Child | None = None
        self._lock = threading.Lock()
        self._beginning = threading.Lock()
        self._is_stopped = False

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start the child process now, so that the first order does not wait for it."""
        if self._process and _lives(self._process):
            return
        self._process = self._start_child(self.kind)
        if self._setup:
            self._send(self._setup)

    def run(self, order: ConvertOrder) -> ConvertAnswer:
        """Run an order. Raises WorkerDied, or the error that occurred in the child process."""
        answer = self._asked(order)
        assert isinstance(answer, ConvertAnswer)
        return answer

    def _asked(self, order: ChildOrder) -> ChildAnswer:
        with self._lock:
            self.start()
            with self._in_time():
                self._send(order)
                answer = self._receive()
        if isinstance(answer, Failure):
            raise answer.as_error()
        return answer

    @contextlib.contextmanager
    def _in_time(self) -> Iterator[None]:
        """End the process if it is still at its order when the time is over, whatever it does or does not do."""
        self._is_late = False
        if self.time_max_s is None:
            yield
            return
        watch = threading.Timer(self.time_max_s, self._end_late)
        watch.daemon = True
        watch.start()
        try:
            yield
        finally:
            watch.cancel()

    def _end_late(self) -> None:
        self._is_late = True
        self.kill()

    def begin(self, order: QueryOrder) -> None:
        """Send a query; then call `next_answer` until an End or a Failure comes. Raises WorkerDied, also if it was
        stopped before."""
        with self._beginning:
            if self._is_stopped:
                raise self._died()
            self.start()
            self._send(order)

    def next_answer(self) -> ChildAnswer:
        return self._receive()

    def kill(self) -> None:
        """End the child at once. A caller that waits for it gets WorkerDied."""
        process = self._process
        if process:
            process.kill()

    def stop(self, wait_s: float = 5.0) -> None:
        """Let the child end by itself; kill it if it does not. One that another thread is starting is waited for: it
        would be nobody's."""
        with self._beginning:
            self._is_stopped = True
            process, self._process = self._process, None
        if process is None:
            return
        _close(process.stdin)
        try:
            process.wait(wait_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        _close(process.stdout)

    def _send(self, message: ChildOrder) -> None:
        assert self._process and self._process.stdin
        try:
            write(self._process.stdin, message)
        except (OSError, ValueError):  # ValueError: `stop` has closed the pipe
            raise self._died() from None

    def _receive(self) -> ChildAnswer:
        process = self._process
        if process is None:
            raise self._died()
        assert process.stdout
        try:
            data = _read(process.stdout)
        except ValueError:  # as above
            data = None
        if data is None:
            raise self._died()
        answer: ChildAnswer = _ANSWER.decode(data)
        return answer

    def _died(self) -> WorkerDied:
        code = None
        process = self._process
        if process:
            self.kill()
            code = process.wait()
            _close(process.stdin)
            _close(process.stdout)
            self._process = None
        if self._is_late:
            return WorkerDied(
                f"The {self.kind} process took longer than {self.time_max_s:g} s (convert_time_max_s) and was ended. "
                "Its work was not done and can be repeated."
            )
        return WorkerDied(f"The {self.kind} process ended (status {code}). Its work was not done and can be repeated.")


def _lives(process: Child) -> bool:
    try:
        process.wait(0)
    except subprocess.TimeoutExpired:
        return True
    return False


def _close(pipe: IO[bytes] | None) -> None:
    """Close a pipe. Its buffer may hold bytes that a dead child did not read; closing tries to write them, which
    fails."""
    assert pipe
    with contextlib.suppress(BrokenPipeError):
        pipe.close()


def write(pipe: IO[bytes], message: Any) -> None:
    data = _ENCODE(message)
    pipe.write(len(data).to_bytes(LENGTH_BYTES, "little") + data)
    pipe.flush()


def _read(pipe: IO[bytes]) -> bytes | None:
    size = pipe.read(LENGTH_BYTES)
    if len(size) < LENGTH_BYTES:
        return None
    data = pipe.read(int.from_bytes(size, "little"))
    return data if len(data) == int.from_bytes(size, "little") else None


# -- in the child


def main(kind: str) -> NoReturn:
    """Serve orders until the input ends."""
    if kind == "prepared":
        _serve_prepared()
    # The owner decides when a child ends; a Ctrl-C in its terminal reaches the children as well.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if kind != "job":  # which SIGTERM ends, with all that it started
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    orders, answers = os.fdopen(0, "rb", closefd=False), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # a print must not write between the messages
    if kind == "compact":
        os.nice(_NICE)
    if kind != "job":  # these two take a sixth of a start; a user's job may multiply matrices, and leave garbage
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # numpy would start a thread for each core
        gc.disable()  # what imports make stays
    sending = threading.Lock()

    def send(answer: ChildAnswer | msgspec.Raw) -> None:
        with sending:
            write(answers, answer)

    def tell(answer: Progress) -> None:
        """Send it, unless that would have to wait."""
        if not sending.acquire(blocking=False):
            return
        try:
            if select.select((), (answers,), (), 0)[1]:  # a pipe that is ready takes 4 KiB (POSIX, PIPE_BUF)
                write(answers, answer)
        except BrokenPipeError:
            pass  # the owner died
        finally:
            sending.release()

    serve: dict[str, Callable[[Iterator[ChildOrder]], Iterator[ChildAnswer | msgspec.Raw]]] = {
        "convert": _serve_convert,
        "compact": _serve_convert,
        "query": partial(_serve_query, send=send, tell=tell),
        "job": partial(_serve_job, owner=(orders.fileno(), answers.fileno())),
    }
    try:
        for answer in serve[kind](_orders(orders)):
            send(answer)
    except BrokenPipeError:
        pass  # the owner died, so the answer is not needed
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)  # no work is left, and closing the engine in order takes a while


def _orders(pipe: IO[bytes]) -> Iterator[ChildOrder]:
    while (data := _read(pipe)) is not None:
        yield _ORDER.decode(data)


# Each kind of child imports only what it needs: conversion does not need DuckDB, nor does a job that asks no query. If
# a prepared process forks it, that process has done the imports.


def _serve_prepared() -> NoReturn:
    prepared.serve(import_libraries, main)


def import_libraries() -> None:
    """Import what children need that convert or answer queries. It must start no thread: a fork copies only one."""
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    os.environ["JE_ARROW_MALLOC_CONF"] = "background_thread:false"
    use_system_memory()
    gc.disable()
    import datawarehouse.catalog.catalog
    import datawarehouse.convert.batch
    import datawarehouse.query.engine
    import datawarehouse.query.formats
    import datawarehouse.runtime.reader  # noqa: F401


class _NoPandas:
    """Tells the import system that there is no pandas.

    pyarrow loads pandas, where it is installed, with the first array that it makes, to recognize pandas' own types. A
    process that converts never sees one, and would start more slowly and need more memory.
    """

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name == "pandas":
            raise ModuleNotFoundError("pandas is not loaded in a process that converts.", name=name)


def _serve_convert(orders: Iterator[ChildOrder]) -> Iterator[ChildAnswer]:
    from datawarehouse.convert.batch import BatchConverter, use_fast_memory, use_one_thread

    sys.meta_path.insert(0, _NoPandas())
    use_one_thread()
    use_fast_memory()
    converter = BatchConverter()
    gc.freeze()
    # Conversion makes millions of objects and hardly any cycles: automatic collection, which `main` has disabled, would
    # cost a tenth of the time.
    for order in orders:
        assert isinstance(order, ConvertOrder)
        try:
            yield converter.run(order)
        except Exception as error:
            yield Failure.of(error)
        gc.collect()


def _serve_job(orders: Iterator[ChildOrder], owner: tuple[int, int]) -> Iterator[ChildAnswer | msgspec.Raw]:
    from datawarehouse.runtime.job_child import run_of

    setup, order = next(orders), next(orders)
    assert isinstance(setup, QuerySetup) and isinstance(order, JobOrder)
    yield run_of(order, setup.limits, lambda: _engine(setup), owner)


def _engine(setup: QuerySetup) -> Engine:
    """Load the query engine, which takes longer than many a job, and open the catalog."""
    from datawarehouse.catalog.catalog import Catalog
    from datawarehouse.folder import catalog_path
    from datawarehouse.query.engine import Engine
    from datawarehouse.query.scratch_tables import scratch_rights
    from datawarehouse.runtime.reader import read_json

    folder = Path(setup.folder)
    catalog, clock = Catalog(catalog_path(folder), writable=False), WallClock()
    scratch = scratch_rights(setup.scratch, folder, clock) if setup.scratch else None
    return Engine(setup.database, catalog, folder, setup.limits, read_json, clock, setup.workgroup, scratch)


def _give_way() -> None:
    """Let this process, and the threads that it starts from now on, run when no other process wants a processor.

    For one with a low priority alone (nice) another that wakes up waits some milliseconds. Linux interrupts one with
    the policy SCHED_IDLE at once, and takes its processor for a free one (sched(7); kernel/sched/fair.c).
    """
    os.nice(_NICE)
    if sys.platform == "linux":
        with contextlib.suppress(OSError):  # where a container forbids the call, its priority is low at least
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
        with contextlib.suppress(OSError):  # if memory is short, the kernel ends it before the owner
            Path("/proc/self/oom_score_adj").write_text(str(_OUT_OF_MEMORY_SCORE))


def _serve_query(
    orders: Iterator[ChildOrder], send: Callable[[ChildAnswer], None], tell: Callable[[Progress], None]
) -> Iterator[ChildAnswer]:
    """send, tell: for messages that come while the engine works, and for those that nobody misses."""
    use_system_memory()
    from datawarehouse.query.formats import encoded
    from datawarehouse.query.names import distinct

    setup = next(orders)
    assert isinstance(setup, QuerySetup)
    if setup.workgroup.name != PRODUCTION:
        _give_way()
    engine = _engine(setup)
    engine.warm_up()

    def on_sources(sources: Sources) -> None:
        send(Head(sources.files, sources.bytes, sources.partitions, sources.update))

    def on_share(share: float) -> None:
        tell(Progress(share))

    limit_memory(setup.limits.memory_bytes_max)
    gc.freeze()
    gc.enable()
    for order in orders:
        assert isinstance(order, QueryOrder)
        try:
            if order.dry_run:
                decision = engine.decide(order.sql, order.parameters, full_scan=order.full_scan, **_whose(order))
                told = decision.values() | {"text": str(decision)}
                yield from (Head(0, 0), Piece(msgspec.json.encode(told) + b"\n"), End(0))
                continue
            limits: dict[str, Any] = {"full_scan": order.full_scan, "bytes_max": order.bytes_max, **_whose(order)}
            hearing: dict[str, Any] = {"on_sources": on_sources, "on_share": on_share}
            with engine.answer(order.sql, order.parameters, **limits, **hearing) as answer:
                yield Columns(distinct(answer.schema.names), list(map(str, answer.types)))
                for piece in encoded(answer.schema, answer.batches, order.format, answer.types):
                    yield Piece(piece, answer.rows)
                yield End(answer.rows)
        except Exception as error:
            yield Failure.of(error)


def _whose(order: QueryOrder) -> dict[str, Any]:
    return {"only": order.tables, "session": order.session, "asker": order.asker}


if __name__ == "__main__":
    main(sys.argv[1])
