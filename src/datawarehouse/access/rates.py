"""How much a key may do in a time: a bucket for each thing that is counted.

What a request takes is known once it was read, so a request is admitted while there is one left, and what it takes
beyond what is left is owed. Over any time this is the rate, what is saved up, and the last request.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from ipaddress import IPv6Address, ip_address

from datawarehouse.errors import Throttled

RATES = {"events_per_s": 1.0, "bytes_per_s": 1.0, "queries_per_min": 60.0}
"""What can be limited, with the seconds of its unit of time."""
ADDRESS_RATE = "address_events_per_s"
"""The limit of a public token for each address of a browser."""
_ADDRESSES_MAX = 10_000
_ROUNDING = 1e-6


class Bucket:
    """So many of something in so many seconds. Those of one such time may come at once."""

    def __init__(self, count: int, seconds: float) -> None:
        self._per_s = count / seconds
        self._most = float(count)
        self._left = self._most
        self._at = time.monotonic()

    def wait_s(self) -> float:
        """How long until something is admitted; 0: now."""
        self._fill()
        return max(0.0, (1 - _ROUNDING - self._left) / self._per_s)

    def take(self, count: int) -> None:
        self._fill()
        self._left -= count

    def _fill(self) -> None:
        now = time.monotonic()
        self._left = min(self._most, self._left + (now - self._at) * self._per_s)
        self._at = now


class Buckets:
    """A bucket for each address; of IPv6 those of one site have one, the first 64 bits (RFC 4291, 2.5.4)."""

    def __init__(self, count: int, seconds: float) -> None:
        self._count = count
        self._seconds = seconds
        self._of_site: OrderedDict[str, Bucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._of_site)

    def of(self, address: str) -> Bucket:
        site = _site(address)
        found = self._of_site.pop(site, None) or Bucket(self._count, self._seconds)
        self._of_site[site] = found
        if len(self._of_site) > _ADDRESSES_MAX:
            self._of_site.popitem(last=False)
        return found


class Rates:
    """The buckets of one key. Methods can be called from any thread."""

    def __init__(self, name: str, limits: Mapping[str, int]) -> None:
        """limits: by the names of RATES, and ADDRESS_RATE."""
        self.limits = dict(limits)
        self._name = name
        self._lock = threading.Lock()
        self._buckets = {each: Bucket(limits[each], seconds) for each, seconds in RATES.items() if each in limits}
        self._of_address = Buckets(limits[ADDRESS_RATE], 1.0) if ADDRESS_RATE in limits else None

    def admit(self, *kinds: str, address: str = "") -> None:
        """Raises Throttled, with the time to wait, while nothing is left of one of these kinds, or for an address."""
        with self._lock:
            waits = {kind: self._buckets[kind].wait_s() for kind in kinds if kind in self._buckets}
            if self._of_address is not None and address:
                waits[ADDRESS_RATE] = self._of_address.of(address).wait_s()
        kind = max(waits, key=lambda each: waits[each], default="")
        if kind and waits[kind] > 0:
            limit = f"{self.limits[kind]} ({kind})"
            raise Throttled(
                f"The key {self._name!r} has reached its rate of {limit}; send again later.", kind, waits[kind]
            )

    def take(self, address: str = "", **counts: int) -> None:
        """Count what a request takes."""
        with self._lock:
            for kind, count in counts.items():
                if kind in self._buckets:
                    self._buckets[kind].take(count)
            if self._of_address is not None and address:
                self._of_address.of(address).take(counts.get("events_per_s", 0))


def _site(address: str) -> str:
    try:
        found = ip_address(address)
    except ValueError:
        return address
    if isinstance(found, IPv6Address) and found.ipv4_mapped is None:
        return found.packed[:8].hex()
    return str(getattr(found, "ipv4_mapped", None) or found)
