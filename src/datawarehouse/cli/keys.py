"""dw keys"""

from __future__ import annotations

import argparse
import re
from datetime import UTC, datetime
from typing import Any

import msgspec

from datawarehouse.access.keys import Keys, Wanted, checked, listed
from datawarehouse.access.rates import ADDRESS_RATE, RATES
from datawarehouse.access.rights import FORM
from datawarehouse.cli.options import add_output, add_settings, add_warehouse, open_alone, settings_of, warehouse_of
from datawarehouse.cli.output import print_json, print_table, remark
from datawarehouse.clock import WallClock
from datawarehouse.errors import BadRequest
from datawarehouse.folder import keys_path
from datawarehouse.runtime.acts import noted_act
from datawarehouse.runtime.client import client_of
from datawarehouse.server.keys import shown
from datawarehouse.settings import Settings

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_OVERLAP = "7d"
_COLUMNS = ("name", "id", "kind", "state", "may", "workgroup", "expires", "refused")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    what = "create: a new key; ls: all keys; revoke: end one now; rotate: give one a new secret"
    parser.add_argument("action", choices=("create", "ls", "revoke", "rotate"), help=what)
    parser.add_argument("name", nargs="?", help="the name of the key; also its id, for revoke and rotate")
    parser.add_argument("--may", metavar="RIGHTS", help=f"create: {FORM}")
    parser.add_argument("--workgroup", metavar="NAME", help="create: in which its queries run (default: adhoc)")
    parser.add_argument("--expires", metavar="TIME", help="create: how long it is valid: 90d, 12h (default: for ever)")
    what = "create: makes a public token for pages of this origin, https://shop.example.com; can be repeated"
    parser.add_argument("--origin", metavar="ORIGIN", action="append", default=[], help=what)
    for rate, what in (
        ("events-per-s", "events a second"),
        ("bytes-per-s", "bytes of bodies a second"),
        ("queries-per-min", "queries a minute"),
        ("address-events-per-s", "events a second from one address, of a public token (default: 50)"),
    ):
        parser.add_argument(f"--{rate}", type=int, metavar="N", help=f"create: at most so many {what}")
    what = f"rotate: how long the secret before stays valid (default: {_OVERLAP})"
    parser.add_argument("--overlap", metavar="TIME", default=_OVERLAP, help=what)
    add_output(parser, "table", "json")
    add_warehouse(parser)
    add_settings(parser, "data")


def run(arguments: argparse.Namespace) -> None:
    settings = settings_of(arguments)
    if arguments.action == "ls":
        _print_all(_all(settings), arguments.output)
        return
    if not arguments.name:
        raise BadRequest(f"`dw keys {arguments.action}` needs the name of a key.")
    path, asked = _asked(arguments)
    client = client_of(settings.folder)
    answer = client.call("POST", path, msgspec.json.encode(asked)) if client else _alone(arguments, settings, asked)
    _print_made(arguments, answer)


def _asked(arguments: argparse.Namespace) -> tuple[str, dict[str, Any]]:
    """The route, and the body of its request."""
    match arguments.action:
        case "create":
            if not arguments.may:
                raise BadRequest(f"Say with --may what the key may do; valid are {FORM}.")
            limits = {rate: getattr(arguments, rate) for rate in (*RATES, ADDRESS_RATE)}
            return "/v1/admin/keys", {
                "name": arguments.name,
                "may": [word.strip() for word in arguments.may.split(",") if word.strip()],
                "workgroup": arguments.workgroup or "",
                "lifetime_s": _seconds(arguments.expires, "--expires") if arguments.expires else None,
                "origins": arguments.origin,
                "limits": {rate: limit for rate, limit in limits.items() if limit is not None},
            }
        case "revoke":
            return "/v1/admin/keys/revoke", {"name": arguments.name}
        case _:
            overlap_s = _seconds(arguments.overlap, "--overlap")
            return "/v1/admin/keys/rotate", {"name": arguments.name, "overlap_s": overlap_s}


def _alone(arguments: argparse.Namespace, settings: Settings, asked: dict[str, Any]) -> Any:
    """Own the folder for a moment, when nobody else does."""
    warehouse, now_ms = warehouse_of(arguments), WallClock().now_ms()
    may = f" may {','.join(asked['may'])}" if "may" in asked else ""
    words = f"dw keys {arguments.action} {arguments.name}{may}"
    with open_alone(warehouse, settings) as opened, noted_act(opened.catalog, words, now_ms):
        match arguments.action:
            case "create":
                return shown(opened.keys.create(checked(msgspec.convert(asked, Wanted), warehouse), now_ms))
            case "revoke":
                return {"revoked": opened.keys.revoke(asked["name"], now_ms)}
            case _:
                return shown(opened.keys.rotate(asked["name"], asked["overlap_s"], now_ms))


def _all(settings: Settings) -> list[dict[str, Any]]:
    client = client_of(settings.folder)
    if client:
        return list(client.call("GET", "/v1/admin/keys"))
    now_ms = WallClock().now_ms()
    return list(listed(Keys(keys_path(settings.folder)).all(), now_ms, {}))


def _print_all(keys: list[dict[str, Any]], output: str) -> None:
    if output == "json":
        print_json(keys)
        return
    rows = [
        [
            key["name"],
            key["id"],
            key["kind"],
            key["state"],
            ",".join(key["may"]),
            key["workgroup"] or None,
            _instant(key["expires_ms"]),
            str(sum(key["refused"].values())),
        ]
        for key in keys
    ]
    print_table(_COLUMNS, rows)


def _print_made(arguments: argparse.Namespace, answer: dict[str, Any]) -> None:
    if arguments.output == "json":
        print_json(answer)
        return
    if arguments.action == "revoke":
        print(f"{arguments.name} is revoked: {', '.join(answer['revoked'])}")
        return
    if "secret" in answer:
        print(f"AWS_ACCESS_KEY_ID={answer['id']}\nAWS_SECRET_ACCESS_KEY={answer['secret']}")
        print(f"Authorization: Bearer {answer['token']}")
    else:
        for word in answer["may"]:
            print(f"POST /v1/tables/{word.partition(':')[2]}/events?token={answer['token']}")
    until = _instant(answer["expires_ms"])
    remark(f"This is shown once. {answer['name']} may {','.join(answer['may'])}{f', until {until}' if until else ''}.")
    if arguments.action == "rotate":
        remark(f"The secret before is valid for {arguments.overlap} more.")


def _instant(instant_ms: int | None) -> str | None:
    return None if instant_ms is None else datetime.fromtimestamp(instant_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _seconds(text: str, option: str) -> int:
    match = re.fullmatch(r"([0-9]{1,9})([smhd])", text.strip())
    if not match:
        raise BadRequest(f"{option} is {text!r}; valid is a number and a unit: 90d, 12h, 30m, 45s.")
    return int(match[1]) * _SECONDS[match[2]]
