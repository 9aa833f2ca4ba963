"""The user agent against itself: calls in both directions, with loss and with failures."""

from __future__ import annotations

import pytest

from callflow.sip.events import (
    CallArrived,
    CallCancelled,
    CallClosed,
    CallEstablished,
    OutgoingCallFailed,
    PeerAnswered,
    PeerHungUp,
    PeerLost,
    PeerSilent,
)
from callflow.sip.outgoing import Credentials
from callflow.sip.user_agent import UserAgent
from tests.unit.user_agent.link import (
    CALL_ID,
    DESTINATION,
    PHONE,
    PHONE_MEDIA,
    SERVER,
    SERVER_MEDIA,
    Link,
    phone,
    server,
)
from voiceapps.rules.endings import EndReason


class Pair:
    """Two agents and one call between them."""

    def __init__(self, seed: int | None = None, agent: UserAgent | None = None) -> None:
        self.phone, self.server = phone(), server() if agent is None else agent
        self.link = Link({PHONE: self.phone, SERVER: self.server}, seed)
        self.call = self.phone.place(DESTINATION, PHONE_MEDIA, self.link.now)

    @property
    def now(self) -> float:
        return self.link.now

    def arrive(self) -> CallArrived:
        self.link.run(30, lambda: self.link.take(SERVER, CallArrived))
        (event,) = self.link.take(SERVER, CallArrived)
        assert isinstance(event, CallArrived)
        return event

    def establish(self, keepalive: float = 25.0) -> int:
        call = self.arrive().call
        self.server.answer(call, SERVER_MEDIA, self.now, keepalive)
        self.link.run(30, lambda: self.link.take(SERVER, CallEstablished))
        assert self.link.take(SERVER, CallEstablished)
        return call

    def assert_empty(self) -> None:
        self.link.run(70)
        assert (len(self.phone), len(self.server)) == (0, 0)
        assert (len(self.phone.layer), len(self.server.layer)) == (0, 0)
        assert (self.phone.get_timer(), self.server.get_timer()) == (None, None)


def test_a_call_rings_is_answered_and_ends() -> None:
    pair = Pair()
    arrived = pair.arrive()
    assert (arrived.problem, arrived.facts.call_id, arrived.facts.country) == (None, CALL_ID, "US")
    assert (arrived.facts.from_uri, arrived.facts.to_uri) == ("sip:alice@127.0.0.1", "sip:app-1@sip.example.com")
    assert (arrived.facts.source_ip, arrived.facts.source_port) == ("203.0.113.9", 5060)
    assert arrived.facts.started_at == 1700000000.125
    pair.link.run(2)
    assert pair.link.first_lines(SERVER) == ["SIP/2.0 180 Ringing"]
    call = pair.establish()
    (theirs,) = pair.link.take(PHONE, CallEstablished)
    assert isinstance(theirs, CallEstablished)
    assert (theirs.media.address, theirs.media.payload_type, theirs.media.event_payload_type) == (SERVER_MEDIA, 0, 101)
    pair.server.hang_up(call, pair.now)
    pair.link.run(1)
    assert [event.call for event in pair.link.take(PHONE, PeerHungUp)] == [pair.call]
    assert pair.link.take(SERVER, CallClosed) == [CallClosed(call)]
    pair.assert_empty()


def test_the_contact_is_the_uri_that_was_called() -> None:
    pair = Pair()
    pair.establish()
    answers = [data for _, sender, data in pair.link.log if sender == SERVER]
    assert all(b"\r\nContact: <sip:app-1@sip.example.com>\r\n" in data for data in answers)
    assert b"\r\nSession-Expires: 1800;refresher=uas\r\n" in answers[-1]


def test_the_phone_hangs_up() -> None:
    pair = Pair()
    call = pair.establish()
    pair.phone.hang_up(pair.call, pair.now)
    pair.link.run(1)
    assert [event.call for event in pair.link.take(SERVER, PeerHungUp)] == [call]
    pair.assert_empty()


