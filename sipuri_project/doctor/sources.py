"""Whether the addresses that calls come from are those of their callers.

A container's bridge or a NAT that rewrites sources makes all callers one: source lists let in everybody or nobody, and a ban shuts out all.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from ipaddress import IPv4Address
from pathlib import Path

from django.conf import settings

from voiceapps.rules.cidr import REFUSED_RANGES, contains
from voiceapps.rules.diagnosis.findings import Finding, bad, good
from voiceapps.selectors import newest_sources, trusted_ranges

SUBJECT = "Sources"
MOST = 200
"""Calls and refused attempts that are looked at, the newest of each."""
LEAST = 5
"""Fewer prove nothing."""
SHARE = 0.9
ROUTES = Path("/proc/net/route")


def examine() -> Iterator[Finding]:
    """Yield what is found of the newest calls and refused attempts."""
    yield judge(newest_sources(MOST), gateway(ROUTES.read_text(encoding="ascii")), (*settings.GUARD_TRUSTED, *trusted_ranges()))


def judge(seen: Mapping[str, int], router: str, trusted: Iterable[str]) -> Finding:
    """Return what is found, given how often each address was seen.

    `router` is the next hop of the default route; `trusted` are the ranges of proxies that the operator knows to stand in front.
    """
    total = sum(seen.values())
    if total < LEAST:
        return good(SUBJECT, f"Too few calls to tell: {total}.")
    address, count = Counter(seen).most_common(1)[0]
    if count < SHARE * total or not _is_inner(address, router) or contains(trusted, address):
        return good(SUBJECT, f"The newest {total} calls and refused attempts came from {len(seen)} addresses.")
    return bad(
        SUBJECT,
        f"{count} of the newest {total} calls and refused attempts came from {address}, "
        f"{'the router of this machine' if address == router else 'an inner address'}: something rewrites their sources.",
        "Use the host's network for containers (network_mode: host), or have the NAT keep sources; "
        "if it is a proxy or PBX of your own, trust it: Security, or SIPURI_GUARD_TRUSTED.",
    )


def _is_inner(address: str, router: str) -> bool:
    """Return whether no caller on the internet has an address; loopback is somebody who tries things out."""
    ip = IPv4Address(address)
    return address == router or (not ip.is_loopback and any(ip in network for network, _ in REFUSED_RANGES))


def gateway(routes: str) -> str:
    """Return the next hop of the default route in the text of /proc/net/route, empty if there is none."""
    for line in itertools.islice(routes.splitlines(), 1, None):
        _, destination, hop, *_ = line.split()
        if int(destination, 16) == 0 and int(hop, 16):
            return str(IPv4Address(int.from_bytes(bytes.fromhex(hop), "little")))
    return ""
