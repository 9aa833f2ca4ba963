"""What the call flow is told of a call, and the seal over it: any change breaks it, and a static target is told nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sipproxy.core.limits import FAILOVER_SECONDS
from sipproxy.headers.call_headers import (
    CALL_HEADER,
    REACH_HEADER,
    SEAL_HEADER,
    SEAL_SECONDS,
    SealFault,
    seal_fault,
    seal_invite,
    tell_call,
)
from sipproxy.headers.caller_headers import CARRIED_HEADER
from sipproxy.mac import mac_key
from sipproxy.sip import Request
from tests.support.sip import make_request
from tests.unit.proxy.harness import CONFIG, NODE_A, NODE_B, URI, ProxyHarness, application
from voiceapps.rules.reports import CallFacts

KEY = b"k" * 32
WALL = 1_700_000_000.7
FACTS = CallFacts(
    call_id="c-95ac8d6e-1a31c52e-b38f-4198-93c1-51633ec68f8d",
    application_id="app-1",
    account_id="9900000",
    sip_call_id="",
    from_uri="",
    to_uri="",
    source_ip="203.0.113.9",
    source_port=5060,
    country="US",
    started_at=1_700_000_000.125,
)


def sealed() -> Request:
    invite = make_request(branch="z9hG4bKa")
    tell_call(invite, FACTS, "nat", "eyJ4LWEiOiIxIn0", by_digest=True)
    seal_invite(invite, KEY, NODE_A, WALL)
    return invite


def fault(invite: Request, wall: float = WALL) -> SealFault | None:
    return seal_fault(invite, (KEY,), NODE_A, wall)


def test_what_a_proxy_sealed_is_right_for_a_minute() -> None:
    assert fault(sealed()) is None
    assert (fault(sealed(), WALL + SEAL_SECONDS - 1), fault(sealed(), WALL - SEAL_SECONDS)) == (None, None)


@pytest.mark.parametrize("seconds", [SEAL_SECONDS + 1, -SEAL_SECONDS - 1, 86_400])
def test_a_seal_of_another_time_is_expired(seconds: float) -> None:
    assert fault(sealed(), WALL + seconds) is SealFault.EXPIRED


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        (CALL_HEADER, "c-95ac8d6e", "c-95ac8d6f"),
        (CALL_HEADER, "app=app-1", "app=app-2"),
        (CALL_HEADER, "account=9900000", "account=9900001"),
        (CALL_HEADER, "source=203.0.113.9", "source=203.0.113.8"),
        (CALL_HEADER, ":5060", ":5061"),
        (CALL_HEADER, "country=US", "country=-"),
        (CALL_HEADER, "started=1700000000.125", "started=1700000000.126"),
        (REACH_HEADER, "nat", "direct"),
        (CARRIED_HEADER, "eyJ4LWEiOiIxIn0", "eyJ4LWEiOiIyIn0"),
        (SEAL_HEADER, "1700000000;", "1700000001;"),
        ("Call-ID", "", "another-"),
        ("From", ";tag=", ";tag=a"),
        ("From", "sip:", "sip:other"),
        ("To", "sip:", "sip:other"),
    ],
)
def test_each_change_breaks_the_seal(name: str, old: str, new: str) -> None:
    invite = sealed()
    value = invite.header(name) or ""
    changed = value.replace(old, new, 1)
    assert changed != value
    invite.replace(name, changed)
    assert fault(invite) is SealFault.WRONG


@pytest.mark.parametrize("name", [CALL_HEADER, REACH_HEADER, CARRIED_HEADER])
@pytest.mark.parametrize("first", [True, False])
def test_a_second_header_or_a_missing_one_breaks_it(name: str, first: bool) -> None:
    invite = sealed()
    (invite.prepend if first else invite.append)(name, invite.header(name) or "")
    assert fault(invite) is SealFault.WRONG
    invite.remove_if(name.lower().__eq__)
    assert fault(invite) is SealFault.WRONG


def test_a_header_cannot_pass_for_another() -> None:
    invite = sealed()
    carried = invite.header(CARRIED_HEADER) or ""
    invite.remove_if(CARRIED_HEADER.lower().__eq__)
    invite.append(REACH_HEADER, carried)
    assert fault(invite) is SealFault.WRONG


def test_another_key_or_node_breaks_it() -> None:
    assert seal_fault(sealed(), (b"l" * 32,), NODE_A, WALL) is SealFault.WRONG
    assert seal_fault(sealed(), (KEY,), NODE_B, WALL) is SealFault.WRONG


def test_a_seal_of_each_key_is_right() -> None:
    for keys in ((KEY, b"l" * 32), (b"l" * 32, KEY)):
        assert seal_fault(sealed(), keys, NODE_A, WALL) is None
    assert seal_fault(sealed(), (), NODE_A, WALL) is SealFault.WRONG


@pytest.mark.parametrize(
    "text", ["", "1700000000", "1700000000;", "x;" + "0" * 32, "1700000000;" + "0" * 31, "1700000000;" + "G" * 32, "٣;" + "0" * 32]
)
def test_what_is_no_seal_is_missing(text: str) -> None:
    invite = sealed()
    invite.replace(SEAL_HEADER, text)
    assert fault(invite) is SealFault.MISSING


def test_none_or_two_seals_are_missing() -> None:
    invite = sealed()
    invite.append(SEAL_HEADER, invite.header(SEAL_HEADER) or "")
    assert fault(invite) is SealFault.MISSING
    invite.remove_if(SEAL_HEADER.lower().__eq__)
    assert fault(invite) is SealFault.MISSING


def test_each_label_makes_a_key_of_its_own() -> None:
    keys = {mac_key(b"secret"), mac_key(b"secret", b"invite"), mac_key(b"secret", b"other"), mac_key(b"other", b"invite")}
    assert len(keys) == 4


# Through the proxy.


def test_each_node_gets_a_seal_of_its_own() -> None:
    harness = ProxyHarness(nodes=(NODE_A, NODE_B))
    first, second = harness.service(NODE_A), harness.service(NODE_B)
    first.silent = True
    harness.caller().call(URI, harness.now)
    harness.run(FAILOVER_SECONDS + 1)
    (invite,) = [request for request in second.requests if request.method == "INVITE"]
    wall = harness.sources.wall(harness.now)
    assert (invite.count(SEAL_HEADER), seal_fault(invite, CONFIG.invite_keys, NODE_B, wall)) == (1, None)
    assert seal_fault(invite, CONFIG.invite_keys, NODE_A, wall) is SealFault.WRONG


def test_the_first_of_several_keys_seals() -> None:
    harness = ProxyHarness(replace(CONFIG, invite_keys=(b"new", b"old")))
    caller, service = harness.caller(), harness.service()
    caller.call(URI, harness.now)
    harness.run(1)
    wall = harness.sources.wall(harness.now)
    faults = [seal_fault(service.requests[0], (key,), NODE_A, wall) for key in (b"new", b"old")]
    assert faults == [None, SealFault.WRONG]


def test_a_caller_cannot_bring_a_seal() -> None:
    harness = ProxyHarness()
    caller, service = harness.caller(), harness.service()
    caller.call(URI, harness.now, extra=[(SEAL_HEADER, "1700000000;" + "0" * 32)])
    harness.run(1)
    assert seal_fault(service.requests[0], CONFIG.invite_keys, NODE_A, harness.sources.wall(harness.now)) is None


def test_a_static_target_is_told_nothing() -> None:
    harness = ProxyHarness(replace(CONFIG, callflow_targets=(NODE_A,)))
    harness.applications = [application(sip_headers=True)]
    caller, service = harness.caller(), harness.service(foreign=True)
    caller.talk_seconds = None
    attempt = caller.call(URI, harness.now, extra=[("X-Account", "7")])
    harness.run(1)
    assert attempt.leg is not None
    for method in ("INVITE", "UPDATE", "INFO", "BYE"):
        caller.layer.send_request(caller.inside(attempt.leg, method), attempt.leg.peer, harness.now)
        harness.run(1)
    assert {request.method for request in service.requests} == {"INVITE", "ACK", "UPDATE", "INFO", "BYE"}
    assert not [key for request in service.requests for key in request.keys if key.startswith(("p-sipuri-", "x-"))]
