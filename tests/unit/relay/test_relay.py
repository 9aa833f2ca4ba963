from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediarelay.core.addresses import Side
from mediarelay.core.allocation import MAX_FAILURES
from mediarelay.core.events import EndCause, SessionEnded
from mediarelay.core.flow import Drop
from mediarelay.core.limits import MAX_STREAMS
from mediarelay.core.session import Session
from mediarelay.core.sessions import HOLD_SECONDS
from mediarelay.ng.bencode import encode
from mediarelay.ng.limits import MAX_LISTED_OCTETS, MAX_TEXT
from tests.unit.relay.harness import CALLER, DATA, ENGINE, RelayHarness, ports_in, rtp, sdp

PHONE = (CALLER, 5000)
NODE = (ENGINE, 6000)


def call(harness: RelayHarness) -> tuple[int, int]:
    """Set a call up and return its external and its internal port."""
    inside = harness.offer()
    return harness.answer(), inside


def the_session(harness: RelayHarness) -> Session:
    (session,) = harness.relay.table
    return session


def test_ping() -> None:
    assert RelayHarness().ng("ping") == {b"result": b"pong"}


def test_an_offer_shows_the_inside_and_an_answer_the_outside() -> None:
    harness = RelayHarness()
    offered = harness.ng(
        "offer", call_id="c-1", from_tag="a", sdp=sdp(CALLER, 5000), direction=["external", "internal"], replace=["origin"]
    )
    body = offered[b"sdp"]
    assert isinstance(body, bytes)
    assert b"o=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\n" in body
    (inside,) = ports_in(body)
    assert inside in range(40002, 40102, 2)
    answered = harness.ng("answer", call_id="c-1", from_tag="a", to_tag="b", sdp=sdp(ENGINE, 6000))[b"sdp"]
    assert isinstance(answered, bytes)
    assert b"c=IN IP4 203.0.113.1\r\n" in answered
    assert ports_in(answered)[0] in range(30000, 30100, 2)
    assert harness.bound == {(Side.EXTERNAL, ports_in(answered)[0]), (Side.INTERNAL, inside)}


def test_nothing_is_sent_to_an_unproven_victim() -> None:
    harness = RelayHarness()
    inside = harness.offer(sdp("192.0.2.200", 5000))
    outside = harness.answer()
    for number in range(50):
        assert harness.media(inside, rtp(number), NODE) is None
    assert harness.relay.table.drops[Drop("no_target")] == 50
    assert harness.media(outside, rtp(1), (CALLER, 7000)) is not None
    assert harness.media(inside, rtp(51), NODE) == (("10.0.0.1", outside), (CALLER, 7000))


def test_a_spray_from_a_third_address_gets_and_gives_nothing() -> None:
    harness = RelayHarness()
    outside, inside = call(harness)
    thief = ("192.0.2.66", 4444)
    for number in range(200):
        harness.now += 0.01
        assert harness.media(outside, rtp(number), thief) is None
        assert harness.media(inside, rtp(number), thief) is None
        if number > 100:
            harness.media(outside, rtp(number), PHONE)
        sent = harness.media(inside, rtp(number), NODE)
        assert sent is None or sent[1] == PHONE
    assert harness.relay.table.drops[Drop("stranger")] == 400


def test_ports_stay_through_hold_and_reoffers_from_both_sides() -> None:
    harness = RelayHarness()
    outside, inside = call(harness)
    harness.media(outside, rtp(1), PHONE)
    assert harness.offer(sdp(CALLER, 5000, "a=sendonly")) == inside
    assert harness.answer(sdp(ENGINE, 6000, "a=recvonly")) == outside
    assert the_session(harness).on_hold
    assert harness.media(inside, rtp(2), NODE) == (("10.0.0.1", outside), PHONE)
    reply = harness.ng("offer", call_id="c-1", from_tag="b", to_tag="a", sdp=sdp(ENGINE, 6000), direction=["internal", "external"])
    assert ports_in(reply[b"sdp"]) == [outside]
    reply = harness.ng("answer", call_id="c-1", from_tag="b", to_tag="a", sdp=sdp(CALLER, 5000))
    assert ports_in(reply[b"sdp"]) == [inside]
    assert not the_session(harness).on_hold


