"""Who sends a request, as later code reads it."""

from __future__ import annotations

from dataclasses import dataclass

from datawarehouse.access.rates import Rates
from datawarehouse.access.rights import EVERYTHING, NOTHING, WITHOUT_KEYS, Rights

PUBLIC_BYTES_MAX = 64 * 1024
"""The largest body of a request with a public token, which is also what sendBeacon sends at most (W3C Beacon, 3.1)."""


@dataclass(frozen=True, slots=True)
class Identity:
    """name: of the key; "owner" for who can read the lock file of the data folder, "" for nobody in particular.

    workgroup: the one in which its queries run; "" for any that a query names. address: of the client, if its rate
    counts by address.
    """

    name: str
    rights: Rights
    workgroup: str = ""
    rates: Rates | None = None
    address: str = ""

    def admit(self, *kinds: str) -> None:
        """Raises Throttled while a rate is used up; kinds: names of rates.RATES."""
        if self.rates:
            self.rates.admit(*kinds, address=self.address)

    def take(self, **counts: int) -> None:
        """Count what the request takes, by the names of rates.RATES."""
        if self.rates:
            self.rates.take(self.address, **counts)


OWNER = Identity("owner", EVERYTHING)
EVERYBODY = Identity("", WITHOUT_KEYS)
NOBODY = Identity("", NOTHING)
