"""Stands in for the Pulumi CLI, which no package index carries: the verbs that the Automation API calls for a stack.

It keeps stacks, locks and a log of its calls in the folder FAKE_PULUMI. What it is to do is a file in there: `up.fail`
has the text with which `up` fails, `up.wait` lets it wait for a SIGINT when it is half done, after it has written
`up.waits`; with `up.hang` it then waits for another, after it has written `up.hangs`, and with `up.deaf` for SIGKILL.
`up.hold` lets it wait until that file is gone, after it has written `up.holds`.
An update that ends by itself, if after a SIGINT, gives its lock back; one that is ended at once does not. The errors
that the Automation API knows by their texts have these. Run by an interpreter alone (`-I -S`).
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

HOME = Path(os.environ["FAKE_PULUMI"])
STACKS, LOCKS = HOME / "stacks", HOME / "locks"
UPDATE = {
    "kind": "update",
    "startTime": "2026-11-23T07:00:00.000Z",
    "endTime": "2026-11-23T07:00:01.000Z",
    "message": "",
    "environment": {},
    "config": {},
    "result": "succeeded",
    "version": 1,
}
OUTPUTS = {"database_name": "analytics_dw_test", "counts": {"tables": 4, "streams": ["clicks"]}, "token": "hush"}
SECRET = "[secret]"
LONGEST_S = 60


class Failed(Exception):
    """Ends a command with an error."""


class Given:
    """The arguments, as the Automation API writes them; argparse takes a third of a command to load."""

    VALUES = ("--stack", "--cwd", "--exec-kind", "--color", "--page-size", "--page")
    FLAGS = ("--non-interactive", "--yes", "--skip-preview", "--json", "--show-secrets")

    def __init__(self, arguments: list[str]) -> None:
        self.words: list[str] = []
        self.plaintext: list[str] = []
        self.stack = self.cwd = ""
        self.show_secrets = "--show-secrets" in arguments
        rest = iter(arguments)
        for argument in rest:
            name, _, value = argument.partition("=")
            if name == "--plaintext":
                self.plaintext.append(value or next(rest))
            elif name in self.VALUES:
                setattr(self, name.removeprefix("--"), value or next(rest))
            elif not name.startswith("-"):
                self.words.append(argument)
            elif argument not in self.FLAGS:
                sys.exit(f"error: unknown flag: {argument}")


def main() -> None:
    """Run one command."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.alarm(LONGEST_S)  # what a failed test leaves behind ends
    given = Given(sys.argv[1:])
    if given.cwd:
        os.chdir(given.cwd)
    words = given.words
    length = 2 if words[0] in ("stack", "config") else 1
    verb, name = "-".join(words[:length]), given.stack or (words[length] if len(words) > length else "")
    log(verb, "starts")
    try:
        COMMANDS[verb](name, given)
    except Failed as error:
        sys.stderr.write(f"error: {error}\n")
        log(verb, "fails")
        sys.exit(255)
    log(verb, "ends")


def log(verb: str, what: str) -> None:
    with (HOME / "log").open("a") as file:
        file.write(f"{verb} {what}\n")


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def obey(verb: str) -> None:
    """Wait, and fail, as the files of this verb say."""
    if (HOME / f"{verb}.wait").exists():
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
        (HOME / f"{verb}.waits").touch()
        signal.sigwait([signal.SIGINT])
        for name in ("hang", "deaf"):
            if (HOME / f"{verb}.{name}").exists():
                (HOME / f"{verb}.{name}s").touch()
                signal.sigwait([signal.SIGINT])
                while name == "deaf":
                    (HOME / f"{verb}.deafer").touch()
                    signal.sigwait([signal.SIGINT])
                log(verb, "is ended")
                os._exit(255)
        raise Failed(f"{verb} was cancelled")
    if (HOME / f"{verb}.hold").exists():
        (HOME / f"{verb}.holds").touch()
        while (HOME / f"{verb}.hold").exists():
            time.sleep(0.01)
    if (HOME / f"{verb}.fail").exists():
        raise Failed((HOME / f"{verb}.fail").read_text())


