"""A stack that lives as long as a `with` block: created for it, and removed whatever happens in it.

1. The Pulumi CLI is installed and logged in; nothing is created before this is checked.
2. The stack is created under a unique name, configured, and deployed.
3. The block runs, with the outputs.
4. The stack is destroyed and removed: after the block, and also if step 2 failed half-way.

An interrupt (SIGINT, SIGTERM, SIGHUP) at any moment leads to step 4. Python normally turns an interrupt into an
exception between any two instructions, which could leave a command of Pulumi running unnoticed, or skip step 4. So in
this module interrupts raise nothing: they are counted, passed on to the running command, and handled when it has ended.
Only the block is interrupted in Python's way. Sources: after one SIGINT "pulumi up" finishes its present operation, and
after a second it ends at once; the Automation API leaves its command running (github.com/pulumi/pulumi/issues/9103).
"""

from __future__ import annotations

import os
import secrets
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import FrameType, TracebackType
from typing import IO, Any, Self, TextIO

from pulumi import automation
from pulumi.automation.errors import create_command_error

from datawarehouse.errors import BadRequest, DeploymentFailed

INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
INTERRUPTS_TO_LEAVE = 2
"""This many interrupts, including those before the removal of a stack, end the removal; at least one must come during
it."""
TAIL_LINES = 20
LISTED_RESOURCES_MAX = 30
_INSTALL = "Install it (https://www.pulumi.com/docs/install/): curl -fsSL https://get.pulumi.com | sh"


