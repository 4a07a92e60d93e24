"""Runs an unmodified Pulumi program folder against a monitor; in place of the language host, which no wheel carries.

Started by `engine` with one argument, a JSON object: monitor, engine, project, stack, organization, dry_run, folder,
main, config, secret_keys. Exit codes as the language host's: 0 ok, 1 an error for the user, 32 an exception.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import runpy
import sys
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pulumi
import pulumi.runtime
import pulumi.runtime.resource
from pulumi.runtime.proto import source_pb2

THREADS = 32


def main() -> int:
    """Run the program that the argument describes."""
    gc.disable()  # what it imports stays
    order = json.loads(sys.argv[1])
    folder = order["folder"]
    os.chdir(folder)
    sys.path.insert(0, folder)
    pulumi.runtime.set_all_config(order["config"], order["secret_keys"])
    pulumi.runtime.configure(
        pulumi.runtime.Settings(
            monitor=order["monitor"],
            engine=order["engine"],
            project=order["project"],
            stack=order["stack"],
            organization=order["organization"],
            parallel=8,
            dry_run=order["dry_run"],
            root_directory=folder,
        )
    )
    pulumi.log.debug = lambda *_, **__: None  # five calls of the engine for each resource, which drops them
    pulumi.runtime.resource._get_stack_trace = source_pb2.StackTrace  # for each resource; nobody here looks at it
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    pool = ThreadPoolExecutor(THREADS)
    loop.set_default_executor(pool)

    def program() -> None:
        runpy.run_path(str(Path(folder) / order["main"]), run_name="__main__")

    try:
        loop.run_until_complete(pulumi.runtime.run_in_stack(program))
        code = 0
    except pulumi.RunError as error:
        pulumi.log.error(str(error))
        code = 1
    except BaseException:
        pulumi.log.error("Program failed with an unhandled exception:\n" + traceback.format_exc())
        code = 32
    pool.shutdown(wait=True)
    return code


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # taking the provider's modules apart takes a fifth of the time of a program