@pytest.mark.parametrize("status", [488, 500, 603])
def test_a_call_is_refused(status: int) -> None:
    pair = Pair()
    pair.server.hang_up(pair.arrive().call, pair.now, status)
    pair.link.run(1)
    (refused,) = pair.link.take(PHONE, OutgoingCallFailed)
    assert isinstance(refused, OutgoingCallFailed)
    assert refused.status == status
    pair.assert_empty()


def test_a_call_is_cancelled() -> None:
    pair = Pair()
    call = pair.arrive().call
    pair.link.run(1)
    pair.phone.hang_up(pair.call, pair.now)
    pair.link.run(2)
    assert pair.link.take(SERVER, CallCancelled) == [CallCancelled(call)]
    (refused,) = pair.link.take(PHONE, OutgoingCallFailed)
    assert isinstance(refused, OutgoingCallFailed)
    assert refused.status == 487
    pair.assert_empty()


def test_an_answer_that_crosses_the_cancel_is_ended_by_bye() -> None:
    pair = Pair()
    call = pair.arrive().call
    pair.link.run(1)
    pair.phone.hang_up(pair.call, pair.now)
    pair.server.answer(call, SERVER_MEDIA, pair.now)
    pair.link.run(2)
    assert [event.call for event in pair.link.take(SERVER, PeerHungUp)] == [call]
    pair.assert_empty()


def test_an_answer_without_ack_is_repeated_until_the_timeout() -> None:
    pair = Pair()
    call = pair.arrive().call
    pair.link.run(1)
    del pair.link.agents[PHONE]
    pair.server.answer(call, SERVER_MEDIA, pair.now)
    pair.link.run(31)
    answers = [line for line in pair.link.first_lines(SERVER) if line == "SIP/2.0 200 OK"]
    assert len(answers) > 8
    assert not pair.link.take(SERVER, PeerLost)
    pair.link.run(2)
    assert pair.link.take(SERVER, PeerLost) == [PeerLost(call, EndReason.ACK_TIMEOUT)]
    pair.server.hang_up(call, pair.now)
    pair.link.run(1)
    assert pair.link.first_lines(SERVER)[-1].startswith("BYE ")
    pair.link.run(70)
    assert (len(pair.server), len(pair.server.layer)) == (0, 0)


@pytest.mark.parametrize(("reach", "asked"), [("direct", 0), ("nat", 2), ("stream", 2), ("", 0), ("elsewhere", 0)])
def test_only_callers_behind_nat_and_on_streams_are_asked_regularly(reach: str, asked: int) -> None:
    pair = Pair()
    pair.link.reach = reach
    call = pair.establish(keepalive=25.0)
    pair.link.run(60)
    assert sum(line.startswith("OPTIONS ") for line in pair.link.first_lines(SERVER)) == asked
    assert pair.link.take(SERVER, PeerAnswered) == [PeerAnswered(call)] * asked
    assert not pair.link.take(SERVER, PeerSilent)


def test_an_application_may_ask_for_no_questions() -> None:
    pair = Pair()
    pair.link.reach = "nat"
    pair.establish(keepalive=0.0)
    pair.link.run(600)
    assert not [line for line in pair.link.first_lines(SERVER) if line.startswith("OPTIONS ")]


def test_a_question_without_an_answer_ends_nothing_by_itself() -> None:
    pair = Pair()
    pair.link.reach = "stream"
    call = pair.establish(keepalive=25.0)
    del pair.link.agents[PHONE]
    pair.link.run(200)
    assert pair.link.take(SERVER, PeerSilent) == [PeerSilent(call)] * 3
    assert not pair.link.take(SERVER, PeerLost)
    pair.server.hang_up(call, pair.now)
    pair.link.run(100)
    assert (len(pair.server), len(pair.server.layer)) == (0, 0)


def test_a_caller_that_forgot_the_call_answers_no_question() -> None:
    pair = Pair()
    call = pair.establish()
    pair.link.agents[PHONE] = phone()
    pair.server.probe(call, pair.now)
    pair.link.run(1)
    assert pair.link.take(SERVER, PeerSilent) == [PeerSilent(call)]


