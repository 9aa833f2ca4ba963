"""The user agent against hand-written messages, which our own agent would not send."""

from __future__ import annotations

import pytest

from callflow.sip.call_context import UserAgentConfig
from callflow.sip.events import (
    CallEstablished,
    MediaChanged,
    OutgoingCallFailed,
    PeerHungUp,
    PeerLost,
)
from callflow.sip.outgoing import Credentials, Destination
from callflow.sip.user_agent import UserAgent
from sipproxy.sip import Request, Response, parse_message
from tests.unit.user_agent.link import KEY, PHONE_MEDIA, SERVER, SERVER_MEDIA, WALL, phone, sealed, server, tokens
from tests.unit.user_agent.raw import OFFER, PROXY, VIDEO, Raw
from voiceapps.rules.endings import EndReason


def test_the_answer_takes_the_callers_first_codec_and_route() -> None:
    raw = Raw(server())
    ok = raw.establish()
    assert ok.values("record-route") == ["<sip:token@127.0.0.1:6162;lr>", "<sip:other@127.0.0.1:6164;lr>"]
    assert b"m=audio 50000 RTP/AVP 8 96\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:96 telephone-event/8000\r\n" in ok.body
    (established,) = raw.news()
    assert isinstance(established, CallEstablished)
    assert (established.media.payload_type, established.media.event_payload_type) == (8, 96)
    raw.agent.hang_up(1, raw.now)
    ((data, target),) = raw.agent.datagrams_to_send()
    bye = parse_message(data)
    assert isinstance(bye, Request)
    assert target == PROXY
    assert (bye.uri_text, bye.values("route")) == (
        "sip:alice@192.0.2.7:5070",
        ["<sip:token@127.0.0.1:6162;lr>", "<sip:other@127.0.0.1:6164;lr>"],
    )
    assert bye.header("from") == raw.to


@pytest.mark.parametrize("body", [VIDEO, "nonsense", OFFER.replace("8 0 96", "18 96"), OFFER.replace("40000", "0")])
def test_an_offer_without_g711_is_reported(body: str) -> None:
    raw = Raw(server())
    assert raw.invite(body) == []
    arrived = raw.arrive()
    assert arrived.problem
    assert arrived.problem.status == 488
    assert arrived.problem.sentence.endswith(".")
    raw.agent.hang_up(arrived.call, raw.now, 488)
    (refusal,) = raw.out()
    assert isinstance(refusal, Response)
    assert refusal.status == 488


def test_a_late_offer_is_answered_in_the_ack() -> None:
    raw = Raw(server())
    ok = raw.establish("", OFFER)
    assert b"m=audio 50000 RTP/AVP 0 8 101\r\n" in ok.body
    (established,) = raw.news()
    assert isinstance(established, CallEstablished)
    assert established.media.address == ("127.0.0.1", 40000)


def test_a_late_offer_that_is_never_answered_ends_the_call() -> None:
    raw = Raw(server())
    raw.establish("")
    assert raw.news() == [PeerLost(1, EndReason.UNSUPPORTED_MEDIA)]


@pytest.mark.parametrize(
    ("change", "answer"),
    [
        ("a=sendonly\r\n", b"a=recvonly\r\n"),
        ("a=inactive\r\n", b"a=inactive\r\n"),
        ("c=IN IP4 0.0.0.0\r\n", b"a=inactive\r\n"),
    ],
)
def test_hold_and_back(change: str, answer: bytes) -> None:
    raw = Raw(server())
    raw.establish()
    raw.events()
    (held,) = raw.send("INVITE", 2, body=OFFER + change)
    assert held.status == 200
    assert answer in held.body
    assert b"o=- 1 2 IN IP4 127.0.0.1" in held.body
    assert raw.news() == []
    raw.send("ACK", 2)
    (event,) = raw.news()
    assert isinstance(event, MediaChanged)
    assert event.media.held
    (back,) = raw.send("INVITE", 3, body=OFFER)
    assert b"a=sendrecv\r\n" in back.body
    raw.send("ACK", 3)
    (event,) = raw.news()
    assert isinstance(event, MediaChanged)
    assert not event.media.held