def test_hold_by_address_keeps_the_lock() -> None:
    harness = RelayHarness()
    outside, inside = call(harness)
    harness.media(outside, rtp(1), PHONE)
    harness.offer(sdp("0.0.0.0", 5000))
    harness.answer()
    assert the_session(harness).on_hold
    assert harness.media(inside, rtp(2), NODE) == (("10.0.0.1", outside), PHONE)


def test_a_new_address_in_a_reoffer_is_learned() -> None:
    harness = RelayHarness()
    outside, inside = call(harness)
    harness.media(outside, rtp(1), PHONE)
    assert harness.media(outside, rtp(2), ("192.0.2.50", 5000)) is None
    harness.offer(sdp("192.0.2.50", 5000), source="192.0.2.50")
    harness.answer()
    assert harness.media(outside, rtp(3), ("192.0.2.50", 5000)) is not None
    assert harness.media(inside, rtp(1), NODE) == (("10.0.0.1", outside), ("192.0.2.50", 5000))


def test_a_late_offer_comes_from_inside() -> None:
    harness = RelayHarness()
    reply = harness.ng("offer", call_id="c-1", from_tag="b", to_tag="a", sdp=sdp(ENGINE, 6000), direction=["internal", "external"])
    (outside,) = ports_in(reply[b"sdp"])
    assert outside in range(30000, 30100)
    reply = harness.ng("answer", call_id="c-1", from_tag="b", to_tag="a", sdp=sdp(CALLER, 5000), received_from=["IP4", CALLER])
    (inside,) = ports_in(reply[b"sdp"])
    assert harness.media(outside, rtp(1), PHONE) == (("10.0.0.1", inside), NODE)


def test_a_foreign_proxy_without_directions_works_by_tags() -> None:
    harness = RelayHarness()
    first = harness.ng("offer", call_id="k", from_tag="a", sdp=sdp(CALLER, 5000), received_from=["IP4", CALLER])
    second = harness.ng("answer", call_id="k", from_tag="a", to_tag="b", sdp=sdp("192.0.2.9", 6000), received_from=["IP4", "192.0.2.9"])
    (towards_b,), (towards_a,) = ports_in(first[b"sdp"]), ports_in(second[b"sdp"])
    assert harness.media(towards_b, rtp(1), ("192.0.2.9", 6000)) == (("10.0.0.1", towards_a), PHONE)
    again = harness.ng("offer", call_id="k", from_tag="b", to_tag="a", sdp=sdp("192.0.2.9", 6000))
    assert ports_in(again[b"sdp"]) == [towards_a]
    assert harness.ng("offer", call_id="k", from_tag="x", sdp=sdp(CALLER, 1))[b"error-reason"] == b"Neither tag belongs to this call."
    assert harness.ng("answer", call_id="k", from_tag="x", to_tag="y", sdp=sdp(CALLER, 1))[b"error-reason"] == b"Unknown from-tag."
    assert harness.ng("answer", call_id="k", from_tag="x", to_tag="b", sdp=sdp(CALLER, 1))[b"result"] == b"ok"
    assert harness.ng("offer", call_id="k", from_tag="x", to_tag="b", sdp=sdp(CALLER, 1))[b"result"] == b"ok"


