"""The keys of a warehouse, in the file `_keys.json` of its data folder.

The file has mode 0600, and is replaced in one step and synced: a key that was shown is there after a crash, and one
that was revoked stays so. It holds the secrets themselves, because a signature cannot be checked without. Whoever
copies it can do what its valid keys may, until they are revoked. Of a public token it holds a digest alone.

A key that has ended stays in the file, without its secret: a warehouse that had a key once asks for one from then on,
also when all of them have ended.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
import re
import secrets
import string
import threading
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

import msgspec

from datawarehouse.access.identity import Identity
from datawarehouse.access.rates import ADDRESS_RATE, RATES, Rates
from datawarehouse.access.rights import Rights, names_of, rights_of
from datawarehouse.definition.warehouse import Warehouse
from datawarehouse.definition.workgroups import chosen
from datawarehouse.durable import ASIDE_SUFFIX, LOCAL_DISK, publish
from datawarehouse.errors import BadRequest, FolderError, UnknownName

log = logging.getLogger("datawarehouse")

KEYS_MAX = 1000
ADDRESS_EVENTS_PER_S = 50
"""What a public token lets one address send, unless it says another number."""
_ALPHABET = string.ascii_letters + string.digits
_ID_CHARACTERS, _SECRET_CHARACTERS = 18, 40
_ID_ALPHABET = string.ascii_uppercase + "234567"
_PUBLIC_PREFIX = "dwp_"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_ORIGIN = re.compile(r"https?://[a-z0-9.-]+(?::\d{1,5})?|https?://\[[0-9a-f:]+\](?::\d{1,5})?")
_RESERVED = ("owner",)
_LIFETIME_MAX_S = 36_500 * 86_400
_DEFAULT_WORKGROUP = "adhoc"


class Key(msgspec.Struct, frozen=True):
    """A key, or a public token: that has origins, and `digest` in the place of `secret`. Times are in ms since 1970."""

    name: str
    id: str
    may: list[str]
    created_ms: int
    secret: str = ""
    digest: str = ""
    workgroup: str = ""
    origins: list[str] = []
    limits: dict[str, int] = {}
    expires_ms: int | None = None
    revoked_ms: int | None = None

    @property
    def rights(self) -> Rights:
        return Rights(frozenset(self.may))

    def state(self, now_ms: int) -> str:
        """valid, expired or revoked"""
        if self.revoked_ms is not None:
            return "revoked"
        return "expired" if self.expires_ms is not None and now_ms >= self.expires_ms else "valid"


class Wanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `create` is asked for. lifetime_s: None for ever."""

    name: str
    may: list[str]
    workgroup: str = ""
    lifetime_s: int | None = None
    origins: list[str] = []
    limits: dict[str, int] = {}


class Shown(msgspec.Struct, frozen=True):
    """A new key, with what is shown once: its secret, or of a public token the token."""

    key: Key
    secret: str


class _File(msgspec.Struct):
    keys: list[Key]
    version: int = 1


