"""Amazon S3's API for what may be read: data files, and results of queries.

    GET  /                  ListBuckets
    HEAD /<bucket>          HeadBucket
    GET  /<bucket>          ListObjectsV2 (list-type=2), ListObjects, GetBucketLocation
    GET  /<bucket>/<key>    GetObject, with Range and conditions; HEAD likewise

The bucket may also be the first name of the Host. Everything that would write is refused. Which objects there are is a
matter of the buckets (`live_files`, `query_results`).

Source: Amazon S3 API reference.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import re
from collections.abc import AsyncGenerator, Container, Iterable, Mapping
from concurrent.futures import Executor
from contextlib import aclosing
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from urllib.parse import parse_qs, unquote_to_bytes

from datawarehouse.access.identity import Identity
from datawarehouse.server.athena import Athena
from datawarehouse.server.http import ClientGone, Request, Response
from datawarehouse.server.kinesis_streams import ACCOUNT
from datawarehouse.server.live_files import LiveFiles
from datawarehouse.server.objects import Bucket, Listed, Lister, Object
from datawarehouse.server.query_results import result_buckets
from datawarehouse.server.s3_answers import (
    REGION,
    Element,
    S3Error,
    answer,
    document,
    encoded,
    error_answer,
    first,
    listed_object,
    object_headers,
)

_KEYS_MAX = 1000
_KEY_BYTES_MAX = 1024
_IP_ADDRESS = re.compile(r"[0-9.]+(?::[0-9]+)?")
_AFTER_ALL = "\U0010ffff"
_RANGE = re.compile(r"bytes=([0-9]{0,40})-([0-9]{0,40})")
_PLAIN = {"versionId", "partNumber", "x-id"}
"""Parameters of GetObject that change nothing here."""
_OF_LISTS = {
    "list-type", "prefix", "delimiter", "max-keys", "encoding-type", "continuation-token", "start-after", "marker",
    "fetch-owner", "x-id", "allow-unordered",
}  # fmt: skip
_READ_ONLY = (
    "This door only reads. Send events with PutRecords or POST /v1/tables/<table>/events; what a query is to keep, "
    "create with a statement."
)

_CREATED = "2026-01-01T00:00:00.000Z"
"""Of each bucket, since clients expect a date."""

Parameters = Mapping[str, list[str]]


@dataclass(slots=True)
class _Page:
    """What a list has found. after: from where the next page goes on; "" if there is none."""

    objects: list[Listed] = field(default_factory=list)
    prefixes: list[str] = field(default_factory=list)
    after: str = ""


@dataclass(slots=True)
class S3:
    """files: of tables. athena: whose results are given. executor: where buckets are listed."""

    files: LiveFiles
    athena: Athena
    executor: Executor

    async def handle(self, request: Request) -> Response:
        """Answer a request. The body of one is not read: nothing is written. Raises DataWarehouseError."""
        try:
            return await self._answer(request)
        except S3Error as error:
            return error_answer(request, error)

    async def _answer(self, request: Request) -> Response:
        buckets = self._buckets(request.identity)
        name, key = _asked(request, buckets)
        if request.method not in ("GET", "HEAD"):
            # The body is not read, and may never be sent (Expect: 100-continue), so that nothing can follow it.
            raise S3Error(405, "MethodNotAllowed", _READ_ONLY, [(b"allow", b"GET, HEAD"), (b"connection", b"close")])
        parameters = parse_qs(request.query_string, keep_blank_values=True)
        parameters = {each: values for each, values in parameters.items() if not each.lower().startswith("x-amz-")}
        if not name and not key:
            return _list_buckets(request.identity, buckets)
        if name == self.files.name and name not in buckets:
            raise S3Error(403, "AccessDenied", self.files.refusal(request.identity, key))
        if name not in buckets:
            there_are = ", ".join(buckets) or "none that this key may see"
            raise S3Error(404, "NoSuchBucket", f"There is no bucket {name!r}; there are {there_are}.")
        bucket = buckets[name]
        if key:
            return await self._object(request, bucket, key, parameters)
        if why := bucket.refusal(request.identity, first(parameters, "prefix")):
            raise S3Error(403, "AccessDenied", why)
        if request.method == "HEAD":
            return answer(b"", [(b"x-amz-bucket-region", REGION.encode())])
        if "location" in parameters:
            return answer(document("LocationConstraint", []))
        if "versioning" in parameters:
            return answer(document("VersioningConfiguration", []))
        _check_known(parameters, _OF_LISTS)
        return await self._list(request, bucket, parameters)

    def _buckets(self, identity: Identity) -> dict[str, Bucket]:
        """Those that are there for an identity, by name."""
        found: dict[str, Bucket] = {each.name: each for each in result_buckets(self.athena, identity)}
        found.pop(self.files.name, None)
        if identity.rights.readable_files != frozenset():
            found[self.files.name] = self.files
        return dict(sorted(found.items()))

    # -- objects

    async def _object(self, request: Request, bucket: Bucket, key: str, parameters: Parameters) -> Response:
        wanted = {name for name in parameters if not name.startswith("response-")}
        _check_known(wanted, _PLAIN)
        if first(parameters, "versionId", "null") != "null":
            raise S3Error(404, "NoSuchVersion", "Objects here have no versions.")
        if why := bucket.refusal(request.identity, key):
            raise S3Error(403, "AccessDenied", why)
        missing = S3Error(
            404, "NoSuchKey", "There is no object of this key; one that was replaced is kept for a while."
        )
        if len(key.encode("utf-8", "surrogatepass")) > _KEY_BYTES_MAX:
            raise missing
        found = await bucket.find(request.identity, key)
        if found is None:
            raise missing
        if _is_unchanged(request, found):
            return Response(304, _nothing(), found.content_type, object_headers(None, found.etag, found.modified_ms))
        part = _range(request.header(b"range"), found.size)
        begin, end = part or (0, found.size)
        headers = object_headers(end - begin, found.etag, found.modified_ms)
        if part:
            headers.append((b"content-range", b"bytes %d-%d/%d" % (begin, end - 1, found.size)))
        pieces = _nothing()
        if request.method == "GET":
            try:
                pieces = _while_wanted(request, await found.read(begin, end))
            except FileNotFoundError:
                raise missing from None
        return Response(206 if part else 200, pieces, found.content_type, headers)

    # -- lists

    async def _list(self, request: Request, bucket: Bucket, parameters: Parameters) -> Response:
        is_second = first(parameters, "list-type") == "2"
        prefix, delimiter = first(parameters, "prefix"), first(parameters, "delimiter")
        most = _most(first(parameters, "max-keys", str(_KEYS_MAX)))
        is_url = first(parameters, "encoding-type") == "url"
        if not is_url and first(parameters, "encoding-type"):
            raise S3Error(400, "InvalidArgument", "The encoding-type is not known; valid is 'url'.")
        token = first(parameters, "continuation-token")
        start = first(parameters, "start-after" if is_second else "marker")
        after = _of_token(token) if token else start
        lister = await bucket.lister(request.identity, prefix)
        loop = asyncio.get_running_loop()
        page = await loop.run_in_executor(self.executor, _page, bucket, lister, prefix, delimiter, after, most)
        about: list[Element] = [
            ("Name", bucket.name),
            ("Prefix", encoded(prefix, is_url)),
            ("MaxKeys", most),
            ("IsTruncated", bool(page.after)),
        ]
        if delimiter:
            about.append(("Delimiter", encoded(delimiter, is_url)))
        if is_url:
            about.append(("EncodingType", "url"))
        if is_second:
            about.append(("KeyCount", len(page.objects) + len(page.prefixes)))
            about += [("ContinuationToken", token)] if token else []
            about += [("StartAfter", encoded(start, is_url))] if start else []
            about += [("NextContinuationToken", _token(page.after))] if page.after else []
        else:
            about.append(("Marker", encoded(start, is_url)))
            about += [("NextMarker", encoded(page.after, is_url))] if page.after else []
        about += [listed_object(encoded(each.key, is_url), *each[1:]) for each in page.objects]
        about += [("CommonPrefixes", [("Prefix", encoded(each, is_url))]) for each in page.prefixes]
        return answer(document("ListBucketResult", about))


def _asked(request: Request, buckets: Container[str]) -> tuple[str, str]:
    """The bucket and the key that a request names. Raises S3Error."""
    try:
        path = unquote_to_bytes(request.raw_path.partition(b"?")[0]).decode()
    except UnicodeDecodeError:
        raise S3Error(400, "InvalidURI", "The path of the request is not UTF-8.") from None
    name, _, key = path[1:].partition("/")
    host = request.header(b"host")
    first_name, dot, _ = host.partition(".")
    # Whoever asks a query names a bucket, which may be the first name, or number, of where this server is.
    if dot and first_name in buckets and name not in buckets and not _IP_ADDRESS.fullmatch(host):
        return first_name, path[1:]
    return name, key


def _list_buckets(identity: Identity, buckets: Iterable[str]) -> Response:
    owner: Element = ("Owner", [("ID", ACCOUNT), ("DisplayName", identity.name)])
    listed: list[Element] = [
        ("Bucket", [("Name", each), ("CreationDate", _CREATED), ("BucketRegion", REGION)]) for each in buckets
    ]
    return answer(document("ListAllMyBucketsResult", [owner, ("Buckets", listed)]))


def _page(bucket: Bucket, lister: Lister, prefix: str, delimiter: str, after: str, most: int) -> _Page:
    page = _Page()
    if not most:
        return page
    wanted = 1 if delimiter else most + 1
    while True:
        found = lister(prefix, after, wanted)
        for each in found:
            if len(page.objects) + len(page.prefixes) == most:
                _end(bucket, page, each, after)
                return page
            cut = each.key.find(delimiter, len(prefix)) if delimiter else -1
            if cut >= 0:
                page.prefixes.append(each.key[: cut + len(delimiter)])
                after = page.prefixes[-1] + _AFTER_ALL
                wanted = 1
                break  # what else is below it is passed over
            page.objects.append(each)
            after = each.key
        else:
            if len(found) < wanted:
                return page
            wanted = min(2 * wanted, most + 1)


def _end(bucket: Bucket, page: _Page, following: Listed, after: str) -> None:
    """End a page that is full: before an hour that would be cut, unless that leaves nothing."""
    page.after = after
    if not page.objects or after != page.objects[-1].key or bucket.ends_whole(page.objects[-1], following):
        return
    for place in range(len(page.objects) - 1, 0, -1):
        if bucket.ends_whole(page.objects[place - 1], page.objects[place]):
            kept = page.objects[place - 1].key
            if not any(each > kept for each in page.prefixes):
                page.objects, page.after = page.objects[:place], kept
            return


def _most(given: str) -> int:
    if not (given.isascii() and given.isdigit()):
        raise S3Error(400, "InvalidArgument", "max-keys is not a whole number from 0 on.")
    return min(int(given[:9]), _KEYS_MAX)


def _token(after: str) -> str:
    return base64.urlsafe_b64encode(after.encode("utf-8", "surrogatepass")).decode()


def _of_token(token: str) -> str:
    try:
        return base64.b64decode(token, altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        raise S3Error(400, "InvalidArgument", "The continuation token is none that a list gave.") from None


def _check_known(parameters: set[str] | Parameters, known: set[str]) -> None:
    if others := sorted(set(parameters) - known):
        shown = ", ".join(others)[:200]
        raise S3Error(501, "NotImplemented", f"The parameter {shown} asks for what is not served here.")


# -- conditions and ranges


def _is_unchanged(request: Request, found: Object) -> bool:
    """Whether the client has what is there (304). Raises S3Error if a condition does not hold (RFC 9110, 13.2)."""
    whole_s = found.modified_ms // 1000
    changed = S3Error(412, "PreconditionFailed", "The object is not the one that the condition names.")
    if wanted := request.header(b"if-match"):
        if not _names(wanted, found.etag):
            raise changed
    elif (since := _instant(request.header(b"if-unmodified-since"))) is not None and whole_s > since:
        raise changed
    if known := request.header(b"if-none-match"):
        return _names(known, found.etag)
    since = _instant(request.header(b"if-modified-since"))
    return since is not None and whole_s <= since


def _names(condition: str, etag: str) -> bool:
    given = [each.strip().removeprefix("W/").strip('"') for each in condition.split(",")]
    return "*" in given or etag.strip('"') in given


def _instant(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp() if text else None
    except (ValueError, OverflowError):
        return None


def _range(header: str, size: int) -> tuple[int, int] | None:
    """The place of the first byte, and the one behind the last; None for the whole. A header that is none, or has
    several ranges, is as if it was not there, as on S3. Raises S3Error."""
    found = _RANGE.fullmatch(header)
    if not found or found[0] == "bytes=-":
        return None
    begin, last = found[1], found[2]
    if begin and last and int(last) < int(begin):
        return None
    begin_at = int(begin) if begin else max(0, size - int(last))
    end = min(size, int(last) + 1) if begin and last else size
    if begin_at >= end:
        what = f"The range {header} has no byte of the object, which has {size}."
        raise S3Error(416, "InvalidRange", what, [(b"content-range", b"bytes */%d" % size)])
    return begin_at, end


async def _nothing() -> AsyncGenerator[bytes]:
    return
    yield


async def _while_wanted(request: Request, pieces: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    """The pieces, until the client has gone. Raises ClientGone then."""
    gone = asyncio.ensure_future(request.gone())
    try:
        async with aclosing(pieces):
            async for piece in pieces:
                if gone.done():
                    raise ClientGone
                yield piece
    finally:
        gone.cancel()
