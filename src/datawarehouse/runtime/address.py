"""Where a warehouse is, with which key it is asked, and whom to trust there: checked before anything is sent."""

from __future__ import annotations

import ipaddress
import os
import re
import ssl
from urllib.parse import SplitResult, urlsplit

from datawarehouse.errors import BadRequest

_KEY = re.compile(r"[!-~]+")


def checked_address(url: str) -> SplitResult:
    """Raises BadRequest."""
    try:
        address = urlsplit(url)
        is_whole = address.path in ("", "/") and not address.query and address.port != 0
    except ValueError:  # a port that is no number, half an IPv6 address
        address, is_whole = SplitResult("", "", "", "", ""), False
    if "@" in address.netloc:  # what stands there may be a secret, which no message shows
        raise BadRequest("The url has a user or a password in it; leave them out, and give key=...")
    if address.scheme not in ("http", "https") or not address.hostname or not is_whole:
        raise BadRequest(
            f"The url is {url!r}; valid is the address that `dw up` shows, such as http://127.0.0.1:8080, or that of a "
            "server with TLS, https://dw.example.com."
        )
    return address


def checked_key(key: str | None, address: SplitResult) -> str:
    """The key as it is sent; empty if there is none. Raises BadRequest, with a message that does not show it."""
    if key is None:
        return ""
    key = key.strip() if isinstance(key, str) else ""  # a file or a variable may end in a line break
    if not _KEY.fullmatch(key):
        raise BadRequest(
            "The key (which is not shown here) is none; valid is what `dw keys create` prints after `Authorization: "
            "Bearer`: ID.SECRET."
        )
    if address.scheme != "https" and not _is_here(address.hostname or ""):
        raise BadRequest(
            f"At {address.geturl()} the key and the events would travel as plain text. Give an address of https://, or "
            "one of this machine."
        )
    return key


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"  # other names are looked up, and may lead elsewhere


def trusted(address: SplitResult, ca: str | os.PathLike[str] | None) -> ssl.SSLContext | None:
    """Raises BadRequest if the file is not one of certificates."""
    if address.scheme != "https":
        if ca is not None:
            raise BadRequest(f"ca is for an address of https://, and the url is {address.geturl()}.")
        return None
    try:
        if ca is not None and not os.fspath(ca):  # which the next line would take for the system's
            raise ValueError("it is empty")
        return ssl.create_default_context(cafile=ca)
    except (OSError, TypeError, ValueError) as error:
        raise BadRequest(f"ca is {ca!r}, which has no certificates that can be read ({error}). It is PEM.") from None