def test_video_and_fax_are_relayed_alike_and_a_refused_stream_gives_its_ports_back() -> None:
    harness = RelayHarness(allow_private=True)
    body = (DATA / "ice_video_fax.sdp").read_bytes()
    reply = harness.ng("offer", call_id="c-1", from_tag="a", sdp=body, direction=["external", "internal"], ICE="remove", replace=["origin"])
    assert harness.relay.table.allocator.pools[Side.EXTERNAL].in_use == 3
    answer = sdp(ENGINE, 6000) + b"m=video 0 RTP/AVP 97\r\nm=image 6004 udptl t38\r\nm=audio 0 RTP/AVP 3\r\n"
    ports = ports_in(harness.ng("answer", call_id="c-1", from_tag="a", to_tag="b", sdp=answer)[b"sdp"])
    assert harness.relay.table.allocator.pools[Side.EXTERNAL].in_use == 2
    assert ports[1] == ports[3] == 0
    assert isinstance(reply[b"sdp"], bytes)
    inside = [int(line.split()[1]) for line in reply[b"sdp"].split(b"\n") if line.startswith(b"m=")]
    assert harness.media(inside[2], b"\0\1fax", (ENGINE, 6004)) is None
    assert harness.relay.table.drops[Drop("no_target")] == 1
    assert harness.media(inside[2], b"", (ENGINE, 6004)) is None
    assert harness.media(inside[2], b"fax", ("192.0.2.1", 6004)) is None


def test_a_stream_may_turn_into_fax_on_its_ports() -> None:
    harness = RelayHarness()
    outside, inside = call(harness)
    harness.media(outside, rtp(1), PHONE)
    fax = "m=image {port} udptl t38"
    assert harness.offer(sdp(CALLER, 5000, media=fax)) == inside
    assert harness.answer(sdp(ENGINE, 6000, media=fax)) == outside
    assert harness.media(outside, b"\0\1fax", PHONE) == (("10.0.0.1", inside), NODE)
    assert harness.relay.figures(["c-1"])["c-1"][0].packets_in == 2


def test_delete_answers_with_totals_and_quarantines_the_ports() -> None:
    harness = RelayHarness()
    outside, inside = call(harness)
    for number in (1, 2, 5):
        harness.media(outside, rtp(number), PHONE)
    harness.media(inside, rtp(1), NODE)
    reply = harness.ng("delete", call_id="c-1", from_tag="a")
    assert reply[b"totals"] == {b"RTP": {b"packets": 4, b"bytes": 688, b"errors": 0}, b"RTCP": {b"packets": 0, b"bytes": 0, b"errors": 0}}
    (ended,) = (event for event in harness.events if isinstance(event, SessionEnded))
    assert isinstance(ended, SessionEnded)
    assert ended.cause is EndCause.DELETED
    external, internal = ended.figures
    assert (external.side, external.packets_in, external.lost, external.packets_out, external.payload_type) == ("external", 3, 2, 1, 0)
    assert (external.advertised, external.observed) == ("198.51.100.7:5000", "198.51.100.7:5000")
    assert (internal.packets_in, internal.packets_out) == (1, 3)
    assert harness.relay.idle()
    assert harness.media(outside, rtp(6), PHONE) is None
    assert harness.relay.table.drops[Drop("late")] == 1
    assert (Side.EXTERNAL, outside) in harness.bound
    harness.advance(31)
    assert harness.bound == set()
    assert all(pool.free == pool.size for pool in harness.relay.table.allocator.pools.values())
    assert harness.relay.get_timer() is None
    assert harness.relay.table.flows == {}


def test_delete_of_something_else_changes_nothing() -> None:
    harness = RelayHarness()
    call(harness)
    assert b"warning" in harness.ng("delete", call_id="c-2", from_tag="a")
    assert b"warning" in harness.ng("delete", call_id="c-1", from_tag="z")
    assert [session.call_id for session in harness.relay.table] == ["c-1"]
    assert b"warning" not in harness.ng("delete", call_id="c-1", from_tag="b", to_tag="a")


def test_a_delete_of_something_else_is_an_error_if_the_client_says_so() -> None:
    harness = RelayHarness()
    call(harness)
    error = {b"result": b"error", b"error-reason": b"Call-ID not found or tags didn't match"}
    assert harness.ng("delete", call_id="c-2", from_tag="a", flags=["fatal"]) == error
    assert harness.ng("delete", call_id="c-1", from_tag="z", flags=["fatal"]) == error
    assert harness.ng("delete", call_id="c-1", from_tag="a", flags=["fatal"])[b"result"] == b"ok"