def test_a_reinvite_without_offer_gets_ours() -> None:
    raw = Raw(server())
    raw.establish()
    raw.events()
    (ok,) = raw.send("INVITE", 2)
    assert b"m=audio 50000 RTP/AVP 0 8 101\r\n" in ok.body
    raw.send("ACK", 2, body=OFFER.replace("40000", "40010"))
    (event,) = raw.news()
    assert isinstance(event, MediaChanged)
    assert event.media.address == ("127.0.0.1", 40010)


def test_reinvites_that_are_refused() -> None:
    raw = Raw(server())
    raw.establish()
    (refusal,) = raw.send("INVITE", 2, body=VIDEO)
    assert refusal.status == 488
    raw.send("ACK", 2)
    (ok,) = raw.send("INVITE", 3, body=OFFER)
    assert ok.status == 200
    (early,) = raw.send("INVITE", 4, body=OFFER)
    assert (early.status, early.header("retry-after")) == (500, "1")
    (stale,) = raw.send("INFO", 2)
    assert stale.status == 500


def test_glare_with_our_refresh() -> None:
    raw = Raw(server())
    raw.establish()
    raw.wait(900.5)
    refresh = next(message for message in raw.out() if isinstance(message, Request) and message.method == "INVITE")
    (glare,) = raw.send("INVITE", 2, body=OFFER)
    assert glare.status == 491
    raw.give(bytes(refresh.make_response(491)).decode())
    raw.wait(1.5)
    again = [message for message in raw.out() if isinstance(message, Request) and message.method == "INVITE"]
    assert len(again) == 1


@pytest.mark.parametrize("status", [408, 481])
def test_a_refresh_for_an_unknown_dialog_ends_the_call(status: int) -> None:
    raw = Raw(server())
    raw.establish()
    raw.events()
    raw.wait(900.5)
    refresh = next(message for message in raw.out() if isinstance(message, Request) and message.method == "INVITE")
    raw.give(bytes(refresh.make_response(status)).decode())
    assert raw.news() == [PeerLost(1, EndReason.CALLER_UNREACHABLE)]


def refresh_of(raw: Raw) -> Request | None:
    """Return our INVITE among what was sent since the last look."""
    return next((message for message in raw.out() if isinstance(message, Request) and message.method == "INVITE"), None)


@pytest.mark.parametrize(("asked", "due"), [("600;refresher=uac", 300), ("600;refresher=uas", 300), ("60", 45), ("7200", 900), ("x", 900)])
def test_the_answer_to_our_refresh_may_shorten_the_interval(asked: str, due: float) -> None:
    raw = Raw(server())
    raw.establish()
    raw.wait(900.5)
    refresh = refresh_of(raw)
    assert refresh is not None
    ok = refresh.make_response(200)
    ok.append("Session-Expires", asked)
    ok.set_body(OFFER.encode(), "application/sdp")
    raw.give(bytes(ok).decode())
    raw.wait(due - 1)
    assert refresh_of(raw) is None
    raw.wait(2)
    assert refresh_of(raw) is not None


def test_a_refresh_that_is_too_short_for_the_path_is_sent_again() -> None:
    raw = Raw(server())
    raw.establish()
    raw.events()
    raw.wait(900.5)
    for wanted in (3600, 7200):
        refresh = refresh_of(raw)
        assert refresh is not None
        refusal = refresh.make_response(422)
        refusal.append("Min-SE", str(wanted))
        raw.give(bytes(refusal).decode())
        raw.wait(1.5)
    again = refresh_of(raw)
    assert again is not None
    assert (again.header("session-expires"), again.header("min-se")) == ("7200;refresher=uac", "7200")
    # A refusal that names nothing new is not answered by the same request again.
    raw.give(bytes(again.make_response(422)).decode())
    raw.wait(1.5)
    assert refresh_of(raw) is None
    assert raw.news() == []