def read(name: str) -> dict:
    if not (STACKS / name).exists():
        raise Failed(f"no stack named '{name}' found")
    return json.loads((STACKS / name).read_text())


def write(name: str, stack: dict) -> None:
    (STACKS / f"{name}.new").write_text(json.dumps(stack))
    (STACKS / f"{name}.new").rename(STACKS / name)


def settings(name: str) -> Path:
    return Path(f"Pulumi.{name}.yaml")


class Lock:
    """That of an update: given back unless the process is ended in it."""

    def __init__(self, name: str) -> None:
        self.file = LOCKS / name

    def __enter__(self) -> None:
        if self.file.exists():
            raise Failed(
                "the stack is currently locked by 1 lock(s). Either wait for the other process(es) to end or delete it."
            )
        self.file.touch()

    def __exit__(self, *_: object) -> None:
        self.file.unlink()


def version(name: str, given: Given) -> None:
    say((HOME / "version").read_text() if (HOME / "version").exists() else "v3.272.0")


def whoami(name: str, given: Given) -> None:
    obey("whoami")
    say(json.dumps({"user": "somebody"}))


def stack_init(name: str, given: Given) -> None:
    if (STACKS / name).exists():
        raise Failed(f"stack '{name}' already exists")
    if (HOME / "stack-init.refuse").exists():
        raise Failed((HOME / "stack-init.refuse").read_text())
    write(name, {"resources": []})
    obey("stack-init")


def stack_select(name: str, given: Given) -> None:
    obey("stack-select")
    read(name)


def config_set_all(name: str, given: Given) -> None:
    obey("config-set-all")
    read(name)
    settings(name).write_text(json.dumps(given.plaintext))


def up(name: str, given: Given) -> None:
    stack = read(name)
    with Lock(name):
        say("Updating: a bucket")
        stack["resources"] = [
            {"type": "pulumi:pulumi:Stack"},
            {"type": "aws:s3/bucket:Bucket", "id": "data-1234567"},
        ]
        write(name, stack)
        obey("up")
        stack["resources"].append({"type": "aws:kinesis/stream:Stream", "id": "clicks-1234567"})
        write(name, {**stack, "config": json.loads(settings(name).read_text()) if settings(name).exists() else []})
    say("Updating: a stream – done")


def stack_output(name: str, given: Given) -> None:
    obey("stack-output")
    say(json.dumps({**OUTPUTS, "config": read(name)["config"], **({} if given.show_secrets else {"token": SECRET})}))


def stack_history(name: str, given: Given) -> None:
    if read(name)["resources"]:  # else the history of a destroyed stack
        obey("stack-history")
    say(json.dumps([UPDATE]))


def stack_export(name: str, given: Given) -> None:
    obey("stack-export")
    say(json.dumps({"version": 3, "deployment": {"resources": read(name)["resources"]}}))


def destroy(name: str, given: Given) -> None:
    stack = read(name)
    with Lock(name):
        say("Destroying")
        stack["resources"] = stack["resources"][:2]
        write(name, stack)
        obey("destroy")
        write(name, {**stack, "resources": []})


def stack_rm(name: str, given: Given) -> None:
    obey("stack-rm")
    if read(name)["resources"]:
        raise Failed(f"'{name}' still has resources; removal rejected.")
    (STACKS / name).unlink()
    settings(name).unlink(missing_ok=True)


def cancel(name: str, given: Given) -> None:
    if not (LOCKS / name).exists():
        raise Failed("no update is in progress")
    (LOCKS / name).unlink()


COMMANDS = {
    "version": version,
    "whoami": whoami,
    "stack-init": stack_init,
    "stack-select": stack_select,
    "config-set-all": config_set_all,
    "up": up,
    "stack-output": stack_output,
    "stack-history": stack_history,
    "stack-export": stack_export,
    "destroy": destroy,
    "stack-rm": stack_rm,
    "cancel": cancel,
}

if __name__ == "__main__":
    main()