class Keys:
    """One for a warehouse. Methods can be called from any thread; those that change something write the file."""

    def __init__(self, path: Path) -> None:
        """Raises FolderError if the file cannot be read."""
        self._path = path
        self._lock = threading.Lock()
        self._rates: dict[str, Rates] = {}
        self._identities: dict[str, Identity] = {}
        self._by_id: dict[str, Key] = {}
        self._by_digest: dict[str, Key] = {}
        self._keys: list[Key] = []
        self._set(_read(path))

    @property
    def are_needed(self) -> bool:
        """Whether requests need a key: there was one once."""
        return bool(self._keys)

    def all(self) -> list[Key]:
        return list(self._keys)

    def of_id(self, key_id: str) -> Key | None:
        return self._by_id.get(key_id)

    def of_token(self, token: str) -> Key | None:
        """The public token, whatever its state."""
        return self._by_digest.get(_digest(token))

    def identity(self, key: Key) -> Identity:
        """Who sends with a key."""
        found = self._identities.get(key.id)
        if found is None:
            found = self._identities[key.id] = Identity(key.name, key.rights, key.workgroup, self._rates_of(key))
        return found

    def _rates_of(self, key: Key) -> Rates | None:
        """Those of a name: its keys share them."""
        if not key.limits:
            return None
        found = self._rates.get(key.name)
        if found is None or found.limits != key.limits:
            found = self._rates[key.name] = Rates(key.name, key.limits)
        return found

    def create(self, wanted: Wanted, now_ms: int) -> Shown:
        """A new key; `wanted` is one that `checked` gave. Raises BadRequest."""
        _check(wanted)
        with self._lock:
            if any(key.name == wanted.name and key.state(now_ms) == "valid" for key in self._keys):
                raise BadRequest(
                    f"There is a key {wanted.name!r} already. Give another name, or replace its secret with "
                    f"`dw keys rotate {wanted.name}`."
                )
            workgroup = wanted.workgroup
            if not workgroup and Rights(frozenset(wanted.may)).may_query:
                workgroup = _DEFAULT_WORKGROUP
            limits = dict(wanted.limits)
            if wanted.origins:
                limits.setdefault(ADDRESS_RATE, ADDRESS_EVENTS_PER_S)
            key = Key(
                wanted.name,
                "",
                sorted(set(wanted.may)),
                now_ms,
                workgroup=workgroup,
                origins=sorted(set(wanted.origins)),
                limits=limits,
                expires_ms=None if wanted.lifetime_s is None else now_ms + wanted.lifetime_s * 1000,
            )
            shown = _with_secret(key)
            self._store([*self._with_room(now_ms), shown.key])
        return shown

    def revoke(self, name: str, now_ms: int) -> list[str]:
        """End all keys of a name now; the ids of those that were valid. `name` may also be the id of one of them.
        Raises UnknownName."""
        with self._lock:
            found = self._valid(name, now_ms)
            ended = {key.id: msgspec.structs.replace(key, revoked_ms=now_ms, secret="", digest="") for key in found}
            self._store([ended.get(key.id, key) for key in self._keys])
        return sorted(ended)

    def rotate(self, name: str, overlap_s: int, now_ms: int) -> Shown:
        """A new secret for a key; the ones before are valid for `overlap_s` more. Raises UnknownName."""
        if not 0 <= overlap_s <= _LIFETIME_MAX_S:
            raise BadRequest(f"The overlap is {overlap_s} s; valid is 0 to {_LIFETIME_MAX_S}.")
        with self._lock:
            old = self._valid(name, now_ms)
            last = old[-1]
            expires = None if last.expires_ms is None else now_ms + last.expires_ms - last.created_ms
            shown = _with_secret(msgspec.structs.replace(last, created_ms=now_ms, expires_ms=expires))
            end = now_ms + overlap_s * 1000
            ending = {key.id: msgspec.structs.replace(key, expires_ms=min(key.expires_ms or end, end)) for key in old}
            self._store([*(ending.get(key.id, key) for key in self._with_room(now_ms)), shown.key])
        return shown

    def _valid(self, name: str, now_ms: int) -> list[Key]:
        valid = [key for key in self._keys if key.state(now_ms) == "valid"]
        found = [key for key in valid if name in (key.name, key.id)]
        if not found:
            there_are = ", ".join(sorted({key.name for key in valid})) or "none"
            raise UnknownName(f"There is no valid key {name!r}; there are {there_are}.")
        return found

    def _with_room(self, now_ms: int) -> list[Key]:
        """The keys, without those that ended first if there are too many."""
        keys = list(self._keys)
        for key in self._keys:
            if len(keys) < KEYS_MAX:
                break
            if key.state(now_ms) != "valid":
                keys.remove(key)
        if len(keys) >= KEYS_MAX:
            raise BadRequest(
                f"There are {KEYS_MAX} valid keys, and no more are kept. Revoke one with `dw keys revoke`."
            )
        return keys

    def _store(self, keys: list[Key]) -> None:
        content = msgspec.json.format(msgspec.json.encode(_File(keys)), indent=1) + b"\n"
        try:
            _write(self._path, content)
        except OSError as error:
            raise FolderError(f"The keys in {self._path} cannot be written: {error.strerror}.") from None
        self._set(keys)

    def _set(self, keys: list[Key]) -> None:
        self._by_id = {key.id: key for key in keys}
        self._by_digest = {key.digest: key for key in keys if key.digest}
        self._identities = {}
        self._keys = keys


