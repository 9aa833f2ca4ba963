"""What the kernel lets this machine's processes have: descriptors, buffers, packet rules."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings

from daemonkit import nft
from mediarelay.config import PlaneChoice
from voiceapps.rules.diagnosis.findings import Finding, bad, doubtful, good

SUBJECT = "Limits"
LEAST_DESCRIPTORS, ENOUGH_DESCRIPTORS = 1_024, 16_384
SOCKETS_A_CALL = 4
"""RTP and RTCP on both sides of the relay."""
LEAST_BUFFER = 1_000_000
RMEM = Path("/proc/sys/net/core/rmem_max")


def examine() -> Iterator[Finding]:
    """Yield what is found of this user's limits and of the kernel's."""
    yield judge_descriptors(resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    yield judge_buffers(int(RMEM.read_text(encoding="ascii")))
    yield judge_rules(nft.missing(), settings.MEDIA_PLANE, production=settings.PRODUCTION)


def judge_descriptors(most: int) -> Finding:
    """Return what is found, given how many descriptors a process may open."""
    if most == resource.RLIM_INFINITY or most >= ENOUGH_DESCRIPTORS:
        return good(SUBJECT, "Descriptors: as many as needed." if most == resource.RLIM_INFINITY else f"Descriptors: {most} each process.")
    sentence = f"A process may open {most} descriptors: the relay carries at most {max(0, most - 64) // SOCKETS_A_CALL} calls."
    fix = "Raise the hard limit (LimitNOFILE=1048576 in systemd's unit, ulimits in compose)."
    return (bad if most <= LEAST_DESCRIPTORS else doubtful)(SUBJECT, sentence, fix)


def judge_buffers(octets: int) -> Finding:
    """Return what is found, given the largest buffer of a socket."""
    if octets < LEAST_BUFFER:
        return doubtful(
            SUBJECT,
            f"A socket's buffer holds at most {octets // 1024} KiB: bursts of packets get lost.",
            "sysctl net.core.rmem_max=4194304",
        )
    return good(SUBJECT, f"A socket's buffer holds up to {octets // 1024} KiB.")


def judge_rules(missing: str, plane: str, *, production: bool) -> Finding:
    """Return whether bans and media may use the kernel's packet rules; `missing` says what this process lacks for it."""
    if not missing:
        return good(SUBJECT, "This process may write the kernel's packet rules.")
    sentence = f"This process lacks {missing}: bans act in the proxy, and media go through the relay's process."
    fix = "Install nftables and give the relay and the proxy CAP_NET_ADMIN (AmbientCapabilities in systemd's unit, cap_add in compose)."
    if plane == PlaneChoice.KERNEL:
        return bad(SUBJECT, f"SIPURI_MEDIA_PLANE is kernel, and this process lacks {missing}.", fix)
    return doubtful(SUBJECT, sentence, fix) if production else good(SUBJECT, sentence)
