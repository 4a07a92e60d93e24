"""Who is signed in by a browser: in memory alone, so that a restart signs everybody out.

A session belongs to a key, and ends with it. What a browser keeps is a random token; here is a digest of it.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections import OrderedDict
from dataclasses import dataclass

from datawarehouse.access.rates import Bucket, Buckets
from datawarehouse.errors import Throttled

LIFETIME_S = 12 * 3600
SESSIONS_MAX = 1000
"""Of more, the oldest end."""
WRONG_PER_MIN = 10
"""So many wrong secrets from one address; of IPv6, from one site."""
WRONG_OF_ALL_PER_MIN = 300


@dataclass(frozen=True, slots=True)
class Session:
    """key_id: empty for the owner of the data folder."""

    key_id: str
    expires_ms: int


class Sessions:
    """Methods can be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._of_digest: OrderedDict[bytes, Session] = OrderedDict()
        self._wrong = Buckets(WRONG_PER_MIN, 60.0)
        self._wrong_of_all = Bucket(WRONG_OF_ALL_PER_MIN, 60.0)

    def begin(self, key_id: str, now_ms: int) -> tuple[str, Session]:
        """A new session, and the token of it."""
        token = secrets.token_urlsafe(32)
        session = Session(key_id, now_ms + LIFETIME_S * 1000)
        with self._lock:
            self._of_digest[_digest(token)] = session
            while len(self._of_digest) > SESSIONS_MAX:
                self._of_digest.popitem(last=False)
        return token, session

    def get(self, token: str, now_ms: int) -> Session | None:
        found = self._of_digest.get(_digest(token))
        return found if found and now_ms < found.expires_ms else None

    def end(self, token: str) -> None:
        with self._lock:
            self._of_digest.pop(_digest(token), None)

    def admit(self, address: str) -> None:
        """Raises Throttled for an address from which too many wrong secrets came."""
        with self._lock:
            wait_s = max(self._wrong.of(address).wait_s(), self._wrong_of_all.wait_s())
        if wait_s > 0:
            raise Throttled(
                f"Too many wrong secrets were sent ({WRONG_PER_MIN} a minute from one address); try again later.",
                "sign-in",
                wait_s,
            )

    def note_wrong(self, address: str) -> None:
        """Count a wrong secret."""
        with self._lock:
            self._wrong.of(address).take(1)
            self._wrong_of_all.take(1)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
