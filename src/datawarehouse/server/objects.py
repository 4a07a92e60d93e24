"""Objects of a bucket, as the door for S3 lists and gives them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from datawarehouse.access.identity import Identity


class Listed(NamedTuple):
    """etag: with its quotes."""

    key: str
    size: int
    etag: str
    modified_ms: int


@dataclass(frozen=True, slots=True)
class Object:
    """read: the bytes from one place to the one before another, in pieces; it has opened them when it returns, and
    raises FileNotFoundError if they are gone by now."""

    size: int
    etag: str
    modified_ms: int
    content_type: str
    read: Callable[[int, int], Awaitable[AsyncGenerator[bytes]]]


Lister = Callable[[str, str, int], list[Listed]]
"""(prefix, after, limit) -> the first so many objects whose key begins with the prefix and comes after the other, in
the order of keys. It may be called in another thread."""


class Bucket(Protocol):
    @property
    def name(self) -> str: ...

    def refusal(self, identity: Identity, key: str) -> str:
        """Why an identity may not have an object of this key, or a list of those that begin with it; "" if it may."""
        ...

    async def lister(self, identity: Identity, prefix: str) -> Lister:
        """What gives the objects whose key begins with the prefix, and perhaps others."""
        ...

    def ends_whole(self, last: Listed, following: Listed) -> bool:
        """Whether a page may end between two objects that follow each other."""
        ...

    async def find(self, identity: Identity, key: str) -> Object | None: ...
