"""Whether the ports of this installation answer, and whether others may take those of the relay."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings

from daemonkit.address import Address
from mediarelay.aio.inquiry import ask_relay
from mediarelay.config import ranges_overlap
from sipuri_project.config import external_listeners
from voiceapps.rules.diagnosis.findings import Finding, bad, doubtful, good
from voiceapps.selectors import live_nodes

SUBJECT = "Ports"
TRY_SECONDS, TRIES = 0.7, 3
EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
RESERVED = Path("/proc/sys/net/ipv4/ip_local_reserved_ports")


def examine() -> Iterator[Finding]:
    """Yield what is found of the SIP port, of the relays and of the ranges for media."""
    proxy = external_listeners()[0].bind
    if any(node.name.startswith(f"sipproxy-{settings.NODE_NAME}") for node in live_nodes("sipproxy")):
        yield judge_sip(proxy, sip_answers(proxy, settings.SIP_DOMAIN))
    for relay, _weight in settings.MEDIA_RELAYS:
        yield judge_relay(relay, _relay_fault(relay))
    taken = reserved(RESERVED.read_text(encoding="ascii"))
    low, high = map(int, EPHEMERAL.read_text(encoding="ascii").split())
    for variable, ports in (("SIPURI_RTP_PORTS", settings.RTP_PORTS), ("SIPURI_RTP_INTERNAL_PORTS", settings.RTP_INTERNAL_PORTS)):
        yield judge_range(variable, ports, (low, high), taken)


def judge_sip(proxy: Address, answers: bool) -> Finding:
    """Return what is found of the proxy of this machine."""
    where = f"{proxy[0]}:{proxy[1]}"
    if answers:
        return good(SUBJECT, f"The proxy answers at {where}.")
    return bad(
        SUBJECT,
        f"The proxy of this machine beats, but does not answer an OPTIONS at {where}.",
        "See whether a packet filter drops UDP to that port, and what the log of the proxy says.",
    )


def judge_relay(relay: Address, fault: str) -> Finding:
    """Return what is found of a relay; `fault` is empty if it answered."""
    where = f"{relay[0]}:{relay[1]}"
    if not fault:
        return good(SUBJECT, f"The relay at {where} answers.")
    return bad(
        SUBJECT,
        f"The relay at {where} does not answer a ping: {fault}",
        "Start it (manage.py runmediarelay), correct SIPURI_MEDIA_RELAYS, or let it hear this machine by SIPURI_NG_ALLOW.",
    )


def judge_range(variable: str, ports: tuple[int, int], ephemeral: tuple[int, int], taken: list[tuple[int, int]]) -> Finding:
    """Return whether the kernel may give ports of a range to others: it does unless they are reserved."""
    first, last = ports
    held = any(low <= first and last <= high for low, high in taken)
    pairs = (last - first + 1) // 2
    if held or not ranges_overlap(ports, ephemeral):
        return good(SUBJECT, f"{variable} has {first}-{last}: {pairs} calls at once.")
    return doubtful(
        SUBJECT,
        f"{variable} has {first}-{last}, and the kernel gives {ephemeral[0]} to {ephemeral[1]} to any program that asks for a port.",
        f"sysctl net.ipv4.ip_local_reserved_ports={first}-{last} (with what is there already: one list, separated by commas).",
    )


def reserved(text: str) -> list[tuple[int, int]]:
    """Return the ranges in a list such as `30000-40000,5060`; those that touch are one."""
    ranges: list[tuple[int, int]] = []
    for part in sorted((part for part in text.strip().split(",") if part), key=lambda part: int(part.partition("-")[0])):
        low, _, high = part.partition("-")
        first, last = int(low), int(high or low)
        if ranges and first <= ranges[-1][1] + 1:
            ranges[-1] = ranges[-1][0], max(last, ranges[-1][1])
        else:
            ranges.append((first, last))
    return ranges


def sip_answers(proxy: Address, domain: str) -> bool:
    """Return whether a proxy answers an OPTIONS, whatever it says."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(TRY_SECONDS)
        sock.connect(proxy)
        host, port = sock.getsockname()
        for number in range(TRIES):
            try:
                sock.send(_options(domain, f"{host}:{port}", number))
                if sock.recv(65_535).startswith(b"SIP/2.0 "):
                    return True
            except (TimeoutError, ConnectionRefusedError):
                continue
    return False


def _options(domain: str, here: str, number: int) -> bytes:
    branch = f"z9hG4bK{secrets.token_hex(8)}"
    lines = (
        f"OPTIONS sip:{domain} SIP/2.0",
        f"Via: SIP/2.0/UDP {here};branch={branch};rport",
        "Max-Forwards: 1",
        f"From: <sip:doctor@{domain}>;tag={secrets.token_hex(4)}",
        f"To: <sip:{domain}>",
        f"Call-ID: {branch}@doctor",
        f"CSeq: {number + 1} OPTIONS",
        "User-Agent: sipuri doctor",
        "Content-Length: 0",
    )
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode()


def _relay_fault(relay: Address) -> str:
    try:
        ask_relay(relay, {"command": "ping"})
    except (TimeoutError, ValueError, OSError) as error:
        return str(error) or "no answer."
    return ""