def test_replies_about_a_session_say_when_it_began() -> None:
    harness = RelayHarness(epoch=1_700_000_000.25)
    fields: dict[str, object] = {"call_id": "c-1", "from_tag": "a"}
    offered = harness.ng("offer", **fields, sdp=sdp(CALLER, 5000), direction=["external", "internal"])
    harness.advance(7)
    answered = harness.ng("answer", **fields, to_tag="b", sdp=sdp(ENGINE, 6000))
    later = restarted(harness)
    asked, ended = (later.ng(name, **fields) for name in ("query", "delete"))
    assert [reply[b"created"] for reply in (offered, answered, asked, ended)] == [1_700_000_100] * 4
    assert (asked[b"created_us"], ended[b"created_us"]) == (250_000, 250_000)


def restarted(harness: RelayHarness) -> RelayHarness:
    entry = harness.relay.entry_of("c-1")
    assert entry is not None
    later = RelayHarness(epoch=1_700_000_000.25)
    later.now = harness.now
    later.relay.restore(json.loads(json.dumps(entry)), later.now)
    later.pump()
    return later


def test_hold_by_address_is_shown_as_a_direction_on_demand() -> None:
    harness = RelayHarness()
    call(harness)
    shown = [harness.reoffer(sdp("0.0.0.0", 5000), replace=replace)[b"sdp"] for replace in ([], ["zero-address"])]
    assert [b"c=IN IP4 0.0.0.0" in bytes(body) for body in shown] == [True, False]  # type: ignore[call-overload]  # it is
    assert b"a=sendonly" in bytes(shown[1])  # type: ignore[call-overload]  # it is
    harness.answer()
    assert the_session(harness).on_hold


def test_the_latest_answerer_is_the_party_of_the_call() -> None:
    harness = RelayHarness()
    harness.offer()
    harness.answer()
    harness.ng("answer", call_id="c-1", from_tag="a", to_tag="b2", sdp=sdp(ENGINE, 6000))
    assert b"warning" in harness.ng("delete", call_id="c-1", from_tag="b")
    assert b"warning" not in harness.ng("delete", call_id="c-1", from_tag="b2")


def test_query_list_and_statistics() -> None:
    harness = RelayHarness()
    outside, inside = call(harness)
    harness.media(outside, rtp(1), (CALLER, 7000))
    harness.now += 3
    reply = harness.ng("query", call_id="c-1")
    tags = reply[b"tags"]
    assert isinstance(tags, dict)
    stream = tags[b"a"][b"medias"][0][b"streams"][0]
    assert stream[b"local port"] == outside
    assert stream[b"endpoint"] == {b"family": b"IPv4", b"address": CALLER.encode(), b"port": 7000}
    assert stream[b"advertised endpoint"][b"port"] == 5000
    assert stream[b"last packet"] == 3
    assert harness.ng("query", call_id="c-9") == {b"result": b"error", b"error-reason": b"Unknown call-id."}
    assert harness.ng("list") == {b"result": b"ok", b"calls": [b"c-1"]}
    assert harness.ng("list", limit=0) == {b"result": b"ok", b"calls": []}
    current = harness.ng("statistics")[b"statistics"]
    assert isinstance(current, dict)
    assert current[b"currentstatistics"][b"sessionstotal"] == 1
    assert current[b"currentstatistics"][b"ports"][b"internal"][b"used"] == 1


def test_a_list_fits_a_datagram() -> None:
    harness = RelayHarness(external_ports=(30000, 31999), internal_ports=(40002, 42001))
    for number in range(200):
        harness.ng("offer", call_id=f"{number:0{MAX_TEXT}d}", from_tag="a", sdp=sdp(CALLER, 5000), direction=["external", "internal"])
    calls = harness.ng("list", limit=1000)[b"calls"]
    assert isinstance(calls, list)
    assert len(calls) == MAX_LISTED_OCTETS // (MAX_TEXT + 8)