def test_a_caller_who_stops_refreshing_is_lost() -> None:
    config = UserAgentConfig(SERVER, session_expires=1800, invite_keys=(KEY,))
    raw = Raw(UserAgent(config, new_token=tokens("s"), new_key=bytes, wall=lambda: WALL))
    raw.invite(headers=("Supported: timer", "Session-Expires: 90;refresher=uac"))
    raw.agent.answer(1, SERVER_MEDIA, raw.now)
    (ok,) = raw.out()
    assert (ok.header("session-expires"), ok.header("require")) == ("90;refresher=uac", "timer")
    raw.to = ok.header("to") or ""
    raw.send("ACK", 1)
    raw.events()
    raw.wait(50)
    raw.send("INVITE", 2, body=OFFER, headers=("Supported: timer", "Session-Expires: 90;refresher=uac"))
    raw.send("ACK", 2)
    raw.wait(59)
    assert not [event for event in raw.events() if isinstance(event, PeerLost)]
    raw.wait(2)
    assert [event for event in raw.events() if isinstance(event, PeerLost)]


def test_short_sessions_and_unknown_extensions_are_refused() -> None:
    raw = Raw(server())
    (short,) = raw.invite(headers=("Session-Expires: 60",))
    assert (short.status, short.header("min-se")) == (422, "90")
    (bad,) = raw.invite(headers=("Require: timer, 100rel, precondition",))
    assert (bad.status, bad.header("unsupported")) == (420, "precondition")


def test_a_merged_request_is_refused() -> None:
    raw = Raw(server())
    assert [response.status for response in raw.invite()] == [180]
    assert [response.status for response in raw.invite()] == [482]


def test_requests_in_the_dialog() -> None:
    raw = Raw(server())
    raw.establish()
    raw.events()
    served = [("INFO", 200), ("OPTIONS", 200), ("UPDATE", 200), ("PRACK", 481), ("NOTIFY", 489), ("SUBSCRIBE", 405), ("REFER", 405)]
    for cseq, (method, status) in enumerate(served, 2):
        (response,) = raw.send(method, cseq)
        assert response.status == status
    (bye,) = raw.send("BYE", 9)
    assert bye.status == 200
    assert PeerHungUp(1, raw.now) in raw.events()
    (again,) = raw.send("BYE", 10)
    assert again.status == 481


@pytest.mark.parametrize("late", [False, True])
def test_a_bye_may_be_late(late: bool) -> None:
    raw = Raw(server())
    raw.establish()
    raw.events()
    raw.send("BYE", 9, headers=("P-Sipuri-Late: 1",) if late else ())
    assert PeerHungUp(1, raw.now, late) in raw.events()


@pytest.mark.parametrize(("value", "age"), [("3.5", 3.5), ("31.5", 31.5), ("100.0", 0.0), ("-1.0", 0.0), ("nan", 0.0), ("", 0.0)])
def test_a_bye_may_have_waited_at_the_proxy(value: str, age: float) -> None:
    raw = Raw(server())
    raw.establish()
    raw.events()
    raw.send("BYE", 9, headers=(f"P-Sipuri-Age: {value}",))
    assert PeerHungUp(1, raw.now - age) in raw.events()


def test_messages_that_lay_in_the_socket_tell_how_long() -> None:
    raw = Raw(server())
    raw.waited = 8.0
    raw.establish()
    (established,) = (event for event in raw.events() if isinstance(event, CallEstablished))
    assert established.at == raw.now - 8.0
    raw.waited = 2.0
    raw.send("BYE", 9, headers=("P-Sipuri-Age: 1.5",))
    assert PeerHungUp(1, raw.now - 3.5) in raw.events()


