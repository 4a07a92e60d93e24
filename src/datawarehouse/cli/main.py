"""`dw VERB ...`: reads the arguments, imports only the verb's module, and turns errors into exit codes.

Exit codes: 0 done, 1 failed, 2 wrong arguments or configuration, 3 a key is not valid or lacks a right, 4 a resource is
not available (a folder is in use, a limit was reached, a server does not answer or is closing, no space is left), 10 a
query was understood and is not allowed, or a statement needs a person, 11 its workgroup does not permit it, 20 damage
was found, 21 an audit is incomplete, 130 Ctrl-C.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from types import ModuleType

from datawarehouse import __version__
from datawarehouse.cli.examples import EXAMPLES
from datawarehouse.cli.exits import INTERRUPTED, exit_code
from datawarehouse.cli.output import print_error
from datawarehouse.errors import did_you_mean

VERBS = {
    "init": "write a first declaration",
    "demo": "start a warehouse with made-up traffic, and open its console",
    "up": "start the warehouse and take events",
    "stop": "stop the warehouse that runs",
    "check": "say what would become of a file of events, before it is sent",
    "send": "send a file of events to a table",
    "generate": "send made-up events, at a rate, some of them malformed, late or twice",
    "flush": "return when everything acknowledged is visible",
    "query": "answer one SQL statement",
    "sql": "a shell: statements with history and completion, or those of a file",
    "lint-sql": "say what Athena would refuse of statements in files",
    "translate": "write statements of Redshift as Athena's, and say what needs a person",
    "queries": "list the queries that wait or run, and end one",
    "tables": "list tables and columns",
    "status": "show what was received, stored, rejected and pending, and the settings",
    "doctor": "say what is wrong with a data folder, and repair it",
    "run": "run the job of a batch input table now",
    "backfill": "run the job of a batch input table for a period in the past",
    "jobs": "show the latest runs of jobs",
    "lateness": "show how late events of a table arrive",
    "audit": "prove from the files that what was stored is there",
    "compact": "merge the files of closed hours now, or explain what would be done",
    "expire": "delete hours that are older than declared now, or show which",
    "backup": "make a back-up, also while the warehouse runs",
    "restore": "make a data folder from a back-up",
    "push": "move what the data folder has into the warehouse that is deployed on AWS",
    "quarantine": "show rejected records, by cause or one by one",
    "export": "let other engines read the live files of tables",
    "cost": "compute what a day costs on AWS, and which setting costs less",
    "rights": "print the IAM policy that deploying to AWS needs",
    "keys": "make, list, end and replace the keys of those who send and ask",
    "partition": "register a partition of a table that you fill",
    "completion": "print what lets the Tab key of a shell complete verbs and options",
}


def parser_of(verb: str) -> tuple[ModuleType, argparse.ArgumentParser]:
    """The module of a verb, and what reads its arguments; its help ends with examples."""
    module = importlib.import_module(f"datawarehouse.cli.{verb.replace('-', '_')}")
    shown = EXAMPLES.get(verb, ())
    parser = argparse.ArgumentParser(
        prog=f"dw {verb}",
        description=VERBS[verb],
        epilog="examples:\n" + "\n".join(f"  {example}" for example in shown) if shown else None,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    module.add_arguments(parser)
    return module, parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb. The `dw` script exits with the number returned."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(
        prog="dw",
        description="A warehouse for events: JSON in, hourly Parquet, SQL out.",
        epilog="verbs:\n" + "\n".join(f"  {verb:11} {text}" for verb, text in VERBS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("-V", "--version", action="version", version=f"dw {__version__}")
    parser.add_argument("verb", metavar="verb")
    parser.add_argument("rest", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    verb = parser.parse_args(given[:1] or ["--help"]).verb
    if verb not in VERBS:
        print_error(f"dw: There is no verb {verb!r}.{did_you_mean(verb, VERBS)} `dw --help` lists them.")
        return 2
    try:
        module, verb_parser = parser_of(verb)
    except KeyboardInterrupt:
        return INTERRUPTED
    parsed = verb_parser.parse_args(given[1:])
    run = getattr(module, "run_apart", module.run) if arguments is None else module.run
    return exit_code(verb, lambda: run(parsed))


if __name__ == "__main__":
    sys.exit(main())