def checked(wanted: Wanted, warehouse: Warehouse) -> Wanted:
    """A wish whose tables and workgroup the warehouse has. Raises BadRequest."""
    chosen(warehouse.workgroups(), wanted.workgroup)
    rights = rights_of(wanted.may, *names_of(warehouse))
    return msgspec.structs.replace(wanted, may=sorted(rights.words))


def is_secret_of(key: Key, secret: str) -> bool:
    """Whether this is the secret of a key, compared in constant time."""
    return bool(key.secret) and hmac.compare_digest(key.secret.encode(), secret.encode("utf-8", "surrogatepass"))


def _with_secret(key: Key) -> Shown:
    key_id = "DW" + "".join(secrets.choice(_ID_ALPHABET) for _ in range(_ID_CHARACTERS))
    secret = "".join(secrets.choice(_ALPHABET) for _ in range(_SECRET_CHARACTERS))
    if key.origins:
        token = _PUBLIC_PREFIX + secret
        return Shown(msgspec.structs.replace(key, id=key_id, secret="", digest=_digest(token)), token)
    return Shown(msgspec.structs.replace(key, id=key_id, secret=secret, digest=""), secret)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _check(wanted: Wanted) -> None:
    if not _NAME.fullmatch(wanted.name) or wanted.name in _RESERVED:
        raise BadRequest(
            f"The name of a key is {wanted.name!r}; valid are up to 63 letters, digits, '.', '_' and '-', of which the "
            f"first is a letter or a digit, and not {_RESERVED[0]!r}."
        )
    for name, limit in wanted.limits.items():
        if name not in (*RATES, ADDRESS_RATE):
            raise BadRequest(f"There is no limit {name!r}; there are {', '.join((*RATES, ADDRESS_RATE))}.")
        if limit < 1:
            raise BadRequest(f"The limit {name} is {limit}; valid is a whole number from 1 on.")
    if wanted.lifetime_s is not None and not 1 <= wanted.lifetime_s <= _LIFETIME_MAX_S:
        raise BadRequest(f"The key would be valid for {wanted.lifetime_s} s; valid is 1 to {_LIFETIME_MAX_S}.")
    for origin in wanted.origins:
        if not _ORIGIN.fullmatch(origin):
            raise BadRequest(f"The origin is {origin!r}; valid is what a browser sends: https://shop.example.com")
    if wanted.origins and not Rights(frozenset(wanted.may)).put_only:
        raise BadRequest("A public token, which has origins, may only put events, and each table is named: put:TABLE.")
    if ADDRESS_RATE in wanted.limits and not wanted.origins:
        raise BadRequest(f"{ADDRESS_RATE} is for a public token, which has origins.")


def _read(path: Path) -> list[Key]:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise FolderError(f"The keys in {path} cannot be read: {error.strerror}.") from None
    if path.stat().st_mode & 0o077:
        log.warning("%s could be read by others than its owner, and holds secrets; its mode is 0600 now", path)
        path.chmod(0o600)
    try:
        return msgspec.json.decode(content, type=_File).keys
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise FolderError(
            f"The keys in {path} cannot be read: {error}. Nothing was changed. Put the file back from a copy, or "
            "remove it and create new keys: the ones that were given out are not valid without it."
        ) from None


def _write(path: Path, content: bytes) -> None:
    aside = path.with_name(path.name + ASIDE_SUFFIX)
    with suppress(FileNotFoundError):
        aside.unlink()
    file = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(file, rest) :]
    finally:
        os.close(file)
    publish(LOCAL_DISK, aside, path)


def listed(keys: Iterable[Key], now_ms: int, refused: Mapping[tuple[str, str], int]) -> list[dict[str, object]]:
    """What is shown of keys, without their secrets. refused: how many requests, by key and reason."""
    return [
        {
            "name": key.name,
            "id": key.id,
            "kind": "public token" if key.origins else "key",
            "state": key.state(now_ms),
            "may": key.may,
            "workgroup": key.workgroup,
            "origins": key.origins,
            "limits": key.limits,
            "created_ms": key.created_ms,
            "expires_ms": key.expires_ms,
            "revoked_ms": key.revoked_ms,
            "refused": {reason: count for (name, reason), count in refused.items() if name == key.name},
        }
        for key in keys
    ]
