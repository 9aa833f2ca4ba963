"""How failed logins slow down the next ones, and when they stop a source. Times are seconds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv6Address, ip_address

WINDOW = 15 * 60
"""A failure is forgotten after this time without another one; so long lasts a lock."""
MAX_OF_PAIR = 5
"""Failures of one name from one source, after which this source may no longer try this name."""
MAX_OF_SOURCE = 20
"""Failures of one source, after which it may no longer try any name."""
FREE_OF_NAME = 5
"""Failures of one name, from wherever, after which its logins take longer. They are never refused: strangers could lock an operator out."""
MAX_DELAY = 4.0
FREE_CODES = 3
"""Wrong codes of a second factor that cost no time."""
MAX_CODE_WAIT = 15 * 60
"""At most so long until the next code counts: about a hundred guesses a day, of a million codes."""
_IPV6_PREFIX_BITS = 64


class Kind(StrEnum):
    """What failures are counted of."""

    PAIR = "pair"
    SOURCE = "source"
    NAME = "name"


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of a login."""

    locked_for: int = 0
    """Seconds until this source may try again; 0 if it may."""
    delay: float = 0.0
    """Seconds that the login takes longer."""


def decide(failures: dict[Kind, int], age: dict[Kind, float]) -> Decision:
    """Return what becomes of the next login, by the counted failures of each kind and the seconds since the last one."""
    limits = {Kind.PAIR: MAX_OF_PAIR, Kind.SOURCE: MAX_OF_SOURCE}
    waits = [WINDOW - age[kind] for kind, limit in limits.items() if failures.get(kind, 0) >= limit]
    if waits:
        return Decision(locked_for=max(1, round(max(waits))))
    beyond = failures.get(Kind.NAME, 0) - FREE_OF_NAME
    return Decision(delay=min(MAX_DELAY, 0.25 * 2.0 ** min(beyond, 10)) if beyond >= 0 else 0.0)


def code_wait(failures: int) -> int:
    """Return the seconds after a wrong code of a second factor in which no other one counts."""
    beyond = failures - FREE_CODES
    return min(MAX_CODE_WAIT, 2 ** min(beyond, 20)) if beyond > 0 else 0


def source_of(address: str) -> str:
    """Return what failures of an address are counted under: of IPv6 the network, since each customer has one."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address):
        return str(IPv6Address(int(parsed) >> _IPV6_PREFIX_BITS << _IPV6_PREFIX_BITS))
    return address
