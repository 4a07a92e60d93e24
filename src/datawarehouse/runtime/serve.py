"""`dw up`: an owner that serves HTTP until it is told to stop.

1. Refuse an address that others can reach, unless there are keys, and TLS or a proxy (`listening`). Bind the port.
2. Open the warehouse; conversion and queries run in child processes. 3. Serve. Once requests are accepted, write the
   address into the lock file and tell the caller. 4. On SIGTERM or SIGINT: accept no new connections, let answers
   finish, close the warehouse.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import resource
import secrets
import signal
import socket
import ssl
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import msgspec
import uvicorn
import uvloop

from datawarehouse.access.keys import checked
from datawarehouse.backup.make import Made, Progress
from datawarehouse.catalog.catalog import Catalog
from datawarehouse.clock import WallClock, machine_clock
from datawarehouse.definition.instants import instant_of
from datawarehouse.definition.warehouse import Warehouse
from datawarehouse.definition.workgroups import chosen, for_people
from datawarehouse.errors import InternalFailure
from datawarehouse.folder import Holder, catalog_path, history_path, named_queries_path, queries_root
from datawarehouse.intake.group_commit import GroupCommit
from datawarehouse.query.registry import QueryRegistry
from datawarehouse.query.results import Results
from datawarehouse.runtime.acts import tell_acts
from datawarehouse.runtime.connections import Connection, limited
from datawarehouse.runtime.console import Cost, console_of
from datawarehouse.runtime.handshakes import accept
from datawarehouse.runtime.listening import Listening
from datawarehouse.runtime.opening import Means
from datawarehouse.runtime.owner import Owner
from datawarehouse.runtime.query_budgets import QueryBudgets
from datawarehouse.runtime.query_history import QueryHistory
from datawarehouse.runtime.query_pools import QueryPools
from datawarehouse.runtime.status import described
from datawarehouse.runtime.workers import QuerySetup, StartChild, Worker, spawned
from datawarehouse.scratch.store import Scratch
from datawarehouse.server.app import Admin, App
from datawarehouse.server.athena import Athena
from datawarehouse.server.athena_catalog import AthenaCatalog
from datawarehouse.server.athena_named import NamedQueries
from datawarehouse.server.athena_workgroups import Workgroups
from datawarehouse.server.aws_services import AwsServices
from datawarehouse.server.console import Console
from datawarehouse.server.events import Events
from datawarehouse.server.glue import Glue
from datawarehouse.server.identity import Gate
from datawarehouse.server.kinesis import Kinesis
from datawarehouse.server.live_files import LiveFiles
from datawarehouse.server.query import Queries
from datawarehouse.server.s3 import S3
from datawarehouse.server.scratch_schemas import ScratchSchemas
from datawarehouse.server.trino import Trino
from datawarehouse.settings import Settings

log = logging.getLogger("datawarehouse")

_FLUSH_THREADS = 8
_ADMIN_THREADS = 16
_STATUS_THREADS = 2
_RUNS_MAX = 64
_RESULT_THREADS = 2
_FILE_THREADS = 4
_DESCRIPTORS_BESIDE = 256  # for files, pipes and child processes
_GRACEFUL_STOP_S = 2
_PROGRESS_EVERY_S = 0.5


def serve(
    warehouse: Warehouse,
    settings: Settings,
    on_ready: Callable[[str], None],
    start_child: StartChild = spawned,
    cost: Cost | None = None,
    changed_files: Callable[[], list[str]] = list,
) -> None:
    """Serve a warehouse until SIGTERM or SIGINT. on_ready is called with the URL once events are accepted; start_child
    starts the processes that convert, compact and answer queries; cost knows the prices of AWS; changed_files gives
    the files of the declaration that have changed since they were read.

    Raises BadRequest for an address that others can reach without what that needs, FolderError if the port is taken,
    and whatever opening the folder raises.
    """
    listening = Listening.of(settings)
    bound = listening.bind()
    try:
        clock = machine_clock(settings.number("clock_ahead_max_s"))
        opened = Owner(warehouse, settings.folder, settings, clock, Means(changed_files=changed_files))
    except BaseException:
        bound.close()
        raise
    try:
        new_worker = partial(Worker, time_max_s=settings.number("convert_time_max_s"), start_child=start_child)
        tell_acts(opened.catalog)
        opened.start(partial(new_worker, "convert"), partial(new_worker, "compact"))
        gc.freeze()  # the present objects all stay; searching them for garbage repeatedly only takes time
        uvloop.run(_serve(opened, listening, bound, on_ready, start_child, cost))
    finally:
        opened.close()


@dataclass(frozen=True, slots=True)
class Files:
    """What those doors read with that give files: a catalog beside the one that is written, and threads."""

    catalog: Catalog
    executor: Executor

    def close(self) -> None:
        self.executor.shutdown()
        self.catalog.close()


class _Server(uvicorn.Server):
    """uvicorn, without its own signal handlers, and with a call once it accepts connections."""

    def __init__(
        self,
        config: uvicorn.Config,
        connection: type[Connection],
        tls: ssl.SSLContext | None,
        on_started: Callable[[], None],
        on_hang_up: Callable[[], None],
    ) -> None:
        super().__init__(config)
        self._connection, self._tls = connection, tls
        self._on_started, self._on_hang_up = on_started, on_hang_up
        self._accepting: asyncio.Task[None] | None = None

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        loop.add_signal_handler(signal.SIGHUP, self._hang_up)
        yield

    def _hang_up(self) -> None:
        """Read the certificate again. Without one go on, as a service that is told to reload; but stop if it was the
        terminal that hung up."""
        if self._tls:
            self._on_hang_up()
        elif os.isatty(2):
            self.handle_exit(signal.SIGTERM, None)
        else:
            log.info("SIGHUP: there is no certificate to read again")

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        if self._tls and sockets:
            await super().startup([])
            protocol = partial(
                self._connection, config=self.config, server_state=self.server_state, app_state=self.lifespan.state
            )
            self._accepting = accept(sockets[0], self._tls, self._connection.shared, self.server_state, protocol)
        else:
            await super().startup(sockets)
        self._on_started()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self._accepting:
            self._accepting.cancel()
        await super().shutdown(sockets)


async def _serve(
    opened: Owner,
    listening: Listening,
    bound: socket.socket,
    on_ready: Callable[[str], None],
    start_child: StartChild,
    cost: Cost | None,
) -> None:
    settings = opened.settings
    flushing = ThreadPoolExecutor(_FLUSH_THREADS, "flush")
    administrating = ThreadPoolExecutor(_ADMIN_THREADS, "admin")  # calls that wait here must not delay events
    showing = ThreadPoolExecutor(_STATUS_THREADS, "status")  # nor must flushes that wait keep /metrics waiting
    running = ThreadPoolExecutor(_RUNS_MAX, "run")  # nor must a job that hangs delay a flush
    keeping = ThreadPoolExecutor(_RESULT_THREADS, "results")
    pools = _query_pools(opened, start_child)
    results = Results(queries_root(opened.folder))
    results.clear()
    history = QueryHistory(history_path(opened.folder))
    commit = GroupCommit(opened.intake, flushing)
    token = secrets.token_urlsafe(32)
    url = listening.url(bound)

    gate = Gate(opened.keys, token, WallClock(), listening.proxy)
    queries = Queries(_registry(opened, pools, results, keeping, history), _people(opened, showing))
    files = Files(Catalog(catalog_path(opened.folder), writable=False), ThreadPoolExecutor(_FILE_THREADS, "files"))
    console, overview = console_of(opened, gate, files.catalog, queries, showing, running, cost)
    services = _aws_services(opened, commit, queries, files)
    app = _app(opened, commit, queries, services, console, _admin(opened, administrating, showing, running), gate)
    noting = asyncio.create_task(_each_second(overview.note))

    def announce() -> None:
        certificate = listening.certificate
        opened.ownership.announce(Holder(os.getpid(), url, token, opened.longest_query_s, certificate=certificate))

    def started() -> None:
        announce()
        on_ready(url)

    def hang_up() -> None:
        listening.load_again()
        announce()

    connection = limited(
        settings.number("connections_max"), settings.number("request_time_max_s"), opened.intake.refusals.request
    )
    config = _config(app, connection, settings)
    _allow_descriptors(settings.number("connections_max") + _DESCRIPTORS_BESIDE)
    pools.warm_up()
    try:
        await _Server(config, connection, listening.tls, started, hang_up).serve([bound])
    finally:
        noting.cancel()
        pools.stop()
        opened.begin_closing()
        for executor in (administrating, showing, running, flushing):
            executor.shutdown()
        pools.shutdown()
        keeping.shutdown()
        files.close()
        history.close()
        results.clear()


async def _each_second(step: Callable[[], None]) -> None:
    while True:
        await asyncio.sleep(1)
        step()


def _config(app: App, connection: type[Connection], settings: Settings) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=connection,
        ws="none",
        proxy_headers=False,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=settings.number("keep_alive_s"),
        timeout_graceful_shutdown=_GRACEFUL_STOP_S,
    )


def _aws_services(opened: Owner, commit: GroupCommit, queries: Queries, files: Files) -> AwsServices:
    scratch = ScratchSchemas(Scratch.of(opened.scratch_limits, opened.folder, opened.clock))
    workgroups = Workgroups(opened.warehouse.workgroups())
    catalog = AthenaCatalog(opened.warehouse.name, files.catalog, scratch, files.executor)
    named = NamedQueries(named_queries_path(opened.folder), workgroups, files.executor)
    athena = Athena(queries.registry, workgroups, catalog, named, opened.clock)
    return AwsServices(
        Kinesis(opened.intake, commit, opened.clock),
        athena,
        Glue(opened.warehouse.name, files.catalog, scratch, files.executor),
        S3(LiveFiles(files.catalog, opened.folder, files.executor), athena, files.executor),
    )


def _app(
    opened: Owner,
    commit: GroupCommit,
    queries: Queries,
    services: AwsServices,
    console: Console,
    admin: Admin,
    gate: Gate,
) -> App:
    settings = opened.settings
    largest = settings.number("request_bytes_max")
    return App(
        aws=services,
        events=Events(opened.intake, commit, largest, settings.number("request_events_max")),
        queries=queries,
        trino=Trino(queries.registry, opened.warehouse.name, opened.clock),
        console=console,
        admin=admin,
        gate=gate,
        check_key=partial(checked, warehouse=opened.warehouse),
        request_bytes_max=largest,
        on_fault=lambda what, error: opened.faults.met(
            "requests", what, error, "the request was answered with an error"
        ),
        has_access_log=bool(settings["access_log"]),
    )


def _allow_descriptors(wanted: int) -> None:
    """Raise the limit of open files, which is often 1,024, as far as the system lets this process."""
    now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if now < wanted:
        most_here = wanted if most == resource.RLIM_INFINITY else min(wanted, most)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(now, most_here), most))
        if most_here < wanted:
            log.warning(
                "only %d files may be open (ulimit -n), and %d may be needed (connections_max)", most_here, wanted
            )


def _admin(opened: Owner, administrating: Executor, showing: Executor, running: Executor) -> Admin:
    """The owner's operations as coroutines, each in a thread of one of these executors."""
    loop = asyncio.get_running_loop()

    async def flush() -> None:
        await loop.run_in_executor(administrating, opened.flush)

    async def status() -> dict[str, Any]:
        return await loop.run_in_executor(showing, opened.status)

    async def complete() -> dict[str, Any]:
        return await loop.run_in_executor(administrating, opened.complete)

    async def register_partition(table: str, values: list[str], location: str | None) -> None:
        await loop.run_in_executor(administrating, opened.register_partition, table, values, location)

    async def run(job: str, at_ms: int | None) -> dict[str, Any]:
        at = None if at_ms is None else instant_of(at_ms)
        return described(await loop.run_in_executor(running, opened.run, job, at))

    async def accept_clock() -> dict[str, Any]:
        return await loop.run_in_executor(showing, opened.accept_clock)

    async def compact(table: str) -> dict[str, Any]:
        return asdict(await loop.run_in_executor(administrating, opened.compact, table))

    async def expire() -> dict[str, Any]:
        return asdict(await loop.run_in_executor(administrating, opened.expire))

    backup = partial(_backup, opened, running)
    return Admin(
        status,
        flush,
        opened.behind,
        run,
        compact,
        expire,
        register_partition,
        backup,
        opened.not_ready,
        accept_clock,
        complete,
    )