def test_json_is_answered_in_json() -> None:
    (reply,) = RelayHarness().raw(b'x1 {"command": "ping"}')
    assert json.loads(reply.removeprefix(b"x1 ")) == {"result": "pong"}


def test_a_repeated_cookie_gets_the_same_reply_and_runs_once() -> None:
    harness = RelayHarness()
    fields = {"command": "offer", "call-id": "c-1", "from-tag": "a", "sdp": sdp(CALLER, 5000), "direction": ["external", "internal"]}
    datagram = b"same " + encode(fields)
    assert harness.raw(datagram) == harness.raw(datagram)
    assert harness.relay.table.allocator.pools[Side.EXTERNAL].in_use == 1
    assert harness.relay.commands["offer", "ok"] == 1


@pytest.mark.parametrize("datagram", [b"", b"junk", b" de", b"\xff" * 2000, b"c" * 200 + b" de"])
def test_without_a_cookie_there_is_silence(datagram: bytes) -> None:
    harness = RelayHarness()
    assert harness.raw(datagram) == []
    assert harness.relay.malformed_commands == 1


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"de",
        b"d7:commandi7ee",
        b"d7:command5:nothie",
        b"d7:command2000:" + b"x" * 2000 + b"e",
        b"d7:command3:\xff\xfe\xfde",
        b"d7:command5:offere",
        b"{}",
        b'{"command":"offer","call-id":"\\ud800"}',
    ],
)
def test_malformed_commands_get_a_sentence(body: bytes) -> None:
    harness = RelayHarness()
    (reply,) = harness.raw(b"7 " + body)
    assert b"error-reason" in reply
    assert b"error" in reply
    assert harness.ng("ping") == {b"result": b"pong"}


@given(st.binary(max_size=60) | st.dictionaries(st.text(max_size=8), st.binary(max_size=8) | st.integers(-9, 9), max_size=4).map(encode))
def test_any_octets_on_the_ng_port_are_survived(body: bytes) -> None:
    assert len(RelayHarness().raw(b"1 " + body)) == 1


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"hello", b"The body is not a session description."),
        (sdp(CALLER, 5000).replace(b"c=IN IP4", b"c=IN IP6"), b"The media address is IPv6, which is not supported."),
        ((DATA / "ipv6.sdp").read_bytes(), b"The media address is IPv6, which is not supported."),
    ],
)
def test_bad_descriptions_are_refused_and_keep_nothing(body: bytes, reason: bytes) -> None:
    harness = RelayHarness()
    reply = harness.ng("offer", call_id="c-1", from_tag="a", sdp=body, direction=["external", "internal"])
    assert reply == {b"result": b"error", b"error-reason": reason}
    assert harness.relay.idle()
    assert harness.relay.table.allocator.pools[Side.EXTERNAL].in_use == 0


V6_VIDEO = b"m=video 4020 RTP/AVP 96\r\nc=IN IP6 2001:db8::1\r\n"


def test_a_stream_that_cannot_be_served_is_refused_and_the_audio_goes_on() -> None:
    harness = RelayHarness()
    reply = harness.ng("offer", call_id="c-1", from_tag="a", sdp=sdp(CALLER, 5000) + V6_VIDEO, direction=["external", "internal"])
    inside, refused = ports_in(reply[b"sdp"])
    assert refused == 0
    assert harness.relay.table.allocator.pools[Side.EXTERNAL].in_use == 1
    reply = harness.ng("answer", call_id="c-1", from_tag="a", to_tag="b", sdp=sdp(ENGINE, 6000) + b"m=video 0 RTP/AVP 96\r\n")
    outside, refused = ports_in(reply[b"sdp"])
    assert refused == 0
    assert harness.media(outside, rtp(1), PHONE) == (("10.0.0.1", inside), NODE)


