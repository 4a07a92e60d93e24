"""dw doctor"""

from __future__ import annotations

import argparse
from collections.abc import Iterable

from datawarehouse.cli.options import add_output, add_settings, add_warehouse, open_alone, settings_of, warehouse_of
from datawarehouse.cli.output import print_json, quantity, remark
from datawarehouse.clock import WallClock
from datawarehouse.definition.warehouse import Warehouse
from datawarehouse.errors import DeclarationError
from datawarehouse.runtime.client import client_of
from datawarehouse.runtime.doctor import doctor_of
from datawarehouse.runtime.findings import Finding

_DAMAGE = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--repair", action="store_true", help="do what needs no guess; nothing is deleted")
    parser.add_argument("--accept-clock", action="store_true", help="confirm that this machine's clock is right now")
    add_warehouse(parser)
    add_output(parser, "table", "json")
    add_settings(parser, "data")


def run(arguments: argparse.Namespace) -> int:
    if arguments.accept_clock:
        _accept_clock(arguments)
        return 0
    folder, warehouse = settings_of(arguments).folder, _declared(arguments)
    repaired: list[Finding] = []
    if arguments.repair:
        with doctor_of(folder, warehouse, WallClock()) as doctor:
            repaired = doctor.repair()
    with doctor_of(folder, warehouse, WallClock()) as doctor:
        found = doctor.look()
        if doctor.has_owner:
            remark("The warehouse is running: its journals were compared when it was opened, and are not looked at.")
    wrong = [finding for finding in found if finding.is_damage]
    if arguments.output == "json":
        done = [finding for finding in repaired if finding.mend]
        print_json({"healthy": not wrong, "findings": _plain(found), "repaired": _plain(done)})
        return _DAMAGE if wrong else 0
    for finding in repaired:
        if finding.mend:
            _show(finding, "repaired")
    for finding in found:
        _show(finding, "repair" if finding.mend else "to do")
    if wrong:
        print(f"{quantity(len(wrong), 'thing')} wrong in {folder}.")
        if not arguments.repair and any(finding.mend for finding in wrong):
            remark(f"`dw doctor --repair --data {folder}` does what is named under repair. It deletes nothing.")
    else:
        print(f"Nothing is wrong in {folder}.")
    return _DAMAGE if wrong else 0


def _accept_clock(arguments: argparse.Namespace) -> None:
    settings = settings_of(arguments)
    client = client_of(settings.folder)
    if client:
        done = client.call("POST", "/v1/admin/accept-clock", b"")
    else:
        with open_alone(warehouse_of(arguments), settings) as opened:
            done = opened.accept_clock()
    if arguments.output == "json":
        print_json(done)
        return
    print(f"The time moved by {done['moved_s']:g} s.")
    for table in done["set_back"]:
        print(f"Events of table {table} arrive by the clock again; its hours from now on are open again.")


def _declared(arguments: argparse.Namespace) -> Warehouse | None:
    """The declaration, which few repairs need."""
    try:
        return warehouse_of(arguments)
    except DeclarationError as error:
        remark(f"Going on without the declaration: {error}")
        return None


def _plain(findings: Iterable[Finding]) -> list[dict[str, object]]:
    return [
        {
            "what": finding.what,
            "cause": finding.cause,
            "loss": finding.loss,
            "action": finding.action,
            "can_be_repaired": finding.mend is not None,
            "is_damage": finding.is_damage,
        }
        for finding in findings
    ]


def _show(finding: Finding, name: str) -> None:
    print(f"{finding.what}: {finding.cause}")
    print(f"  lost      {finding.loss}")
    print(f"  {name:9} {finding.action}\n")
