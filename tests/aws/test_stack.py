"""A stack lives as long as its block: it is removed whatever happens, or named with what is left and how to remove it.

The Automation API is the real one; the Pulumi CLI that it runs is `fake_pulumi`.
"""

import io
import os
import random
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from forked_programs import Program, forked_programs
from pulumi.automation import CommandError, Stack
from running import until

from datawarehouse.aws.stack import INTERRUPTS, EphemeralStack
from datawarehouse.errors import BadRequest, DeploymentFailed
from patience import patient

FAKE = Path(__file__).parent / "fake_pulumi.py"
NAME = re.compile(r"ephemeral-[0-9a-f]{8}")
END_S = 30
SETUP = ["whoami", "stack-init", "config-set-all", "up", "stack-output", "stack-history"]
PROGRAM = """
import signal, sys
from pathlib import Path
from datawarehouse.aws.stack import EphemeralStack

signal.signal(signal.SIGINT, signal.default_int_handler)  # who starts tests in the background ignores it
for number in (signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_DFL)
folder, home = map(Path, sys.argv[1:3])
with EphemeralStack(folder, {"dev": True}) as stack:
    (home / "in-block").touch()
    while "stay" in sys.argv:
        signal.pause()
(home / "after").touch()
"""


@dataclass(frozen=True)
class Pulumi:
    """The stand-in. folder: of the program. home: of what the stand-in keeps, and is told."""

    folder: Path
    home: Path
    begin: Callable[..., Program]
    processes: list[Program] = field(default_factory=list)

    def tell(self, what: str, text: str = "") -> None:
        (self.home / what).write_text(text)

    def forget(self, what: str) -> None:
        (self.home / what).unlink()

    def calls(self) -> list[str]:
        log = self.home / "log"
        return log.read_text().splitlines() if log.exists() else []

    def stacks(self) -> list[str]:
        """What is there: stacks, locks of them, and their settings beside the program."""
        found = [
            *(self.home / "stacks").iterdir(),
            *(self.home / "locks").iterdir(),
            *self.folder.glob("Pulumi.*.yaml"),
        ]
        return [path.name for path in found]

    def run(self, *arguments: str) -> Program:
        """A process that uses a stack; it is ended after the test if it still runs."""
        process = self.begin(PROGRAM, [self.folder, self.home, *arguments], self.home.with_name("errors"))
        self.processes.append(process)
        return process

    def waits(self, process: Program, what: str) -> None:
        """Return when the process is there, or fail with what it said."""

        def is_there() -> bool:
            assert process.poll() is None, process.communicate()[1]
            return (self.home / what).exists()

        until(is_there, what)


@pytest.fixture(scope="module")
def programs():
    """What begins a program that has imported Pulumi, which takes more than all else that it does."""
    with forked_programs("import datawarehouse.aws.stack") as begin:
        yield begin


