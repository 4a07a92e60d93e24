"""The console's page and the files that it loads: part of the package, the same for everybody, without a key.

The page is `index.html` of the folder `console/`; it takes what it shows from the routes below /v1. What it loads has a
name with a digest of its content, so that a browser never asks for it again.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import re
import secrets
from dataclasses import dataclass
from pathlib import Path

from datawarehouse.server.http import JSON, Request, Response

FOLDER = Path(__file__).with_name("console")
_NONCE = b"{{csp-nonce}}"
_ASSETS = "/console/assets/"
_ICON = re.compile(r"/(?:console/)?favicon\.(?:ico|svg)")
_TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".ico": "image/x-icon",
    ".png": "image/png",
    ".woff2": "font/woff2",
}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'{nonce}; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_SAFE = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
]
_FOR_EVER = (b"cache-control", b"public, max-age=31536000, immutable")
_A_DAY = (b"cache-control", b"public, max-age=86400")


@dataclass(frozen=True, slots=True)
class _File:
    content_type: str
    body: bytes
    packed: bytes
    """By gzip; empty if that saves nothing."""
    etag: bytes

    @classmethod
    def read(cls, path: Path) -> _File:
        body = path.read_bytes()
        packed = gzip.compress(body, 9, mtime=0)
        digest = hashlib.sha256(body).hexdigest()[:32]
        return cls(_TYPES[path.suffix], body, packed if len(packed) < len(body) else b"", f'"{digest}"'.encode())


class ConsoleFiles:
    """Reads the folder when it is first asked for something."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._folder = folder
        self._page = b""
        self._files: dict[str, _File] = {}
        self._reading: asyncio.Future[None] | None = None

    async def answer(self, request: Request) -> Response | None:
        """The answer to what `is_asked` says; None for a file that there is not."""
        if self._reading is None:
            self._reading = asyncio.get_running_loop().run_in_executor(None, self._read)
        await asyncio.shield(self._reading)
        if request.path == "/":
            return self._page_now() if self._page else None
        file = self._files.get(request.path.rpartition("/")[2])
        if file is None:
            return None
        return _answer(request, file, _FOR_EVER if request.path.startswith(_ASSETS) else _A_DAY)

    def _read(self) -> None:
        page = self._folder / "index.html"
        self._page = page.read_bytes() if page.exists() else b""
        paths = [*self._folder.glob("favicon.*"), *self._folder.glob("assets/*")]
        self._files = {path.name: _File.read(path) for path in paths if path.suffix in _TYPES}

    def _page_now(self) -> Response:
        """The page. A policy with a nonce is for one answer, so that none is kept."""
        page, nonce = self._page, ""
        if _NONCE in page:
            value = secrets.token_urlsafe(16)
            page, nonce = page.replace(_NONCE, value.encode()), f" 'nonce-{value}'"
        policy = _POLICY.format(nonce=nonce).encode()
        headers = [*_SAFE, (b"content-security-policy", policy), (b"cache-control", b"no-store"), (b"vary", b"accept")]
        return Response(200, page, "text/html; charset=utf-8", headers)


def is_asked(request: Request) -> bool:
    """Whether a request is for the page or a file of it."""
    if request.method not in ("GET", "HEAD"):
        return False
    if request.path == "/":  # others ask for other things there: a program for JSON, a client of AWS with a signature
        accepted = request.header(b"accept")
        is_program = JSON in accepted and "text/html" not in accepted
        return not (is_program or request.header(b"authorization") or request.service)
    return request.path.startswith(_ASSETS) or bool(_ICON.fullmatch(request.path))


def _answer(request: Request, file: _File, cache: tuple[bytes, bytes]) -> Response:
    headers = [*_SAFE, (b"etag", file.etag), cache, (b"vary", b"accept-encoding")]
    if file.etag.decode() in (each.strip().removeprefix("W/") for each in request.header(b"if-none-match").split(",")):
        return Response(304, b"", file.content_type, headers)
    if file.packed and _takes_gzip(request):
        return Response(200, file.packed, file.content_type, [*headers, (b"content-encoding", b"gzip")])
    return Response(200, file.body, file.content_type, headers)


def _takes_gzip(request: Request) -> bool:
    """By Accept-Encoding (RFC 9110, 12.5.3)."""
    for each in request.header(b"accept-encoding").lower().split(","):
        name, _, weight = each.partition(";")
        if name.strip() in ("gzip", "*"):
            return not re.fullmatch(r"q=0(?:\.0*)?", weight.replace(" ", ""))
    return False