def test_an_answer_must_fit_the_offer() -> None:
    harness = RelayHarness()
    harness.offer()
    other = sdp(ENGINE, 0) + b"m=audio 1 RTP/AVP 0\r\n"
    reply = harness.ng("answer", call_id="c-1", from_tag="a", to_tag="b", sdp=other)
    assert reply[b"error-reason"] == b"The answer has media that was not offered."
    assert harness.ng("answer", call_id="c-2", from_tag="a", sdp=sdp(ENGINE, 1))[b"error-reason"] == b"Unknown call-id."
    more = sdp(ENGINE, 6000) + b"m=audio 1 RTP/AVP 0\r\n"
    (outside, none) = ports_in(harness.ng("answer", call_id="c-1", from_tag="a", to_tag="b", sdp=more)[b"sdp"])
    assert (outside in range(30000, 30100), none) == (True, 0)


def test_streams_are_bounded_and_those_beyond_are_refused() -> None:
    harness = RelayHarness()
    body = sdp(CALLER, 5000) + b"m=audio 5002 RTP/AVP 0\r\n" * MAX_STREAMS
    reply = harness.ng("offer", call_id="c-1", from_tag="a", sdp=body, direction=["external", "internal"])
    ports = ports_in(reply[b"sdp"])
    assert [port > 0 for port in ports] == [True] * MAX_STREAMS + [False]
    assert harness.relay.table.allocator.pools[Side.EXTERNAL].in_use == MAX_STREAMS


def test_of_too_many_streams_the_audio_is_served_wherever_it_stands() -> None:
    harness = RelayHarness()
    head, _, audio = sdp(CALLER, 5000).partition(b"m=audio")
    body = head + b"m=video 5002 RTP/AVP 96\r\n" * (MAX_STREAMS + 1) + b"m=audio" + audio
    ports = ports_in(harness.ng("offer", call_id="c-1", from_tag="a", sdp=body, direction=["external", "internal"])[b"sdp"])
    assert [port > 0 for port in ports] == [True] * (MAX_STREAMS - 1) + [False] * 2 + [True]
    answer = sdp(ENGINE, 6000).replace(b"m=audio", b"m=video 0 RTP/AVP 96\r\n" * (MAX_STREAMS + 1) + b"m=audio")
    outside = ports_in(harness.ng("answer", call_id="c-1", from_tag="a", to_tag="b", sdp=answer)[b"sdp"])
    assert [port > 0 for port in outside] == [False] * (MAX_STREAMS + 1) + [True]


def test_an_empty_pool_is_an_error_and_recovers_to_exactly_full() -> None:
    harness = RelayHarness(external_ports=(30000, 30007))
    for number in range(4):
        assert (
            harness.ng("offer", call_id=f"c-{number}", from_tag="a", sdp=sdp(CALLER, 5000), direction=["external", "internal"])[b"result"]
            == b"ok"
        )
    refused = harness.ng("offer", call_id="c-9", from_tag="a", sdp=sdp(CALLER, 5000), direction=["external", "internal"])
    assert refused == {b"result": b"error", b"error-reason": b"Ran out of ports."}
    refused = harness.ng("offer", call_id="c-9", from_tag="a", sdp=sdp(CALLER, 5000), direction=["internal", "external"])
    assert refused[b"error-reason"] == b"Ran out of ports."
    # The internal pair of the refused offer went to quarantine.
    assert harness.relay.table.allocator.pools[Side.INTERNAL].quarantined == 1
    for number in range(4):
        harness.ng("delete", call_id=f"c-{number}", from_tag="a")
    harness.advance(31)
    assert [(pool.free, pool.size) for pool in harness.relay.table.allocator.pools.values()] == [(4, 4), (50, 50)]


def test_scarce_ports_return_when_they_are_wanted() -> None:
    harness = RelayHarness(external_ports=(30000, 30001))
    harness.offer()
    harness.ng("delete", call_id="c-1", from_tag="a")
    harness.now += 2.5
    harness.offer()