@pytest.fixture
def pulumi(tmp_path, monkeypatch, programs):
    """The stand-in, first on PATH."""
    made = Pulumi(tmp_path / "a program", tmp_path / "home", programs)
    for folder in (made.folder, made.home / "stacks", made.home / "locks", tmp_path / "bin"):
        folder.mkdir(parents=True)
    (made.folder / "Pulumi.yaml").write_text("name: acme-ads\nruntime: python\n")
    command = tmp_path / "bin" / "pulumi"
    command.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -I -S {shlex.quote(str(FAKE))} "$@"\n')
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{command.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_PULUMI", str(made.home))
    yield made
    for process in made.processes:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


@pytest.fixture
def interruptible():
    """This process hears SIGINT as Python does; who starts tests in the background ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def finish(process: Program) -> str:
    """What a process wrote to stderr until its end."""
    try:
        return process.communicate(timeout=patient(END_S))[1]
    except subprocess.TimeoutExpired:
        process.kill()
        pytest.fail(f"the process did not end: {process.communicate()[1]}")


def test_a_stack_is_there_in_its_block_only(pulumi):
    said = io.StringIO()
    with EphemeralStack(pulumi.folder, {"dev": True, "days": 3, "aws:region": "eu-west-1"}, output=said) as stack:
        assert NAME.fullmatch(stack.name)
        assert sorted(pulumi.stacks()) == sorted([stack.name, f"Pulumi.{stack.name}.yaml"])
        assert stack.outputs == {
            "database_name": "analytics_dw_test",
            "counts": {"tables": 4, "streams": ["clicks"]},
            "token": "hush",
            "config": ["dev=true", "days=3", "aws:region=eu-west-1"],
        }
    assert pulumi.stacks() == []
    lines = said.getvalue().splitlines()
    assert f"Stack {stack.name} of {pulumi.folder}" in lines[0]
    assert lines[1:4] == commands(pulumi, stack.name)
    assert lines[4:6] == ["Updating: a bucket", "Updating: a stream – done"]
    assert lines[-2:] == ["Destroying", f"The stack {stack.name} is removed."]
    assert all(" fails" not in call for call in pulumi.calls())


def commands(pulumi: Pulumi, name: str) -> list[str]:
    where = f"--stack {name} --cwd '{pulumi.folder}'"
    return [
        f"    pulumi cancel --yes {where}  # fails if no command was interrupted",
        f"    pulumi destroy --yes {where}",
        f"    pulumi stack rm --yes {where}",
    ]


def test_no_two_stacks_have_the_same_name(pulumi):
    names = {EphemeralStack(pulumi.folder, prefix="smoke").name for _ in range(100)}
    assert len(names) == 100
    assert all(re.fullmatch("smoke-[0-9a-f]{8}", name) for name in names)


def test_signals_go_where_they_went_before(pulumi):
    before = [signal.getsignal(number) for number in INTERRUPTS]
    with EphemeralStack(pulumi.folder, output=io.StringIO()):
        assert [signal.getsignal(number) for number in INTERRUPTS] != before
    assert [signal.getsignal(number) for number in INTERRUPTS] == before


@pytest.mark.parametrize("verb", ["config-set-all", "up", "stack-output", "stack-history"])
def test_a_command_that_fails_fails_the_run_and_leaves_nothing(pulumi, verb):
    pulumi.tell(f"{verb}.fail", "the bucket's name is taken")
    with (
        pytest.raises(
            DeploymentFailed, match=r"nothing of it is left: [^$]*error: the bucket's name is taken"
        ) as failed,
        EphemeralStack(pulumi.folder, {"dev": True}, output=io.StringIO()) as stack,
    ):
        pytest.fail("the block ran")
    assert not failed.value.is_left_over
    assert NAME.fullmatch(failed.value.stack)
    assert isinstance(failed.value.__cause__, CommandError)
    assert pulumi.stacks() == []
    assert "stack" not in locals()


@pytest.mark.parametrize("how", ["fail", "refuse"])
def test_a_stack_that_could_not_be_created_is_looked_for(pulumi, how):
    """Pulumi may fail after the stack is there: when it cannot encrypt its secrets, say."""
    pulumi.tell(f"stack-init.{how}", "passphrase must be set")
    with (
        pytest.raises(DeploymentFailed, match="passphrase must be set") as failed,
        EphemeralStack(pulumi.folder, output=io.StringIO()),
    ):
        pytest.fail("the block ran")
    assert not failed.value.is_left_over
    assert pulumi.stacks() == []


def test_a_stack_that_cannot_be_looked_for_may_be_left(pulumi):
    pulumi.tell("stack-init.fail", "no more than 2 stacks")
    pulumi.tell("stack-select.fail", "bad gateway")
    with (
        pytest.raises(DeploymentFailed, match=r"bad gateway[^$]*not known whether the stack exists") as failed,
        EphemeralStack(pulumi.folder, output=io.StringIO()),
    ):
        pytest.fail("the block ran")
    assert failed.value.is_left_over
    assert "no more than 2 stacks" in str(failed.value.__cause__)


@pytest.mark.parametrize("error", [KeyboardInterrupt("now"), SystemExit(3), ValueError("of the block")])
def test_what_the_block_raises_is_raised_when_the_stack_is_gone(pulumi, error):
    with pytest.raises(type(error)) as raised, EphemeralStack(pulumi.folder, output=io.StringIO()):
        raise error
    assert raised.value is error
    assert pulumi.stacks() == []


@pytest.mark.parametrize("verb", ["destroy", "stack-rm"])
def test_a_stack_that_stays_is_named_with_the_commands_that_remove_it(pulumi, verb):
    pulumi.tell(f"{verb}.fail", "the bucket is not empty")
    with (
        pytest.raises(DeploymentFailed, match="the bucket is not empty") as failed,
        EphemeralStack(pulumi.folder, output=io.StringIO()) as stack,
    ):
        pass
    assert failed.value.is_left_over
    assert failed.value.stack == stack.name
    assert isinstance(failed.value.__cause__, CommandError)
    message = str(failed.value)
    assert f"The stack {stack.name} of {pulumi.folder} is left over" in message
    left = "1 resources are left:\n    aws:s3/bucket:Bucket  data-1234567\n"
    assert (left in message) == (verb == "destroy")
    assert ("no remaining resources" in message) == (verb == "stack-rm")
    assert stack.name in pulumi.stacks()
    pulumi.forget(f"{verb}.fail")
    follow(message)
    assert pulumi.stacks() == []


def follow(message: str) -> None:
    """Run the commands that a message ends with, from anywhere."""
    for command in message.partition("Remove it:\n")[2].splitlines():
        subprocess.run(command, shell=True, cwd="/", check="cancel" not in command, capture_output=True)


def test_what_cannot_be_listed_is_said(pulumi):
    pulumi.tell("destroy.fail", "bad gateway")
    pulumi.tell("stack-export.fail", "bad gateway, again")
    with (
        pytest.raises(DeploymentFailed, match=r"could not be listed: [^$]*bad gateway, again[^$]*pulumi destroy --yes"),
        EphemeralStack(pulumi.folder, output=io.StringIO()),
    ):
        pass


def test_the_error_of_the_block_is_the_cause_of_a_left_over_stack(pulumi):
    pulumi.tell("destroy.fail", "the bucket is not empty")
    error = ValueError("of the block")
    with (
        pytest.raises(DeploymentFailed, match="the bucket is not empty") as failed,
        EphemeralStack(pulumi.folder, output=io.StringIO()),
    ):
        raise error
    assert failed.value.__cause__ is error


def test_the_error_of_the_deployment_is_the_cause_of_a_left_over_stack(pulumi):
    pulumi.tell("up.fail", "the bucket's name is taken")
    pulumi.tell("destroy.fail", "the bucket is not empty")
    with (
        pytest.raises(DeploymentFailed, match="the bucket is not empty") as failed,
        EphemeralStack(pulumi.folder, output=io.StringIO()),
    ):
        pytest.fail("the block ran")
    assert failed.value.is_left_over
    assert "the bucket's name is taken" in str(failed.value.__cause__)


class Closed(io.StringIO):
    """A writer whose reader goes away."""

    def write(self, text):
        if "Updating" in text:
            raise BrokenPipeError("nobody reads")
        return super().write(text)


def test_a_broken_writer_keeps_no_stack(pulumi):
    with pytest.raises(BrokenPipeError, match="nobody reads"), EphemeralStack(pulumi.folder, output=Closed()) as stack:
        assert stack.outputs["database_name"] == "analytics_dw_test"
    assert pulumi.stacks() == []
    with pytest.raises(ValueError, match="of the block") as raised, EphemeralStack(pulumi.folder, output=Closed()):
        raise ValueError("of the block")
    assert raised.value.__notes__ == ["The output of Pulumi could not be written: BrokenPipeError('nobody reads')"]


def test_without_pulumi_nothing_is_created_and_the_message_installs_it(pulumi, monkeypatch):
    monkeypatch.setenv("PATH", str(pulumi.home))
    with pytest.raises(DeploymentFailed, match=r"not on PATH.*curl -fsSL https://get\.pulumi\.com \| sh") as failed:
        EphemeralStack(pulumi.folder).__enter__()
    assert not failed.value.is_left_over
    assert pulumi.calls() == []


def test_an_old_pulumi_is_refused(pulumi):
    pulumi.tell("version", "v2.9.0")
    with pytest.raises(DeploymentFailed, match=r"your current CLI version is 2\.9\.0.*curl"):
        EphemeralStack(pulumi.folder).__enter__()
    assert pulumi.stacks() == []


def test_who_is_not_logged_in_is_told_so(pulumi):
    pulumi.tell("whoami.fail", "PULUMI_ACCESS_TOKEN must be set")
    with pytest.raises(DeploymentFailed, match=r"`pulumi login`[^$]*PULUMI_ACCESS_TOKEN must be set"):
        EphemeralStack(pulumi.folder).__enter__()
    assert pulumi.calls() == ["version starts", "version ends", "whoami starts", "whoami fails"]


def test_a_folder_without_a_program_is_refused(pulumi):
    with pytest.raises(DeploymentFailed, match=r"has no Pulumi\.yaml"):
        EphemeralStack(pulumi.home).__enter__()
    assert pulumi.stacks() == []


def test_other_threads_are_refused(pulumi):
    said = []

    def use():
        with pytest.raises(BadRequest, match=r"'another'; valid is the main thread") as refused:
            EphemeralStack(pulumi.folder).__enter__()
        said.append(refused)

    thread = threading.Thread(target=use, name="another")
    thread.start()
    thread.join()
    assert said
    assert pulumi.calls() == []


@pytest.mark.parametrize("verb", SETUP)
def test_an_interrupt_in_any_command_leaves_nothing(pulumi, verb):
    pulumi.tell(f"{verb}.wait")
    process = pulumi.run()
    pulumi.waits(process, f"{verb}.waits")
    process.send_signal(signal.SIGINT)
    said = finish(process)
    assert process.returncode == -signal.SIGINT, said
    assert "KeyboardInterrupt" in said
    assert not (pulumi.home / "in-block").exists()
    assert pulumi.stacks() == []
    calls = pulumi.calls()
    assert f"{verb} fails" in calls
    if verb == "up":  # destroyed when it had ended, and not while it ran
        assert calls[calls.index("up fails") + 1] == "destroy starts"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, -2), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
@pytest.mark.parametrize("where", ["up.waits", "in-block"])
def test_every_interrupt_leaves_nothing(pulumi, where, number, code):
    if where == "up.waits":
        pulumi.tell("up.wait")
    process = pulumi.run("stay")
    pulumi.waits(process, where)
    os.killpg(process.pid, number)  # as a terminal does, which must not reach Pulumi itself
    said = finish(process)
    assert process.returncode == code, said
    assert pulumi.stacks() == []
    assert not (pulumi.home / "after").exists()
    assert ("up fails" in pulumi.calls()) == (where == "up.waits")


class Interrupting(io.StringIO):
    """Interrupts this process when the first line comes: between two commands."""

    def write(self, text):
        if not self.tell():
            os.kill(os.getpid(), signal.SIGINT)
        return super().write(text)


def test_after_an_interrupt_no_command_is_started(pulumi, interruptible):
    with pytest.raises(KeyboardInterrupt) as raised, EphemeralStack(pulumi.folder, output=Interrupting()):
        pytest.fail("the block ran")
    assert "Pulumi was not called, because of an interrupt" in str(raised.value.__cause__)
    assert "stack-init starts" not in pulumi.calls()


def test_an_interrupt_while_a_command_starts_reaches_it(pulumi, interruptible, monkeypatch):
    class Interrupted(subprocess.Popen):
        def __init__(self, command, **options):
            super().__init__(command, **options)
            if "up" in command:
                until((pulumi.home / "up.waits").exists, "up")
                os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(subprocess, "Popen", Interrupted)
    pulumi.tell("up.wait")
    with pytest.raises(KeyboardInterrupt) as raised, EphemeralStack(pulumi.folder, output=io.StringIO()):
        pytest.fail("the block ran")
    assert isinstance(raised.value.__cause__, CommandError)
    assert "up fails" in pulumi.calls()
    assert pulumi.stacks() == []


def test_an_interrupt_just_before_the_block_keeps_it_from_running(pulumi, interruptible, monkeypatch):
    info = Stack.info

    def interrupted(*given):
        found = info(*given)
        monkeypatch.setattr(Stack, "info", info)
        os.kill(os.getpid(), signal.SIGINT)
        return found

    monkeypatch.setattr(Stack, "info", interrupted)
    with pytest.raises(KeyboardInterrupt), EphemeralStack(pulumi.folder, output=io.StringIO()):
        (pulumi.home / "in-block").touch()
    assert not (pulumi.home / "in-block").exists()
    assert pulumi.stacks() == []


def test_an_interrupt_just_after_the_block_leaves_nothing(pulumi, interruptible):
    """Python runs a handler when __exit__ has been entered, and before anything in it: this frame is the handler's."""
    pulumi.tell("destroy.fail", "to have such a frame")
    with pytest.raises(DeploymentFailed) as failed, EphemeralStack(pulumi.folder, output=io.StringIO()):
        pass
    [frame] = [entry.frame.raw for entry in failed.traceback if entry.name == "__exit__"]
    pulumi.forget("destroy.fail")
    follow(str(failed.value))
    with pytest.raises(KeyboardInterrupt), EphemeralStack(pulumi.folder, output=io.StringIO()):
        signal.getsignal(signal.SIGINT)(signal.SIGINT, frame)
        (pulumi.home / "raised nothing").touch()
    assert (pulumi.home / "raised nothing").exists()
    assert pulumi.stacks() == []


@pytest.mark.parametrize("seed", range(8))
def test_an_interrupt_at_any_instant_leaves_nothing(pulumi, seed):
    process = pulumi.run()
    pulumi.waits(process, "log")
    time.sleep(random.Random(seed).uniform(0, 0.6))  # so long its commands take
    process.send_signal(signal.SIGTERM)
    said = finish(process)
    # Unheard by us before there is a stack, and when it is gone.
    assert process.returncode in (0, 128 + signal.SIGTERM, -signal.SIGTERM), said
    assert pulumi.stacks() == [], said


def test_a_lock_that_an_update_left_is_cancelled(pulumi):
    """The second interrupt ends the update at once; it then keeps its lock, and nothing can be destroyed."""
    pulumi.tell("up.wait")
    pulumi.tell("up.hang")
    process = pulumi.run()
    for moment in ("up.waits", "up.hangs"):
        pulumi.waits(process, moment)
        process.send_signal(signal.SIGINT)
    said = finish(process)
    assert process.returncode == -signal.SIGINT, said
    assert pulumi.stacks() == []
    assert [call for call in pulumi.calls() if "history" not in call][-9:] == [
        "up is ended",
        "destroy starts",
        "destroy fails",
        "cancel starts",
        "cancel ends",
        "destroy starts",
        "destroy ends",
        "stack-rm starts",
        "stack-rm ends",
    ]


def test_a_deaf_command_is_killed_by_the_third_interrupt(pulumi):
    pulumi.tell("up.wait")
    pulumi.tell("up.deaf")
    process = pulumi.run()
    for moment in ("up.waits", "up.deafs", "up.deafer"):
        pulumi.waits(process, moment)
        process.send_signal(signal.SIGINT)
    said = finish(process)
    assert process.returncode == -signal.SIGINT, said
    assert pulumi.stacks() == []


@pytest.mark.parametrize("verb", ["destroy", "stack-rm"])
def test_a_second_interrupt_during_the_removal_names_the_stack(pulumi, verb):
    pulumi.tell("up.wait")
    process = pulumi.run()
    pulumi.waits(process, "up.waits")
    pulumi.tell(f"{verb}.wait")
    process.send_signal(signal.SIGINT)
    pulumi.waits(process, f"{verb}.waits")
    process.send_signal(signal.SIGTERM)
    said = finish(process)
    assert process.returncode == 1, said
    name = NAME.search(said)[0]
    assert f"DeploymentFailed: The stack {name} of {pulumi.folder} is left over: its removal was interrupted." in said
    assert "up was cancelled" in said  # what came before stays visible
    assert ("1 resources are left:" if verb == "destroy" else "no remaining resources") in said
    assert name in pulumi.stacks()
    pulumi.forget(f"{verb}.wait")
    follow(said)
    assert pulumi.stacks() == []


@pytest.mark.parametrize("verb", ["destroy", "stack-rm"])
def test_the_first_interrupt_in_a_removal_is_answered_after_it(pulumi, verb):
    """The command must not hear of it: a SIGINT would end the stand-in."""
    pulumi.tell(f"{verb}.hold")
    process = pulumi.run()
    pulumi.waits(process, f"{verb}.holds")
    process.send_signal(signal.SIGTERM)
    pulumi.forget(f"{verb}.hold")
    said = finish(process)
    assert process.returncode == 128 + signal.SIGTERM, said
    assert f"{verb} ends" in pulumi.calls()
    assert pulumi.stacks() == []
    assert not (pulumi.home / "after").exists()