class EphemeralStack:
    """A stack of the Pulumi program in `folder`, for the length of a `with` block.

        with EphemeralStack("examples/acme_ads", {"dev": True}) as stack:
            stack.outputs["database_name"]

    It is for stacks that are not needed after the block: give the program the configuration with which its buckets may
    be deleted with their contents. In examples/acme_ads that is `dev: true`; without it buckets are protected, the
    removal fails and the stack is left over.

    name: unique, `prefix` and eight hexadecimal digits. outputs: plain values by name, including secret ones. config:
    values by key, as for `pulumi config set`. output: where the lines of Pulumi are written (default: stderr). The
    program runs with this interpreter, unless its Pulumi.yaml names a virtual environment. Afterwards no stack is
    selected in the folder.

    Raises DeploymentFailed if a command of Pulumi fails, with the command's error as its cause. If the stack could not
    be removed, the error says what is left and how to remove it, and its cause is the error that came before, for
    example in the block. The second interrupt ends a removal, the first does not. SIGKILL leaves the stack; its name
    and the commands that remove it are the first lines of the output. Use it only in the main thread, because other
    threads get no interrupts.
    """

    outputs: Mapping[str, Any]

    def __init__(
        self,
        folder: str | Path,
        config: Mapping[str, str | bool | int] | None = None,
        prefix: str = "ephemeral",
        output: TextIO | None = None,
    ) -> None:
        self.name = f"{prefix}-{secrets.token_hex(4)}"
        self.folder = Path(folder).resolve()
        self.outputs = {}
        self._config = dict(config or {})
        self._output = _Output(output or sys.stderr)
        self._interrupts = _Interrupts(EphemeralStack.__exit__)
        self._workspace: automation.LocalWorkspace | None = None
        self._stack: automation.Stack | None = None

    def __enter__(self) -> Self:
        if threading.current_thread() is not threading.main_thread():
            raise BadRequest(
                f"A stack was to be created in the thread {threading.current_thread().name!r}; valid is the main "
                "thread, since another gets no interrupts, and the stack could be left over."
            )
        self._interrupts.hear()
        try:
            self._workspace = self._usable_workspace()
            self._deploy(self._workspace)
            self._interrupts.raise_in_block = True
            self._interrupts.check()
        except BaseException as error:
            self._interrupts.raise_in_block = False
            self._remove(error)
            if isinstance(error, automation.CommandError):
                raise self._not_created(_tail(error)) from error
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # CPython runs signal handlers only in calls and loops: there is none before this line, here and in __enter__.
        self._interrupts.raise_in_block = False
        self._remove(error)

    # -- creating

    def _usable_workspace(self) -> automation.LocalWorkspace:
        """The workspace of Pulumi in the folder; raises DeploymentFailed, before anything is created, if it cannot be
        used."""
        try:
            command = _Command(self._interrupts)
        except FileNotFoundError as error:
            raise self._not_created(f"the Pulumi CLI, `pulumi`, is not on PATH. {_INSTALL}") from error
        except automation.InvalidVersionError as error:
            raise self._not_created(f"{error} {_INSTALL}") from error
        workspace = automation.LocalWorkspace(work_dir=str(self.folder), pulumi_command=command)
        try:
            workspace.project_settings()
            workspace.who_am_i()
        except FileNotFoundError as error:
            raise self._not_created("the folder has no Pulumi.yaml.") from error
        except automation.CommandError as error:
            raise self._not_created(
                "Pulumi has no place for its state. Log in: `pulumi login`, or for a folder of this machine "
                f"`pulumi login --local` and PULUMI_CONFIG_PASSPHRASE.\n{_tail(error)}"
            ) from error
        return workspace

    def _deploy(self, workspace: automation.LocalWorkspace) -> None:
        self._output.line(f"Stack {self.name} of {self.folder}. If this process is killed, remove it:")
        self._output.line(self._commands())
        self._stack = automation.Stack.create(self.name, workspace)
        if self._config:
            self._stack.set_all_config(
                {key: automation.ConfigValue(_config_text(value)) for key, value in self._config.items()}
            )
        done = self._stack.up(color="never", on_output=self._output.line, on_error=self._output.line)
        self.outputs = {name: output.value for name, output in done.outputs.items()}

    def _not_created(self, why: str) -> DeploymentFailed:
        return DeploymentFailed(
            f"The stack {self.name} of {self.folder} could not be created, and nothing of it is left: {why}",
            stack=self.name,
            is_left_over=False,
        )

    # -- removing

    def _remove(self, before: BaseException | None) -> None:
        """Step 4; then raise for interrupts that have raised nothing yet. before: the present error, which is the cause
        of new ones."""
        try:
            self._interrupts.endure(INTERRUPTS_TO_LEAVE)
            try:
                if self._workspace:
                    self._destroy(self._workspace)
            except BaseException as error:
                raise self._left_over(error) from before or error
            if interrupt := self._interrupts.answer():
                raise interrupt from before
            if failed := self._output.error:
                if before is None:
                    raise failed
                before.add_note(f"The output of Pulumi could not be written: {failed!r}")
        finally:
            self._interrupts.release()

    def _destroy(self, workspace: automation.LocalWorkspace) -> None:
        self._output.line(
            f"Removing the stack {self.name}. It is left over if this is interrupted "
            f"{self._interrupts.endured} more times."
        )
        if self._stack is None:
            # `pulumi stack init` may have failed, or been interrupted, after it created the stack.
            try:
                self._stack = automation.Stack.select(self.name, workspace)
            except automation.StackNotFoundError:
                return
        try:
            self._destroy_resources(self._stack)
        except automation.ConcurrentUpdateError:
            # Remove the lock of a command that was killed. No other process knows this stack, and our command has
            # ended.
            self._stack.cancel()
            self._destroy_resources(self._stack)
        workspace.remove_stack(self.name)
        self._output.line(f"The stack {self.name} is removed.")

    def _destroy_resources(self, stack: automation.Stack) -> None:
        stack.destroy(color="never", on_output=self._output.line, on_error=self._output.line)

    def _left_over(self, error: BaseException) -> DeploymentFailed:
        why = _tail(error) if isinstance(error, automation.CommandError) else f"{type(error).__name__}: {error}"
        if not self._interrupts.endured:
            why = f"its removal was interrupted. {why}"
        return DeploymentFailed(
            f"The stack {self.name} of {self.folder} is left over: {why}\n"
            f"{self._leftovers()}\nRemove it:\n{self._commands()}",
            stack=self.name,
            is_left_over=True,
        )

    def _leftovers(self) -> str:
        """The resources of the stack that Pulumi knows to exist still."""
        if self._stack is None:
            return "It is not known whether the stack exists; if it does, it has no resources."
        self._interrupts.endure(1)
        try:
            resources = (self._stack.export_stack().deployment or {}).get("resources", [])
        except Exception as error:
            why = _tail(error) if isinstance(error, automation.CommandError) else error
            return f"Its remaining resources could not be listed: {why}"
        left = [f"    {each['type']}  {each['id']}" for each in resources if each.get("id")]
        if not left:
            return "Pulumi knows of no remaining resources. It does not know resources whose creation was interrupted."
        more = [f"    and {len(left) - LISTED_RESOURCES_MAX} more"] if len(left) > LISTED_RESOURCES_MAX else []
        return "\n".join([f"{len(left)} resources are left:", *left[:LISTED_RESOURCES_MAX], *more])

    def _commands(self) -> str:
        where = f"--stack {shlex.quote(self.name)} --cwd {shlex.quote(str(self.folder))}"
        return "\n".join(
            [
                f"    pulumi cancel --yes {where}  # fails if no command was interrupted",
                f"    pulumi destroy --yes {where}",
                f"    pulumi stack rm --yes {where}",
            ]
        )


class _Interrupted(Exception):
    """An interrupt came before a command was started."""