def test_ports_that_do_not_bind_are_skipped() -> None:
    harness = RelayHarness(external_ports=(30000, 30005), unbindable=frozenset({30000, 30002}))
    harness.offer()
    assert harness.answer() == 30004
    assert harness.relay.table.allocator.failures <= 2
    other = RelayHarness(external_ports=(30000, 30001), unbindable=frozenset({30000}))
    refused = other.ng("offer", call_id="c-1", from_tag="a", sdp=sdp(CALLER, 5000), direction=["external", "internal"])
    assert refused[b"error-reason"] == b"Ran out of ports."


def test_silent_sessions_end_and_sessions_on_hold_last_longer() -> None:
    harness = RelayHarness(session_timeout=20.0)
    outside, _ = call(harness)
    harness.advance(15)
    harness.media(outside, rtp(1), PHONE)
    harness.advance(15)
    assert not harness.relay.idle()
    harness.offer(sdp(CALLER, 5000, "a=inactive"))
    harness.answer()
    harness.advance(HOLD_SECONDS - 10)
    assert not harness.relay.idle()
    harness.advance(20)
    assert harness.relay.idle()
    assert harness.relay.table.ended[EndCause.TIMEOUT] == 1


def test_a_draining_relay_serves_what_it_has() -> None:
    harness = RelayHarness()
    call(harness)
    harness.relay.drain()
    refused = harness.ng("offer", call_id="c-2", from_tag="a", sdp=sdp(CALLER, 5000), direction=["external", "internal"])
    assert refused == {b"result": b"error", b"error-reason": b"draining"}
    assert harness.ng("ping") == {b"result": b"pong", b"sipuri-draining": 1}
    harness.offer()
    assert not harness.relay.idle()
    harness.ng("delete", call_id="c-1", from_tag="a")
    assert harness.relay.idle()


def test_a_relay_that_resumes_takes_new_calls() -> None:
    harness = RelayHarness()
    harness.relay.drain()
    harness.relay.resume()
    assert harness.ng("ping") == {b"result": b"pong"}
    call(harness)
    assert not harness.relay.idle()


def test_sessions_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mediarelay.ng.commands.MAX_SESSIONS", 1)
    harness = RelayHarness()
    harness.offer()
    refused = harness.ng("offer", call_id="c-2", from_tag="a", sdp=sdp(CALLER, 5000), direction=["external", "internal"])
    assert refused[b"error-reason"] == b"Too many sessions."


def test_ranges_are_checked_at_the_start() -> None:
    with pytest.raises(ValueError, match="is not within 1024-65535"):
        RelayHarness(external_ports=(10, 20))
    with pytest.raises(ValueError, match="is not within 1024-65535"):
        RelayHarness(internal_ports=(50000, 50000))
    with pytest.raises(ValueError, match="overlap on one address"):
        RelayHarness(external_ports=(40000, 40200))


def test_of_many_sessions_each_is_looked_at_once_a_second() -> None:
    harness = RelayHarness(session_timeout=5, external_ports=(30000, 30599), internal_ports=(40002, 40601))
    for number in range(250):
        harness.ng("offer", call_id=f"c-{number}", from_tag="a", sdp=sdp(CALLER, 5000 + number), direction=["external", "internal"])
    harness.advance(6.2)
    assert harness.relay.idle()
    assert harness.relay.table.ended[EndCause.TIMEOUT] == 250


def test_an_offer_gives_up_before_it_has_tried_a_whole_pool() -> None:
    harness = RelayHarness(unbindable=frozenset(range(30000, 31000)))
    reply = harness.ng("offer", call_id="c-1", from_tag="a", sdp=sdp(CALLER, 5000), direction=["external", "internal"])
    assert reply[b"error-reason"] == b"Ran out of ports."
    assert harness.relay.table.allocator.failures == MAX_FAILURES + 1
    assert harness.relay.table.allocator.pools[Side.EXTERNAL].quarantined == MAX_FAILURES + 1
