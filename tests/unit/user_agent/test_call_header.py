"""INVITEs that no proxy of ours has sealed: 403, and nothing else comes of them."""

from __future__ import annotations

import pytest

from callflow.sip import call_header
from callflow.sip.call_header import InviteGate
from callflow.sip.events import CallArrived, StrangerRefused
from callflow.sip.user_agent import QUIET_SECONDS
from sipproxy.headers.call_headers import CALL_HEADER, SEAL_HEADER, SEAL_SECONDS, SealFault, seal_invite
from sipproxy.sip import Request
from tests.support.sip import make_request
from tests.unit.user_agent.link import FACTS, KEY, SERVER, WALL, phone, server
from tests.unit.user_agent.raw import OFFER, PROXY, Raw
from voiceapps.rules.reports import CallFacts


def invite(number: int = 1, facts: str = FACTS, wall: float = WALL) -> Request:
    made = make_request(branch="z9hG4bKa")
    made.replace("Call-ID", f"call-{number}")
    made.append(CALL_HEADER, facts)
    seal_invite(made, KEY, SERVER, wall)
    return made


def gate() -> InviteGate:
    return InviteGate((KEY,), SERVER)


@pytest.mark.parametrize(
    "headers",
    [
        (),
        (f"{CALL_HEADER}: {FACTS}",),
        (f"{CALL_HEADER}: {FACTS}", f"{SEAL_HEADER}: 1700000000;{'0' * 32}"),
        (f"{SEAL_HEADER}: 1700000000;{'0' * 32}",),
    ],
)
def test_only_our_proxies_are_served(headers: tuple[str, ...]) -> None:
    raw = Raw(server())
    (refusal,) = raw.send("INVITE", 1, body=OFFER, headers=headers)
    assert (refusal.status, len(raw.agent)) == (403, 0)
    assert not [event for event in raw.events() if not isinstance(event, StrangerRefused)]


def test_a_stranger_hears_403_whatever_else_is_wrong() -> None:
    raw = Raw(server(max_calls=0))
    (refusal,) = raw.send("INVITE", 1, headers=("Require: precondition", "Session-Expires: 10"))
    assert refusal.status == 403


def test_a_seal_serves_one_call() -> None:
    raw = Raw(server())
    raw.invite()
    assert isinstance(raw.events()[0], CallArrived)
    raw.agent.hang_up(1, raw.now)
    raw.out()
    # A copy of the INVITE in a transaction of its own.
    raw.branches = 0
    raw.wait(40)
    raw.out()
    (refusal,) = raw.invite()
    assert (refusal.status, raw.agent.gate.refused[SealFault.USED]) == (403, 1)


def test_strangers_are_told_of_at_most_once_a_second() -> None:
    raw = Raw(server())
    for number in range(5):
        raw.send("INVITE", number + 1)
    assert raw.events() == [StrangerRefused(PROXY, SealFault.MISSING, 1)]
    raw.now += QUIET_SECONDS
    raw.send("INVITE", 9)
    assert raw.events() == [StrangerRefused(PROXY, SealFault.MISSING, 6)]
    assert raw.agent.gate.refused == {**dict.fromkeys(SealFault, 0), SealFault.MISSING: 6}


def test_an_agent_without_a_key_takes_no_calls() -> None:
    raw = Raw(phone())
    (refusal,) = raw.invite()
    assert refusal.status == 403
    no_key = make_request(branch="z9hG4bKa")
    no_key.append(CALL_HEADER, FACTS)
    seal_invite(no_key, b"", SERVER, WALL)
    assert InviteGate((), SERVER).admit(no_key, WALL) is SealFault.WRONG


def test_the_facts_come_out() -> None:
    facts = gate().admit(invite(), WALL)
    assert isinstance(facts, CallFacts)
    assert (facts.account_id, facts.source_ip, facts.sip_call_id) == ("9900000", "203.0.113.9", "call-1")


def test_facts_of_another_form_are_refused_although_they_are_sealed() -> None:
    tried = gate()
    assert tried.admit(invite(facts="c-../../x;app=a"), WALL) is SealFault.UNREADABLE
    assert tried.refused[SealFault.UNREADABLE] == 1


def test_a_used_seal_is_remembered_for_as_long_as_it_holds() -> None:
    tried, ahead = gate(), invite(wall=WALL + SEAL_SECONDS)
    assert isinstance(tried.admit(ahead, WALL), CallFacts)
    for number, wall in ((2, WALL), (3, WALL + SEAL_SECONDS), (4, WALL + 2 * SEAL_SECONDS)):
        assert isinstance(tried.admit(invite(number, wall=wall), wall), CallFacts)
        assert tried.admit(ahead, wall) is SealFault.USED
    assert tried.admit(ahead, WALL + 2 * SEAL_SECONDS + 1) is SealFault.EXPIRED
    assert isinstance(tried.admit(invite(5, wall=WALL + 300), WALL + 300), CallFacts)
    assert len(tried._used) == 1


def test_no_more_seals_are_remembered_than_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call_header, "MAX_USED_SEALS", 3)
    tried = gate()
    for number in range(5):
        assert isinstance(tried.admit(invite(number), WALL), CallFacts)
    assert len(tried._used) == 3
    assert tried.admit(invite(4), WALL) is SealFault.USED


@pytest.mark.parametrize(("facts", "proven"), [(FACTS, False), (f"{FACTS};digest", True), (f"{FACTS};digest=no", False)])
def test_the_proxy_says_who_has_shown_a_password(facts: str, proven: bool) -> None:
    assert call_header.is_proven(invite(facts=facts)) is proven
    assert isinstance(gate().admit(invite(facts=facts), WALL), CallFacts) is not facts.endswith("no")
