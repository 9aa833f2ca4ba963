"""What the kernel plane needs of the machine: nft, forwarding, and marks that no routing rule looks at."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path

from daemonkit.nft import missing
from mediarelay.aio.netlink import ROUTE, KernelRefused, NetlinkSocket
from mediarelay.config import RelayConfig
from mediarelay.kernel.messages import NetlinkError
from mediarelay.kernel.routing_rules import ask_rules, read_rule

_FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")


def what_is_missing(config: RelayConfig) -> str:
    """Return, in one sentence, what the plane needs and this machine lacks; empty if nothing is missing."""
    lacking = missing()
    if lacking:
        return f"{lacking} is missing."
    external, internal = (ip_address(side.local).is_loopback for side in (config.external, config.internal))
    if internal and not external:
        return f"what comes from outside cannot go to {config.internal.local}; SIPURI_MEDIA_INTERNAL must be an address of an interface."
    if not internal and _FORWARDING.read_text(encoding="ascii").strip() != "1":
        return "net.ipv4.ip_forward is not 1."
    return _mark_conflict(config.marks)


def _mark_conflict(marks: range) -> str:
    try:
        netlink = NetlinkSocket(ROUTE)
    except OSError as error:
        return f"the routing rules cannot be read: {error.strerror}."
    try:
        found = [read_rule(message) for message in netlink.ask(ask_rules(netlink.next_sequence()))]
    except (KernelRefused, NetlinkError) as error:
        return f"the routing rules cannot be read: {error}."
    finally:
        netlink.close()
    for mark, mask in (rule.mark for rule in found if rule is not None and rule.mark is not None):
        # The bits that all our marks have in common; the others number the flows.
        fixed = 0xFFFF_FFFF ^ (len(marks) - 1)
        if (mark ^ marks.start) & mask & fixed == 0:
            return f"a routing rule looks at packets with the mark {mark:#x}; set SIPURI_MEDIA_MARK_BASE to others."
    return ""
