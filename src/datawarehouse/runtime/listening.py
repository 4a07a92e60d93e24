"""Where `dw up` listens, and what that needs.

loopback, without keys    anyone on this machine
loopback, with keys       each request needs a key: a proxy on this machine is loopback too
any address, with keys    TLS, or plain HTTP from the proxy alone that `behind_proxy` names
anything else             refused
"""

from __future__ import annotations

import hashlib
import ipaddress
import logging
import re
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path

from datawarehouse.access.keys import Keys
from datawarehouse.errors import BadRequest, FolderError
from datawarehouse.folder import keys_path
from datawarehouse.server.identity import Network
from datawarehouse.settings import Settings

log = logging.getLogger("datawarehouse")

_CERTIFICATE = re.compile("-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
_ALPN = ["h2", "http/1.1"]
_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}


@dataclass(slots=True)
class Listening:
    """tls: what connections are encrypted with. certificate: see `folder.Holder`."""

    address: str
    port: int
    cert_path: Path
    key_path: Path
    tls: ssl.SSLContext | None
    proxy: Network | None
    certificate: str = ""

    @classmethod
    def of(cls, settings: Settings) -> Listening:
        """Raises BadRequest for what is refused, and FolderError for keys or certificates that cannot be read."""
        host = settings.text("host")
        address = "127.0.0.1" if host == "localhost" else host
        cert, key = Path(settings.text("tls_cert")), Path(settings.text("tls_key"))
        has_tls = bool(settings.text("tls_cert"))
        if has_tls != bool(settings.text("tls_key")):
            raise BadRequest("TLS needs both --tls-cert and --tls-key, and one of them is missing.")
        proxy = _network(settings.text("behind_proxy"))
        if proxy is not None and has_tls:
            raise BadRequest("--behind-proxy is for plain HTTP behind a proxy that ends TLS: leave out --tls-cert.")
        try:
            is_loopback = ipaddress.ip_address(address).is_loopback
        except ValueError:
            raise BadRequest(f"The address {host!r} is none; valid are localhost and IP addresses.") from None
        if (proxy is not None or not is_loopback) and not Keys(keys_path(settings.folder)).are_needed:
            what = "--behind-proxy lets" if is_loopback else f"The address {host!r} is not a loopback address and lets"
            raise BadRequest(
                f"{what} others send requests, and there are no keys that they would need. Make one first: "
                "`dw keys create NAME --may put,query`. Without keys use 127.0.0.1, ::1 or localhost."
            )
        if not is_loopback and not has_tls and proxy is None:
            raise BadRequest(
                f"At the address {host!r} keys and events would travel as plain text. Give --tls-cert and --tls-key, "
                "or --behind-proxy with the address of the proxy that ends TLS."
            )
        listening = cls(address, settings.number("port"), cert, key, None, proxy)
        if has_tls:
            listening.tls = listening._context()
        return listening

    def bind(self) -> socket.socket:
        """A socket of the address. Raises FolderError."""
        bound = socket.socket(socket.AF_INET6 if ":" in self.address else socket.AF_INET)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            bound.bind((self.address, self.port))
        except OSError as error:
            bound.close()
            raise FolderError(
                f"Port {self.port} of {self.address} cannot be used: {error.strerror}. Give another with --port; 0 "
                "picks a free one."
            ) from None
        return bound

    def url(self, bound: socket.socket) -> str:
        """How this machine reaches it."""
        host, port = bound.getsockname()[:2]
        host = _ANY.get(host, host)
        return f"{'https' if self.tls else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"

    def load_again(self) -> None:
        """Read the certificate again; connections keep theirs. One that cannot be used changes nothing."""
        assert self.tls
        try:
            self._context()  # which is thrown away: a chain that does not fit its key would spoil the one in use
            self.tls.load_cert_chain(self.cert_path, self.key_path)
        except FolderError as error:
            log.error("the certificate stays the one that it was: %s", error)
            return
        log.info("the certificate was read again from %s", self.cert_path)

    def _context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(_ALPN)
        try:
            context.load_cert_chain(self.cert_path, self.key_path, password=_no_password)
            first = _CERTIFICATE.search(self.cert_path.read_text())
            der = ssl.PEM_cert_to_DER_cert(first[0] if first else "")
        except (OSError, ValueError) as error:
            raise FolderError(
                f"The certificate {self.cert_path} with the key {self.key_path} cannot be used: {error}. Both are PEM, "
                "and the key has no password."
            ) from None
        self.certificate = hashlib.sha256(der).hexdigest()
        return context


def _no_password() -> str:
    return ""


def _network(text: str) -> Network | None:
    try:
        return ipaddress.ip_network(text, strict=False) if text else None
    except ValueError:
        raise BadRequest(
            f"--behind-proxy is {text!r}; valid is an IP address, or a network such as 10.0.0.0/24."
        ) from None
