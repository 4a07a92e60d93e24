"""A program: has imported what `dw up` and its children need, and forks `dw up` as its standard input asks for it."""

import gc
import json
import os
import signal
import sys
import tempfile
import threading
from pathlib import Path

from datawarehouse.cli.main import main
from datawarehouse.runtime.prepared import serve
from datawarehouse.runtime.workers import import_libraries


def prepare():
    import_libraries()
    import datawarehouse.cli.up  # noqa: F401

    sys.path.remove(str(Path(__file__).parent))  # a user's modules may have the names of ours


def become(kind):
    """Be `dw` from its start to its end: with its own folder, environment and files, and signals as at a start."""
    order = json.load(sys.stdin)
    os.chdir(order["folder"])
    os.environ.clear()
    os.environ.update(order["environment"])
    nothing, errors = os.open(os.devnull, os.O_RDONLY), os.open(order["errors"], os.O_WRONLY | os.O_APPEND)
    os.dup2(nothing, 0)
    os.dup2(errors, 2)
    os.close(nothing)
    os.close(errors)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    gc.enable()
    tempfile.tempdir = None
    sys.argv = ["dw", *order["arguments"]]
    code = main()
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join()
    sys.stdout.flush()
    os._exit(code)


if __name__ == "__main__":
    serve(prepare, become)
