"""The private headers in which the proxy tells the call flow what it knows of a call and of its caller, and whether they are believed."""

from __future__ import annotations

import re
from collections import OrderedDict
from typing import Literal, cast

from daemonkit.address import Address
from sipproxy.headers.call_headers import (
    AGE_HEADER,
    CALL_HEADER,
    LATE_HEADER,
    REACH_HEADER,
    SEAL_HEADER,
    SEAL_SECONDS,
    MediaSecurity,
    SealFault,
    seal_fault,
)
from sipproxy.mac import Keys
from sipproxy.sip import Request
from voiceapps.rules.reports import CallFacts

Reach = Literal["direct", "nat", "stream"]
"""How a caller is reached: at an address of its own, behind NAT, or by a connection that it opened."""
MAX_USED_SEALS = 50_000
"""Seals that a node remembers: those of two minutes at 400 calls/s. Beyond that the oldest could be used once more."""
_CALL_ID = r"c-[0-9a-f]{8}-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_VALUE = re.compile(
    rf"(?P<call>{_CALL_ID});app=(?P<app>[0-9A-Za-z-]{{1,64}});account=(?P<account>[0-9A-Za-z-]{{1,64}})"
    r";source=(?P<ip>[0-9.]{7,15}):(?P<port>\d{1,5});country=(?P<country>[A-Z]{2}|-);started=(?P<started>\d{1,12}(\.\d{1,6})?)(?P<digest>;digest)?"
    r"(;media=(?P<media>optional|required|impossible))?"
)


_AGE = re.compile(r"\d{1,2}\.\d", re.ASCII)
"""A BYE is repeated for half a minute."""


class InviteGate:
    """Believes an INVITE that a proxy of ours has sealed for this node, once; without keys it believes none."""

    def __init__(self, keys: Keys, node: Address) -> None:
        self.refused = dict.fromkeys(SealFault, 0)
        self._keys = keys
        self._node = node
        self._used: OrderedDict[str, float] = OrderedDict()

    def admit(self, invite: Request, wall: float) -> CallFacts | SealFault:
        """Return what the proxy says of this call, or count why nobody of ours has said it; `wall` is in seconds since the epoch."""
        found = self._find_fault(invite, wall) or read_call_facts(invite) or SealFault.UNREADABLE
        if isinstance(found, SealFault):
            self.refused[found] += 1
        return found

    def _find_fault(self, invite: Request, wall: float) -> SealFault | None:
        fault = seal_fault(invite, self._keys, self._node, wall)
        return fault or self._use(invite.header(SEAL_HEADER) or "", wall)

    def _use(self, seal: str, wall: float) -> SealFault | None:
        """Remember a seal for as long as it could be used again: its maker's clock may be ahead of ours."""
        while self._used and (len(self._used) >= MAX_USED_SEALS or next(iter(self._used.values())) < wall - 2 * SEAL_SECONDS):
            self._used.popitem(last=False)
        if seal in self._used:
            return SealFault.USED
        self._used[seal] = wall
        return None


def read_call_facts(invite: Request) -> CallFacts | None:
    """Return what the proxy says of this call; None if the header is missing or malformed."""
    match = _VALUE.fullmatch(invite.header(CALL_HEADER) or "")
    if match is None:
        return None
    country = match["country"]
    return CallFacts(
        call_id=match["call"],
        application_id=match["app"],
        account_id=match["account"],
        sip_call_id=printable(invite.call_id),
        from_uri=printable(invite.from_.uri),
        to_uri=printable(invite.to.uri),
        source_ip=match["ip"],
        source_port=int(match["port"]),
        country=None if country == "-" else country,
        started_at=float(match["started"]),
    )


def read_reach(request: Request) -> Reach:
    """Return how the proxy reaches the caller; `direct` if it does not say."""
    value = request.header(REACH_HEADER)
    return cast(Reach, value) if value in ("nat", "stream") else "direct"


def is_proven(invite: Request) -> bool:
    """Return whether the caller has shown its password, or answers at its address: no connection can be made from another one."""
    match = _VALUE.fullmatch(invite.header(CALL_HEADER) or "")
    return read_reach(invite) == "stream" or bool(match and match["digest"])


def read_media_security(invite: Request) -> MediaSecurity:
    """Return whether the call's audio is encrypted; it is not if the proxy does not say."""
    match = _VALUE.fullmatch(invite.header(CALL_HEADER) or "")
    return MediaSecurity(match["media"]) if match and match["media"] else MediaSecurity.PLAIN


def read_age(request: Request) -> float:
    """Return how many seconds ago the proxy sent a request that it repeats; 0 if it does not say."""
    value = request.header(AGE_HEADER) or ""
    return float(value) if _AGE.fullmatch(value) else 0.0


def is_late(request: Request) -> bool:
    """Return whether a request may have been sent long before it came, as the proxy was away."""
    return request.count(LATE_HEADER) > 0


def printable(text: str) -> str:
    """Replace control characters and octets that are not UTF-8: JSON and the database refuse them."""
    clean = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return "".join(character if character.isprintable() else "\ufffd" for character in clean)
