"""The private headers in which the proxy tells the call flow what it knows of a call and of its caller."""

from __future__ import annotations

import re
from typing import Literal, cast

from sipproxy.sip import Request
from voiceapps.rules.reports import CallFacts

Reach = Literal["direct", "nat", "stream"]
"""How a caller is reached: at an address of its own, behind NAT, or by a connection that it opened."""
NAME = "P-Sipuri-Call"
REACH_NAME = "P-Sipuri-Reach"
LATE_NAME = "P-Sipuri-Late"
_CALL_ID = r"c-[0-9a-f]{8}-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_VALUE = re.compile(
    rf"(?P<call>{_CALL_ID});app=(?P<app>[0-9A-Za-z-]{{1,64}});account=(?P<account>[0-9A-Za-z-]{{1,64}})"
    r";source=(?P<ip>[0-9.]{7,15}):(?P<port>\d{1,5});country=(?P<country>[A-Z]{2}|-);started=(?P<started>\d{1,12}(\.\d{1,6})?)"
)


def read_call_facts(invite: Request) -> CallFacts | None:
    """Return what the proxy says of this call; None if the header is missing or malformed."""
    match = _VALUE.fullmatch(invite.header(NAME) or "")
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
    value = request.header(REACH_NAME)
    return cast(Reach, value) if value in ("nat", "stream") else "direct"


def is_late(request: Request) -> bool:
    """Return whether a request may have been sent long before it came, as the proxy was away."""
    return request.count(LATE_NAME) > 0


def printable(text: str) -> str:
    """Replace control characters and octets that are not UTF-8: JSON and the database refuse them."""
    clean = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return "".join(character if character.isprintable() else "\ufffd" for character in clean)