async def _backup(opened: Owner, executor: Executor, to: str, kept: int) -> AsyncGenerator[dict[str, Any]]:
    """Make a back-up in another thread: its progress, and at last what was made. Closing this ends the back-up."""
    progress, unwanted = Progress(), threading.Event()

    def on_progress(now: Progress) -> None:
        nonlocal progress
        progress = now

    def make() -> Made:
        return opened.backup(to, kept, on_progress, unwanted.is_set)

    making = asyncio.get_running_loop().run_in_executor(executor, make)
    try:
        while not (await asyncio.wait((making,), timeout=_PROGRESS_EVERY_S))[0]:
            yield {"progress": msgspec.to_builtins(progress)}
        yield {"made": msgspec.to_builtins(await making)}
    finally:
        unwanted.set()
        making.add_done_callback(lambda done: done.cancelled() or done.exception())  # nobody may ask for it any more


def _people(opened: Owner, executor: Executor) -> Callable[[], Awaitable[str]]:
    """Finds the workgroup of people; in another thread, as the rows of all live files are added up."""
    loop = asyncio.get_running_loop()

    async def workgroup() -> str:
        return for_people(await loop.run_in_executor(executor, opened.catalog.live_bytes))

    return workgroup


def _query_pools(opened: Owner, start_child: StartChild) -> QueryPools:
    return QueryPools(
        opened.warehouse.workgroups(),
        opened.settings,
        partial(
            QuerySetup,
            str(opened.folder),
            opened.warehouse.name,
            scratch=opened.scratch_limits,
        ),
        lambda setup: Worker("query", setup, start_child=start_child),
    )


def _registry(
    opened: Owner, pools: QueryPools, results: Results, files: Executor, history: QueryHistory
) -> QueryRegistry:
    def on_fault(error: Exception) -> InternalFailure:
        opened.faults.met("requests", "a submitted query", error, "it failed")
        return InternalFailure("An unexpected error occurred in the server; its log has the details.")

    workgroups = opened.warehouse.workgroups()
    return QueryRegistry(
        QueryBudgets(pools.ask, workgroups, history, opened.clock).ask,
        lambda name: chosen(workgroups, name).name,
        opened.clock,
        results,
        files,
        on_fault,
        history.record,
        results_bytes_max=opened.settings.number("query_results_bytes_max"),
        results_keep_s=opened.settings.number("query_results_keep_s"),
    )