def test_a_question_is_asked_once_at_a_time() -> None:
    pair = Pair()
    call = pair.establish()
    pair.server.probe(call, pair.now)
    pair.server.probe(call, pair.now)
    pair.link.run(1)
    assert sum(line.startswith("OPTIONS ") for line in pair.link.first_lines(SERVER)) == 1
    assert pair.link.take(SERVER, PeerAnswered) == [PeerAnswered(call)]
    pair.server.hang_up(call, pair.now)
    pair.server.probe(call, pair.now)
    pair.server.probe(77, pair.now)
    pair.link.run(1)
    assert sum(line.startswith("OPTIONS ") for line in pair.link.first_lines(SERVER)) == 1


def test_the_session_is_refreshed_in_time() -> None:
    pair = Pair()
    call = pair.establish()
    pair.link.run(900 + 5)
    invites = [data for _, sender, data in pair.link.log if sender == SERVER and data.startswith(b"INVITE")]
    assert len(invites) == 1
    assert b"Session-Expires: 1800;refresher=uac" in invites[0]
    assert b"o=- 1 1 IN IP4 127.0.0.1" in invites[0]
    pair.link.run(900)
    assert sum(data.startswith(b"INVITE") for _, sender, data in pair.link.log if sender == SERVER) == 2
    assert not pair.link.take(SERVER, PeerLost)
    pair.server.hang_up(call, pair.now)
    pair.assert_empty()


@pytest.mark.parametrize(("accepting", "max_calls"), [(False, 500), (True, 0)])
def test_draining_and_full_agents_refuse(accepting: bool, max_calls: int) -> None:
    agent = server(max_calls)
    agent.accepting = accepting
    pair = Pair(agent=agent)
    pair.link.run(1)
    (refused,) = pair.link.take(PHONE, OutgoingCallFailed)
    assert isinstance(refused, OutgoingCallFailed)
    assert refused.status == 503
    assert b"\r\nRetry-After: 5\r\n" in pair.link.log[1][2]
    assert not pair.link.take(SERVER, CallArrived)
    pair.assert_empty()


def test_nobody_answers() -> None:
    pair = Pair()
    del pair.link.agents[SERVER]
    pair.link.run(40)
    assert pair.link.take(PHONE, OutgoingCallFailed) == [OutgoingCallFailed(pair.call, 408, "Request Timeout")]
    assert len(pair.phone) == 0


def test_commands_for_unknown_calls_do_nothing() -> None:
    agent = server()
    agent.answer(7, SERVER_MEDIA, 0.0)
    agent.hang_up(7, 0.0)
    assert agent.datagrams_to_send() == []


def test_credentials_show_no_secret() -> None:
    assert repr(Credentials.of_password("user", "secret", "realm")) == "Credentials(username='user', realm='realm')"


@pytest.mark.parametrize("seed", range(60))
def test_calls_survive_loss_repetition_and_reordering(seed: int) -> None:
    pair = Pair(seed)
    call = pair.establish()
    pair.link.run(20)
    ending = (pair.server, call) if seed % 2 else (pair.phone, pair.call)
    ending[0].hang_up(ending[1], pair.now)
    pair.link.run(40)
    assert len(pair.link.take(SERVER, CallClosed)) == 1
    assert len(pair.link.take(PHONE, CallClosed)) == 1
    assert len(pair.link.take(SERVER, CallArrived)) == 1
    pair.assert_empty()


@pytest.mark.parametrize("seed", range(30))
def test_cancels_survive_loss_repetition_and_reordering(seed: int) -> None:
    pair = Pair(seed)
    pair.arrive()
    pair.link.run(seed / 10)
    pair.phone.hang_up(pair.call, pair.now)
    if seed % 3 == 0:
        pair.server.answer(1, SERVER_MEDIA, pair.now)
    pair.link.run(60)
    pair.assert_empty()