def test_requests_outside_any_dialog() -> None:
    raw = Raw(server())
    for method, status in [("OPTIONS", 200), ("BYE", 481), ("INFO", 481), ("NOTIFY", 481), ("MESSAGE", 405), ("REFER", 405)]:
        (response,) = raw.send(method, 1)
        assert response.status == status
    (response,) = raw.send("BYE", 1, to="<sip:app-1@sip.example.com>;tag=nobody")
    assert response.status == 481
    assert raw.send("ACK", 1) == []


def test_a_bye_before_the_answer_cancels() -> None:
    raw = Raw(server())
    (ringing,) = raw.invite()
    raw.events()
    raw.to = ringing.header("to") or ""
    assert sorted(response.status for response in raw.send("BYE", 2)) == [200, 487]
    assert len(raw.agent) == 0


def test_a_malformed_contact_is_answered() -> None:
    raw = Raw(server())
    text = (
        "INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:6162;branch=z9hG4bKx\r\nFrom: <sip:a@b>;tag=1\r\n"
        "To: <sip:a@b>\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\nContact: <<>\r\nContent-Length: 0\r\n\r\n"
    )
    (refusal,) = raw.give(sealed(text.encode()).decode())
    assert refusal.status == 400
    assert len(raw.agent) == 0


def challenge(raw: Raw, realm: str) -> Request | None:
    """Challenge the phone's latest INVITE and return what it sends next, if it is an INVITE."""
    invite = next(message for message in raw.out() if isinstance(message, Request))
    response = invite.make_response(407, to_tag="c")
    response.append("Proxy-Authenticate", "Basic realm=x")
    response.append("Proxy-Authenticate", f'Digest realm="{realm}", nonce="n", qop="auth", algorithm=MD5')
    raw.agent.receive_datagram(bytes(response), SERVER, raw.now)
    return next((m for m in raw.out() if isinstance(m, Request) and m.method == "INVITE"), None)


def placed(realm: str) -> Raw:
    raw = Raw(phone())
    credentials = Credentials.of_password("user", "secret", realm)
    raw.agent.place(Destination("sip:app-1@sip.example.com", SERVER, "alice", credentials), PHONE_MEDIA, raw.now)
    return raw


def test_the_phone_answers_a_challenge_of_its_realm_once() -> None:
    raw = placed("sip.example.com")
    second = challenge(raw, "sip.example.com")
    assert second is not None
    assert second.cseq.number == 2
    assert 'username="user"' in (second.header("proxy-authorization") or "")
    assert 'uri="sip:app-1@sip.example.com"' in (second.header("proxy-authorization") or "")
    response = second.make_response(407, to_tag="c")
    response.append("Proxy-Authenticate", 'Digest realm="sip.example.com", nonce="m", qop="auth"')
    raw.agent.receive_datagram(bytes(response), SERVER, raw.now)
    assert raw.events()[0] == OutgoingCallFailed(1, 407, "Proxy Authentication Required")


def test_the_phone_takes_a_new_nonce_once() -> None:
    raw = placed("sip.example.com")
    invite = challenge(raw, "sip.example.com")
    for number in (3, 4):
        assert invite is not None
        response = invite.make_response(407, to_tag="c")
        response.append("Proxy-Authenticate", f'Digest realm="sip.example.com", nonce="m{number}", qop="auth", stale=true')
        raw.agent.receive_datagram(bytes(response), SERVER, raw.now)
        invite = next((m for m in raw.out() if isinstance(m, Request) and m.method == "INVITE"), None)
        assert (invite is not None) == (number == 3)
    assert raw.events()[0] == OutgoingCallFailed(1, 407, "Proxy Authentication Required")


def test_the_phone_answers_no_challenge_of_another_realm() -> None:
    raw = placed("sip.example.com")
    assert challenge(raw, "evil.example.com") is None
    assert raw.events()[0] == OutgoingCallFailed(1, 407, "Proxy Authentication Required")