class _Interrupts:
    """Counts interrupts, and passes them on to the running command.

    raise_in_block: whether an interrupt raises at once, as in Python; never in `leaving`, the function that ends the
    block.
    """

    def __init__(self, leaving: Callable[..., None]) -> None:
        self.raise_in_block = False
        self._leaving = leaving.__code__
        self._count = 0
        self._most = 1
        self._unanswered: list[int] = []
        self._process: subprocess.Popen[str] | None = None
        self._passed_on = 0
        self._before: dict[int, Any] = {}

    def hear(self) -> None:
        """From now on this object gets the interrupts, except those that the process ignores (nohup)."""
        for number in INTERRUPTS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._handle)

    def release(self) -> None:
        """Restore the previous handlers of interrupts."""
        for number, handler in self._before.items():
            signal.signal(number, handler or signal.SIG_DFL)

    def endure(self, count: int) -> None:
        """From now on interrupt number `count` ends a command, or the next interrupt if there were more already."""
        self._most = max(count, self._count + 1)

    @property
    def endured(self) -> int:
        """How many more interrupts it takes to end a command."""
        return max(0, self._most - self._count)

    def check(self) -> None:
        """Raise _Interrupted if no more commands may be started."""
        if not self.endured:
            raise _Interrupted("Pulumi was not called, because of an interrupt.")

    def answer(self) -> BaseException | None:
        """Raise what Python, or a shell, would raise for the first interrupt that has raised nothing yet."""
        return _exception(self._unanswered[0]) if self._unanswered else None

    def run(self, process: subprocess.Popen[str]) -> int:
        """Wait for a command and return its exit code. Interrupts are passed on to it in the meantime."""
        self._passed_on = 0
        self._process = process
        try:
            if not self.endured:  # an interrupt came between the check and the start
                self._pass_on(process)
            return process.wait()
        except BaseException:
            process.send_signal(signal.SIGINT)
            process.wait()
            raise
        finally:
            self._process = None

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self._count += 1
        if self.raise_in_block and (frame is None or frame.f_code is not self._leaving):
            raise _exception(number)
        self._unanswered.append(number)
        if self._process and not self.endured:
            self._pass_on(self._process)

    def _pass_on(self, process: subprocess.Popen[str]) -> None:
        """Pulumi finishes its present operation after one SIGINT and ends at once after two; if it hangs, it is
        killed."""
        self._passed_on += 1
        if self._passed_on <= 2:
            process.send_signal(signal.SIGINT)
        elif process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


class _Command(automation.PulumiCommand):
    """The Pulumi CLI in its own session, so that a Ctrl-C in the terminal reaches it only through this process, and
    only once."""

    def __init__(self, interrupts: _Interrupts) -> None:
        super().__init__()
        self._interrupts = interrupts

    def run(
        self,
        args: list[str],
        cwd: str,
        additional_env: Mapping[str, str],
        on_output: Callable[[str], Any] | None = None,
        on_error: Callable[[str], Any] | None = None,
    ) -> automation.CommandResult:
        """As in the base class."""
        self._interrupts.check()
        beside_python = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
        process = subprocess.Popen(
            [self.command, "--non-interactive", *(arg for arg in args if arg != "--non-interactive")],
            cwd=cwd,
            env={**os.environ, "PATH": beside_python, **additional_env, "PULUMI_AUTOMATION_API": "true"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        )
        assert process.stdout and process.stderr
        lines: tuple[list[str], list[str]] = ([], [])
        readers = [
            threading.Thread(target=_read, args=each, daemon=True)
            for each in zip((process.stdout, process.stderr), (on_output, on_error), lines, strict=True)
        ]
        for reader in readers:
            reader.start()
        code = self._interrupts.run(process)
        for reader in readers:
            reader.join()
        stdout, stderr = ("\n".join(each) for each in lines)
        result = automation.CommandResult(stdout=stdout, stderr=stderr, code=code)
        if code:
            raise create_command_error(result)
        return result


class _Output:
    """Sends lines to a writer. A writer that fails must not stop Pulumi, and must not prevent the removal of a stack.

    error: the reason why no more lines are written.
    """

    def __init__(self, writer: TextIO) -> None:
        self.error: Exception | None = None
        self._writer = writer

    def line(self, text: str) -> None:
        if self.error is None:
            try:
                self._writer.write(f"{text}\n")
                self._writer.flush()
            except Exception as error:
                self.error = error


def _read(pipe: IO[str], on_line: Callable[[str], Any] | None, lines: list[str]) -> None:
    """Read a pipe to its end, line by line."""
    with pipe:
        for line in pipe:
            lines.append(line.rstrip())
            if on_line:
                on_line(line.rstrip())


def _exception(number: int) -> BaseException:
    """The exception for an interrupt. In a shell, the exit status of a process that a signal ended is 128 plus its
    number."""
    return KeyboardInterrupt() if number == signal.SIGINT else SystemExit(128 + number)


def _config_text(value: str | bool | int) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _tail(error: automation.CommandError) -> str:
    """The last lines of a Pulumi command's output."""
    lines = str(error).strip().splitlines()
    return "\n".join(["...", *lines[-TAIL_LINES:]] if len(lines) > TAIL_LINES else lines)
