"""Under which addresses callers are told to reach us, and whether they can."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address

from django.conf import settings

from daemonkit.interfaces import local_addresses
from sipuri_project.config import WILDCARD, external_listeners
from voiceapps.rules.cidr import REFUSED_RANGES
from voiceapps.rules.diagnosis.findings import Finding, bad, doubtful, good

SUBJECT = "Addresses"


@dataclass(frozen=True, slots=True)
class Side:
    """One address that callers are told."""

    what: str
    """What they are told it for."""
    local: str
    """Where we listen."""
    told: str
    variable: str
    """What sets `told`."""


def examine() -> Iterator[Finding]:
    """Yield what is found of the addresses of signalling and of media."""
    first = external_listeners()[0]
    sides = (
        Side("SIP", first.bind[0], first.address[0], "SIPURI_SIP_PUBLIC_ADDRESS"),
        Side("media", *settings.MEDIA_EXTERNAL, "SIPURI_MEDIA_EXTERNAL"),
    )
    for side in sides:
        yield from judge(side, local_addresses(), production=settings.PRODUCTION)


def judge(side: Side, ours: tuple[str, ...], *, production: bool) -> Iterator[Finding]:
    """Yield what is found of one address; `ours` are those of this machine."""
    if side.local != WILDCARD and side.local not in ours and not IPv4Address(side.local).is_loopback:
        yield doubtful(
            SUBJECT,
            f"No interface of this machine has {side.local}, where {side.what} is to be bound.",
            f"If the role runs on this machine, correct {side.variable} or the interface.",
        )
    yield _of_the_world(side, production)


def _of_the_world(side: Side, production: bool) -> Finding:
    kind = next((words for network, words in REFUSED_RANGES if IPv4Address(side.told) in network), "")
    if not kind:
        behind = "" if side.told == side.local else f", which a NAT has to forward to {side.local}"
        return good(SUBJECT, f"Callers are told {side.told} for {side.what}{behind}.")
    sentence = f"Callers are told {side.told} for {side.what}: {kind}."
    fix = f"Set {side.variable} to the address that callers reach, with :PORT behind it if that differs."
    if side.variable == "SIPURI_MEDIA_EXTERNAL":
        fix = f"Set {side.variable} to LOCAL!PUBLIC: the address to bind, and the one that callers reach."
    if not production:
        return good(SUBJECT, f"{sentence} That is enough for a trial on this network.")
    return (bad if IPv4Address(side.told).is_loopback else doubtful)(SUBJECT, sentence, fix)
