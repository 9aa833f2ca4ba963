"""Malformed and hostile messages, at the whole proxy.

Most shapes are wire files (test_wire_answers.py) and parser tests (tests/unit/sip); random octets are in tests/fuzz; loops and
spirals in test_proxy_admission.py. These tests show what only a whole proxy can: what reaches a node, and what state is left.
"""

from __future__ import annotations

from random import Random

import pytest

from tests.unit.proxy.harness import APP, CALLER, DOMAIN, OUTSIDE, ProxyHarness, application

URI = f"sip:{APP}@{DOMAIN}"
REST = (
    "Via: SIP/2.0/UDP {source};branch=z9hG4bKthreat\r\nMax-Forwards: 70\r\nFrom: <sip:a@pbx.example>;tag=f\r\nTo: <{uri}>\r\n"
    "Call-ID: threat\r\nCSeq: 1 {method}\r\nContact: <sip:a@{source}>\r\n"
)


def open_world() -> ProxyHarness:
    """Return a harness whose application takes calls from anywhere without a password."""
    harness = ProxyHarness()
    harness.applications = [application(password_auth=False, allowed_source_ips=("0.0.0.0/0",))]
    return harness


def message(added: bytes = b"", *, method: str = "INVITE", uri: str = URI, changed: tuple[str, str] = ("", "")) -> bytes:
    """Return a complete request with lines added, or one text in it changed."""
    rest = REST.format(source=f"{CALLER[0]}:{CALLER[1]}", uri=URI, method=method)
    text = f"{method} {uri} SIP/2.0\r\n{rest}"
    assert changed[0] in text
    return text.replace(*changed).encode() + added + b"\r\n"


def answers(harness: ProxyHarness, data: bytes) -> list[str]:
    """Return the statuses of the responses to one datagram."""
    harness.receive(data, CALLER, OUTSIDE, harness.now)
    return [sent[8:11].decode() for place, sent, _ in harness.take() if place == OUTSIDE]


@pytest.mark.parametrize(
    "data", [b"", b"\r\n", b"\r\n\r\n", b"\0", Random(1).randbytes(65_535), b"A: b\r\n" * 10_000, "\u0416\0".encode() * 9]
)
def test_what_is_no_message_gets_no_response(data: bytes) -> None:
    harness = ProxyHarness()
    assert answers(harness, data) == []
    assert harness.is_empty()


@pytest.mark.parametrize(
    "line",
    [
        b"X-Bypass: v", b"X-Bypass : v", b"x-bypass\t: v", b"X-BYPASS:v", b"X-Bypass:\r\n v", b"X-Bypass: v\r\nx-BYPASS: w", b"X-\xc3: v",
        b"P-Sipuri-Call: forged", b"p-sipuri-CALL \t: forged", b"P-Sipuri-Call:\r\n\tforged",
    ],
)  # fmt: skip
def test_no_spelling_of_a_private_header_reaches_a_node(line: bytes) -> None:
    harness = open_world()
    service = harness.service()
    assert answers(harness, message(line + b"\r\n")) == (["400"] if b"\xc3" in line else ["100"])
    harness.run(1)
    for request in service.requests:
        assert not any(key.startswith("x-") for key in request.keys)
        assert [value for value in request.headers("p-sipuri-call") if "forged" in value] == []
        assert request.count("p-sipuri-call") == 1
    assert bool(service.requests) == (b"\xc3" not in line)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"t: <sip:x@y>", []), (b"FROM: <sip:x@y>;tag=2", []), (b"i : other", []), (b"cseq: 2 INVITE", []), (b"max-forwards:9", ["400"]),
        (b"l: 1", ["400"]), (b"Content-Length: -1", ["400"]), (b"Content-Length: 0x0", ["400"]), (b"l: 0\r\nContent-Length: 1", ["400"]),
        (b"Content-Length:\r\n 0", ["100"]), (b"l: 0\r\nContent-Length : 0", ["100"]),
    ],
)  # fmt: skip
def test_doubled_headers_and_lengths(line: bytes, expected: list[str]) -> None:
    harness = open_world()
    harness.service()
    assert answers(harness, message(line + b"\r\n")) == expected


BOMBS = {
    "headers": (message(b"A: b\r\n" * 10_000), ["400"]),
    "long header": (message(b"A: " + b"b" * 60_000 + b"\r\n"), ["400"]),
    "datagram": (message(b"A: " + b"b" * 100_000 + b"\r\n"), []),
    "vias": (message(b"v:SIP/2.0/UDP h\r\n" * 3_000), ["400"]),
    "vias in a line": (message(b"v:" + b"SIP/2.0/UDP h," * 70 + b"SIP/2.0/UDP h\r\n"), ["400"]),
    "vias in lines": (message((b"v:" + b"SIP/2.0/UDP h," * 250 + b"SIP/2.0/UDP h\r\n") * 15), ["400"]),
    "routes": (message(b"Route:<sip:h;lr>\r\n" * 2_000), ["400"]),
    "user part": (message(uri=f"sip:{'u' * 50_000}@{DOMAIN}"), []),
    "parameters": (message(changed=(";tag=f", ";p" * 3_000 + ";tag=f")), ["400"]),
    "uri parameters": (message(uri=URI + ";p" * 3_000), ["400"]),
    "folds": (message(b"A: b" + b"\r\n b" * 10_000 + b"\r\n"), ["400"]),
    "quotes": (message(changed=("<sip:a@pbx.example>", '"' + "\\" * 8_001 + '" <sip:a@pbx.example>')), ["400"]),
}


@pytest.mark.parametrize("name", BOMBS)
def test_oversized_structures_are_refused(name: str) -> None:
    data, expected = BOMBS[name]
    harness = ProxyHarness()
    harness.applications = []
    assert answers(harness, data) == expected
    assert harness.is_empty()


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        (("CSeq: 1", "CSeq: 2147483648"), ["400"]), (("1 INVITE", "1 BYE"), ["400"]), (("Max-Forwards: 70", "Max-Forwards: 0"), ["483"]),
        (("Max-Forwards: 70", "Max-Forwards: -1"), ["400"]), (("Max-Forwards: 70", "Max-Forwards: 256"), ["400"]),
        (("Max-Forwards: 70\r\n", ""), ["100"]), (("Max-Forwards: 70", "Max-Forwards: 255"), ["100"]),
    ],
)  # fmt: skip
def test_numbers_and_methods(changed: tuple[str, str], expected: list[str]) -> None:
    harness = open_world()
    harness.service()
    assert answers(harness, message(changed=changed)) == expected


def test_our_address_in_a_via_is_a_loop_only_with_our_branch() -> None:
    harness = open_world()
    service = harness.service()
    assert answers(harness, message(f"Via: SIP/2.0/UDP {OUTSIDE[0]}:{OUTSIDE[1]};branch=z9hG4bKforged\r\n".encode())) == ["100"]
    harness.run(1)
    invite = service.requests[0].copy()
    invite.prepend("Via", f"SIP/2.0/UDP {CALLER[0]}:{CALLER[1]};branch=z9hG4bKagain")
    assert answers(harness, bytes(invite)) == ["482"]


@pytest.mark.parametrize("header", ["Route", "Record-Route"])
def test_a_forged_route_of_ours_does_not_replace_the_password(header: str) -> None:
    harness = ProxyHarness()
    forged = f"{header}: <sip:{'A' * 64}@{OUTSIDE[0]}:{OUTSIDE[1]};lr>\r\n"
    assert answers(harness, message(forged.encode())) == ["407"]
    assert harness.is_empty()
