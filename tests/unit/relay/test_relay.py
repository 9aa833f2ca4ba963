from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediarelay.core.addresses import Side
from mediarelay.core.allocation import MAX_FAILURES
from mediarelay.core.events import EndCause, SessionEnded, SessionOpened
from mediarelay.core.flow import Drop
from mediarelay.core.limits import MAX_STREAMS
from mediarelay.core.session import Session
from mediarelay.core.sessions import HOLD_SECONDS
from mediarelay.ng.bencode import encode
from mediarelay.ng.limits import MAX_LISTED_OCTETS, MAX_TEXT
from tests.unit.relay.relays import CALLER, DATA, ENGINE, Bench, ports_in, rtp, sdp

PHONE = (CALLER, 5000)
NODE = (ENGINE, 6000)


def call(bench: Bench) -> tuple[int, int]:
    """Set a call up and return its external and its internal port."""
    inside = bench.offer()
    return bench.answer(), inside


def the_session(bench: Bench) -> Session:
    (session,) = bench.relay.table
    return session


def test_ping() -> None:
    assert Bench().ng("ping") == {b"result": b"pong"}


def test_an_offer_shows_the_inside_and_an_answer_the_outside() -> None:
    bench = Bench()
    offered = bench.ng("offer", call_id="c-1", from_tag="a", sdp=sdp(CALLER, 5000), direction=["external", "internal"], replace=["origin"])
    body = offered[b"sdp"]
    assert isinstance(body, bytes)
    assert b"o=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\n" in body
    (inside,) = ports_in(body)
    assert inside in range(40002, 40102, 2)
    answered = bench.ng("answer", call_id="c-1", from_tag="a", to_tag="b", sdp=sdp(ENGINE, 6000))[b"sdp"]
    assert isinstance(answered, bytes)
    assert b"c=IN IP4 203.0.113.1\r\n" in answered
    assert ports_in(answered)[0] in range(30000, 30100, 2)
    assert bench.bound == {(Side.EXTERNAL, ports_in(answered)[0]), (Side.INTERNAL, inside)}
    assert SessionOpened("c-1") in bench.events


def test_audio_both_ways() -> None:
    bench = Bench()
    outside, inside = call(bench)
    assert bench.media(inside, rtp(1), NODE) == (("10.0.0.1", outside), PHONE)
    assert bench.media(outside, rtp(1), PHONE) == (("10.0.0.1", inside), NODE)


def test_nothing_is_sent_to_an_unproven_victim() -> None:
    bench = Bench()
    inside = bench.offer(sdp("192.0.2.200", 5000))
    outside = bench.answer()
    for number in range(50):
        assert bench.media(inside, rtp(number), NODE) is None
    assert bench.relay.table.drops[Drop("no_target")] == 50
    assert bench.media(outside, rtp(1), (CALLER, 7000)) is not None
    assert bench.media(inside, rtp(51), NODE) == (("10.0.0.1", outside), (CALLER, 7000))


def test_a_spray_from_a_third_address_gets_and_gives_nothing() -> None:
    bench = Bench()
    outside, inside = call(bench)
    thief = ("192.0.2.66", 4444)
    for number in range(200):
        bench.now += 0.01
        assert bench.media(outside, rtp(number), thief) is None
        assert bench.media(inside, rtp(number), thief) is None
        if number > 100:
            bench.media(outside, rtp(number), PHONE)
        sent = bench.media(inside, rtp(number), NODE)
        assert sent is None or sent[1] == PHONE
    assert bench.relay.table.drops[Drop("stranger")] == 400


def test_rtcp_follows_the_media() -> None:
    bench = Bench()
    outside, inside = call(bench)
    report = b"\x80\xc9\0\1\0\0\0\1"
    assert bench.media(outside + 1, report, (CALLER, 5001)) is None
    bench.media(outside, rtp(1), (CALLER, 7000))
    assert bench.media(outside + 1, report, (CALLER, 7005)) == (("10.0.0.1", inside + 1), (ENGINE, 6001))
    assert bench.media(outside + 1, report, (CALLER, 7006)) is None
    bench.media(inside, rtp(1), NODE)
    assert bench.media(inside + 1, report, (ENGINE, 6001)) == (("10.0.0.1", outside + 1), (CALLER, 7005))
    bench.now += 11
    assert bench.media(outside + 1, report, (CALLER, 7006)) is not None
    assert bench.media(outside + 1, b"\x80\xc9\0\x09\0\0\0\1", (CALLER, 7006)) is None
    assert bench.media(outside + 1, b"\0\1\0\0", (CALLER, 7006)) is None


def test_rtcp_goes_where_sdp_says_at_the_address_of_the_media() -> None:
    bench = Bench()
    bench.offer(sdp(CALLER, 5000, "a=rtcp:5055"))
    outside = bench.answer(sdp(ENGINE, 6000, "a=rtcp:6077 IN IP4 192.0.2.1"))
    (session,) = bench.relay.table
    (phone,), (node,) = list(session.legs(0)), list(session.legs(1))
    assert phone.rtcp.target == (CALLER, 5055)
    assert node.rtcp.target == (ENGINE, 6001)
    bench.media(outside, rtp(1), (CALLER, 5000))
    assert phone.rtcp.target == (CALLER, 5055)


def test_a_dtls_handshake_passes_where_the_description_asks_for_it() -> None:
    bench = Bench()
    hello = b"\x16\xfe\xfd" + bytes(40)
    secure = "m=audio {port} UDP/TLS/RTP/SAVPF 0"
    inside = bench.offer(sdp(CALLER, 5000, media=secure))
    outside = bench.answer(sdp(ENGINE, 6000, media=secure))
    assert bench.media(outside, hello, ("192.0.2.66", 5000)) is None
    assert bench.media(outside, hello, PHONE) == (("10.0.0.1", inside), NODE)
    assert bench.media(inside, hello, NODE) == (("10.0.0.1", outside), PHONE)
    assert bench.media(outside, rtp(1), PHONE) == (("10.0.0.1", inside), NODE)


REPORT = b"\x80\xc9\0\1\0\0\0\1" + bytes(8)


@pytest.mark.parametrize(
    ("offered", "wishes", "answered", "shown", "told", "leaves_by_rtp"),
    [
        (True, [], True, True, True, True),
        (True, [], False, True, False, False),
        (False, [], False, False, False, False),
        (True, ["demux"], False, False, True, False),
        (True, ["reject"], False, False, False, False),
        (True, ["accept"], False, True, True, False),
        (False, ["offer"], True, True, False, True),
    ],
)
def test_rtcp_on_the_media_port_goes_where_the_far_end_expects_it(  # noqa: PLR0913  # one row, one name a column
    offered: bool, wishes: list[str], answered: bool, shown: bool, told: bool, leaves_by_rtp: bool
) -> None:
    bench = Bench()
    mux = ("a=rtcp-mux",)
    body = sdp(CALLER, 5000, *(mux if offered else ()))
    reply = bench.ng("offer", call_id="c-1", from_tag="a", sdp=body, direction=["external", "internal"], rtcp_mux=wishes)
    (inside,) = ports_in(reply[b"sdp"])
    assert (b"a=rtcp-mux\r\n" in bytes(reply[b"sdp"])) == shown  # type: ignore[call-overload]  # it is
    reply = bench.ng("answer", call_id="c-1", from_tag="a", to_tag="b", sdp=sdp(ENGINE, 6000, *(mux if answered else ())))
    assert (b"a=rtcp-mux\r\n" in bytes(reply[b"sdp"])) == told  # type: ignore[call-overload]  # it is
    (outside,) = ports_in(reply[b"sdp"])
    assert bench.media(outside, REPORT, PHONE) is None, "before RTP nobody is believed"
    bench.media(outside, rtp(1), PHONE)
    beside = 0 if leaves_by_rtp else 1
    assert bench.media(outside, REPORT, PHONE) == (("10.0.0.1", inside + beside), (ENGINE, 6000 + beside))
    assert bench.media(outside, b"\x80\xc9\0\x77" + bytes(12), PHONE) is None


@pytest.mark.parametrize(
    ("packet", "reason"),
    [
        (b"", "malformed"),
        (b"\x80", "malformed"),
        (bytes(20), "stun"),
        (b"\x16\xfe\xfd" + bytes(40), "dtls"),
        (b"\x40" + bytes(30), "malformed"),
        (b"\x8f" + bytes(12), "malformed"),
        (b"\x90" + bytes(13) + b"\xff\xff" + bytes(100), "malformed"),
        (b"\x80\xc8\0\0", "malformed"),
    ],
)
def test_malformed_packets_are_dropped_by_name_and_do_not_harm_the_call(packet: bytes, reason: str) -> None:
    bench = Bench()
    outside, _ = call(bench)
    assert bench.media(outside, packet, PHONE) is None
    assert bench.relay.table.drops[Drop(reason)] == 1
    assert bench.media(outside, rtp(1), PHONE) is not None
    assert bench.media(outside, packet, PHONE) is None


@given(st.binary(max_size=64))
def test_any_octets_on_a_media_port_are_survived(packet: bytes) -> None:
    bench = Bench()
    outside, inside = call(bench)
    bench.media(outside, packet, PHONE)
    bench.media(outside + 1, packet, PHONE)
    assert bench.media(inside, rtp(1), NODE) is not None


def test_ports_stay_through_hold_and_reoffers_from_both_sides() -> None:
    bench = Bench()
    outside, inside = call(bench)
    bench.media(outside, rtp(1), PHONE)
    assert bench.offer(sdp(CALLER, 5000, "a=sendonly")) == inside
    assert bench.answer(sdp(ENGINE, 6000, "a=recvonly")) == outside
    assert the_session(bench).on_hold
    assert bench.media(inside, rtp(2), NODE) == (("10.0.0.1", outside), PHONE)
    reply = bench.ng("offer", call_id="c-1", from_tag="b", to_tag="a", sdp=sdp(ENGINE, 6000), direction=["internal", "external"])
    assert ports_in(reply[b"sdp"]) == [outside]
    reply = bench.ng("answer", call_id="c-1", from_tag="b", to_tag="a", sdp=sdp(CALLER, 5000))
    assert ports_in(reply[b"sdp"]) == [inside]
    assert not the_session(bench).on_hold


def test_hold_by_address_keeps_the_lock() -> None:
    bench = Bench()
    outside, inside = call(bench)
    bench.media(outside, rtp(1), PHONE)
    bench.offer(sdp("0.0.0.0", 5000))
    assert the_session(bench).on_hold
    assert bench.media(inside, rtp(2), NODE) == (("10.0.0.1", outside), PHONE)


def test_a_new_address_in_a_reoffer_is_learned() -> None:
    bench = Bench()
    outside, inside = call(bench)
    bench.media(outside, rtp(1), PHONE)
    assert bench.media(outside, rtp(2), ("192.0.2.50", 5000)) is None
    bench.offer(sdp("192.0.2.50", 5000), source="192.0.2.50")
    bench.answer()
    assert bench.media(outside, rtp(3), ("192.0.2.50", 5000)) is not None
    assert bench.media(inside, rtp(1), NODE) == (("10.0.0.1", outside), ("192.0.2.50", 5000))


def test_a_late_offer_comes_from_inside() -> None:
    bench = Bench()
    reply = bench.ng("offer", call_id="c-1", from_tag="b", to_tag="a", sdp=sdp(ENGINE, 6000), direction=["internal", "external"])
    (outside,) = ports_in(reply[b"sdp"])
    assert outside in range(30000, 30100)
    reply = bench.ng("answer", call_id="c-1", from_tag="b", to_tag="a", sdp=sdp(CALLER, 5000), received_from=["IP4", CALLER])
    (inside,) = ports_in(reply[b"sdp"])
    assert bench.media(outside, rtp(1), PHONE) == (("10.0.0.1", inside), NODE)


def test_a_foreign_proxy_without_directions_works_by_tags() -> None:
    bench = Bench()
    first = bench.ng("offer", call_id="k", from_tag="a", sdp=sdp(CALLER, 5000), received_from=["IP4", CALLER])
    second = bench.ng("answer", call_id="k", from_tag="a", to_tag="b", sdp=sdp("192.0.2.9", 6000), received_from=["IP4", "192.0.2.9"])
    (towards_b,), (towards_a,) = ports_in(first[b"sdp"]), ports_in(second[b"sdp"])
    assert bench.media(towards_b, rtp(1), ("192.0.2.9", 6000)) == (("10.0.0.1", towards_a), PHONE)
    again = bench.ng("offer", call_id="k", from_tag="b", to_tag="a", sdp=sdp("192.0.2.9", 6000))
    assert ports_in(again[b"sdp"]) == [towards_a]
    assert bench.ng("offer", call_id="k", from_tag="x", sdp=sdp(CALLER, 1))[b"error-reason"] == b"Neither tag belongs to this call."
    assert bench.ng("answer", call_id="k", from_tag="x", to_tag="y", sdp=sdp(CALLER, 1))[b"error-reason"] == b"Unknown from-tag."
    assert bench.ng("answer", call_id="k", from_tag="x", to_tag="b", sdp=sdp(CALLER, 1))[b"result"] == b"ok"
    assert bench.ng("offer", call_id="k", from_tag="x", to_tag="b", sdp=sdp(CALLER, 1))[b"result"] == b"ok"


def test_video_and_fax_are_relayed_alike_and_a_refused_stream_gives_its_ports_back() -> None:
    bench = Bench(allow_private=True)
    body = (DATA / "ice_video_fax.sdp").read_bytes()
    reply = bench.ng("offer", call_id="c-1", from_tag="a", sdp=body, direction=["external", "internal"], ICE="remove", replace=["origin"])
    assert bench.relay.table.allocator.pools[Side.EXTERNAL].in_use == 3
    answer = sdp(ENGINE, 6000) + b"m=video 0 RTP/AVP 97\r\nm=image 6004 udptl t38\r\nm=audio 0 RTP/AVP 3\r\n"
    ports = ports_in(bench.ng("answer", call_id="c-1", from_tag="a", to_tag="b", sdp=answer)[b"sdp"])
    assert bench.relay.table.allocator.pools[Side.EXTERNAL].in_use == 2
    assert ports[1] == ports[3] == 0
    assert isinstance(reply[b"sdp"], bytes)
    inside = [int(line.split()[1]) for line in reply[b"sdp"].split(b"\n") if line.startswith(b"m=")]
    assert bench.media(inside[2], b"\0\1fax", (ENGINE, 6004)) is None
    assert bench.relay.table.drops[Drop("no_target")] == 1
    assert bench.media(inside[2], b"", (ENGINE, 6004)) is None
    assert bench.media(inside[2], b"fax", ("192.0.2.1", 6004)) is None


def test_a_stream_may_turn_into_fax_on_its_ports() -> None:
    bench = Bench()
    outside, inside = call(bench)
    bench.media(outside, rtp(1), PHONE)
    fax = "m=image {port} udptl t38"
    assert bench.offer(sdp(CALLER, 5000, media=fax)) == inside
    assert bench.answer(sdp(ENGINE, 6000, media=fax)) == outside
    assert bench.media(outside, b"\0\1fax", PHONE) == (("10.0.0.1", inside), NODE)
    assert bench.relay.figures(["c-1"])["c-1"][0].packets_in == 2


def test_delete_answers_with_totals_and_quarantines_the_ports() -> None:
    bench = Bench()
    outside, inside = call(bench)
    for number in (1, 2, 5):
        bench.media(outside, rtp(number), PHONE)
    bench.media(inside, rtp(1), NODE)
    reply = bench.ng("delete", call_id="c-1", from_tag="a")
    assert reply[b"totals"] == {b"RTP": {b"packets": 4, b"bytes": 688, b"errors": 0}, b"RTCP": {b"packets": 0, b"bytes": 0, b"errors": 0}}
    (ended,) = (event for event in bench.events if isinstance(event, SessionEnded))
    assert isinstance(ended, SessionEnded)
    assert ended.cause is EndCause.DELETED
    external, internal = ended.figures
    assert (external.side, external.packets_in, external.lost, external.packets_out, external.payload_type) == ("external", 3, 2, 1, 0)
    assert (external.advertised, external.observed) == ("198.51.100.7:5000", "198.51.100.7:5000")
    assert (internal.packets_in, internal.packets_out) == (1, 3)
    assert bench.relay.idle()
    assert bench.media(outside, rtp(6), PHONE) is None
    assert bench.relay.table.drops[Drop("late")] == 1
    assert (Side.EXTERNAL, outside) in bench.bound
    bench.advance(31)
    assert bench.bound == set()
    assert all(pool.free == pool.size for pool in bench.relay.table.allocator.pools.values())
    assert bench.relay.get_timer() is None
    assert bench.relay.table.flows == {}


def test_delete_of_something_else_changes_nothing() -> None:
    bench = Bench()
    call(bench)
    assert b"warning" in bench.ng("delete", call_id="c-2", from_tag="a")
    assert b"warning" in bench.ng("delete", call_id="c-1", from_tag="z")
    assert [session.call_id for session in bench.relay.table] == ["c-1"]
    assert b"warning" not in bench.ng("delete", call_id="c-1", from_tag="b", to_tag="a")


def test_the_latest_answerer_is_the_party_of_the_call() -> None:
    bench = Bench()
    bench.offer()
    bench.answer()
    bench.ng("answer", call_id="c-1", from_tag="a", to_tag="b2", sdp=sdp(ENGINE, 6000))
    assert b"warning" in bench.ng("delete", call_id="c-1", from_tag="b")
    assert b"warning" not in bench.ng("delete", call_id="c-1", from_tag="b2")


def test_query_list_and_statistics() -> None:
    bench = Bench()
    outside, inside = call(bench)
    bench.media(outside, rtp(1), (CALLER, 7000))
    bench.now += 3
    reply = bench.ng("query", call_id="c-1")
    tags = reply[b"tags"]
    assert isinstance(tags, dict)
    stream = tags[b"a"][b"medias"][0][b"streams"][0]
    assert stream[b"local port"] == outside
    assert stream[b"endpoint"] == {b"family": b"IPv4", b"address": CALLER.encode(), b"port": 7000}
    assert stream[b"advertised endpoint"][b"port"] == 5000
    assert stream[b"last packet"] == 3
    assert bench.ng("query", call_id="c-9") == {b"result": b"error", b"error-reason": b"Unknown call-id."}
    assert bench.ng("list") == {b"result": b"ok", b"calls": [b"c-1"]}
    assert bench.ng("list", limit=0) == {b"result": b"ok", b"calls": []}
    current = bench.ng("statistics")[b"statistics"]
    assert isinstance(current, dict)
    assert current[b"currentstatistics"][b"sessionstotal"] == 1
    assert current[b"currentstatistics"][b"ports"][b"internal"][b"used"] == 1


def test_a_list_fits_a_datagram() -> None:
    bench = Bench(external_ports=(30000, 31999), internal_ports=(40002, 42001))
    for number in range(200):
        bench.ng("offer", call_id=f"{number:0{MAX_TEXT}d}", from_tag="a", sdp=sdp(CALLER, 5000), direction=["external", "internal"])
    calls = bench.ng("list", limit=1000)[b"calls"]
    assert isinstance(calls, list)
    assert len(calls) == MAX_LISTED_OCTETS // (MAX_TEXT + 8)


def test_json_is_answered_in_json() -> None:
    (reply,) = Bench().raw(b'x1 {"command": "ping"}')
    assert json.loads(reply.removeprefix(b"x1 ")) == {"result": "pong"}


def test_a_repeated_cookie_gets_the_same_reply_and_runs_once() -> None:
    bench = Bench()
    fields = {"command": "offer", "call-id": "c-1", "from-tag": "a", "sdp": sdp(CALLER, 5000), "direction": ["external", "internal"]}
    datagram = b"same " + encode(fields)
    assert bench.raw(datagram) == bench.raw(datagram)
    assert bench.relay.table.allocator.pools[Side.EXTERNAL].in_use == 1
    assert bench.relay.commands["offer", "ok"] == 1


@pytest.mark.parametrize("datagram", [b"", b"junk", b" de", b"\xff" * 2000, b"c" * 200 + b" de"])
def test_without_a_cookie_there_is_silence(datagram: bytes) -> None:
    bench = Bench()
    assert bench.raw(datagram) == []
    assert bench.relay.malformed_commands == 1


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
    bench = Bench()
    (reply,) = bench.raw(b"7 " + body)
    assert b"error-reason" in reply
    assert b"error" in reply
    assert bench.ng("ping") == {b"result": b"pong"}


@given(st.binary(max_size=60) | st.dictionaries(st.text(max_size=8), st.binary(max_size=8) | st.integers(-9, 9), max_size=4).map(encode))
def test_any_octets_on_the_ng_port_are_survived(body: bytes) -> None:
    assert len(Bench().raw(b"1 " + body)) == 1


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"hello", b"The body is not a session description."),
        ((DATA / "ipv6.sdp").read_bytes(), b"The media address is IPv6, which is not supported."),
        (sdp(CALLER, 5000) + b"m=audio 1 RTP/AVP 0\r\n" * MAX_STREAMS, b"The offer has too many streams."),
    ],
)
def test_bad_descriptions_are_refused_and_keep_nothing(body: bytes, reason: bytes) -> None:
    bench = Bench()
    reply = bench.ng("offer", call_id="c-1", from_tag="a", sdp=body, direction=["external", "internal"])
    assert reply == {b"result": b"error", b"error-reason": reason}
    assert bench.relay.idle()
    assert bench.relay.table.allocator.pools[Side.EXTERNAL].in_use == 0


def test_an_answer_must_fit_the_offer() -> None:
    bench = Bench()
    bench.offer()
    reply = bench.ng("answer", call_id="c-1", from_tag="a", to_tag="b", sdp=sdp(ENGINE, 6000) + b"m=audio 1 RTP/AVP 0\r\n")
    assert reply[b"error-reason"] == b"The answer has media that was not offered."
    assert bench.ng("answer", call_id="c-2", from_tag="a", sdp=sdp(ENGINE, 1))[b"error-reason"] == b"Unknown call-id."


def test_an_empty_pool_is_an_error_and_recovers_to_exactly_full() -> None:
    bench = Bench(external_ports=(30000, 30007))
    for number in range(4):
        assert (
            bench.ng("offer", call_id=f"c-{number}", from_tag="a", sdp=sdp(CALLER, 5000), direction=["external", "internal"])[b"result"]
            == b"ok"
        )
    refused = bench.ng("offer", call_id="c-9", from_tag="a", sdp=sdp(CALLER, 5000), direction=["external", "internal"])
    assert refused == {b"result": b"error", b"error-reason": b"Ran out of ports."}
    refused = bench.ng("offer", call_id="c-9", from_tag="a", sdp=sdp(CALLER, 5000), direction=["internal", "external"])
    assert refused[b"error-reason"] == b"Ran out of ports."
    # The internal pair of the refused offer went to quarantine.
    assert bench.relay.table.allocator.pools[Side.INTERNAL].quarantined == 1
    for number in range(4):
        bench.ng("delete", call_id=f"c-{number}", from_tag="a")
    bench.advance(31)
    assert [(pool.free, pool.size) for pool in bench.relay.table.allocator.pools.values()] == [(4, 4), (50, 50)]


def test_scarce_ports_return_when_they_are_wanted() -> None:
    bench = Bench(external_ports=(30000, 30001))
    bench.offer()
    bench.ng("delete", call_id="c-1", from_tag="a")
    bench.now += 2.5
    bench.offer()


def test_ports_that_do_not_bind_are_skipped() -> None:
    bench = Bench(external_ports=(30000, 30005), unbindable=frozenset({30000, 30002}))
    bench.offer()
    assert bench.answer() == 30004
    assert bench.relay.table.allocator.failures <= 2
    other = Bench(external_ports=(30000, 30001), unbindable=frozenset({30000}))
    refused = other.ng("offer", call_id="c-1", from_tag="a", sdp=sdp(CALLER, 5000), direction=["external", "internal"])
    assert refused[b"error-reason"] == b"Ran out of ports."


def test_silent_sessions_end_and_sessions_on_hold_last_longer() -> None:
    bench = Bench(session_timeout=20.0)
    outside, _ = call(bench)
    bench.advance(15)
    bench.media(outside, rtp(1), PHONE)
    bench.advance(15)
    assert not bench.relay.idle()
    bench.offer(sdp(CALLER, 5000, "a=inactive"))
    bench.advance(HOLD_SECONDS - 10)
    assert not bench.relay.idle()
    bench.advance(20)
    assert bench.relay.idle()
    assert bench.relay.table.ended[EndCause.TIMEOUT] == 1


def test_a_draining_relay_serves_what_it_has() -> None:
    bench = Bench()
    call(bench)
    bench.relay.drain()
    refused = bench.ng("offer", call_id="c-2", from_tag="a", sdp=sdp(CALLER, 5000), direction=["external", "internal"])
    assert refused == {b"result": b"error", b"error-reason": b"draining"}
    bench.offer()
    assert not bench.relay.idle()
    bench.ng("delete", call_id="c-1", from_tag="a")
    assert bench.relay.idle()


def test_sessions_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mediarelay.ng.commands.MAX_SESSIONS", 1)
    bench = Bench()
    bench.offer()
    refused = bench.ng("offer", call_id="c-2", from_tag="a", sdp=sdp(CALLER, 5000), direction=["external", "internal"])
    assert refused[b"error-reason"] == b"Too many sessions."


def test_ranges_are_checked_at_the_start() -> None:
    with pytest.raises(ValueError, match="is not within 1024-65535"):
        Bench(external_ports=(10, 20))
    with pytest.raises(ValueError, match="is not within 1024-65535"):
        Bench(internal_ports=(50000, 50000))
    with pytest.raises(ValueError, match="overlap on one address"):
        Bench(external_ports=(40000, 40200))


def test_of_many_sessions_each_is_looked_at_once_a_second() -> None:
    bench = Bench(session_timeout=5, external_ports=(30000, 30599), internal_ports=(40002, 40601))
    for number in range(250):
        bench.ng("offer", call_id=f"c-{number}", from_tag="a", sdp=sdp(CALLER, 5000 + number), direction=["external", "internal"])
    bench.advance(6.2)
    assert bench.relay.idle()
    assert bench.relay.table.ended[EndCause.TIMEOUT] == 250


def test_an_offer_gives_up_before_it_has_tried_a_whole_pool() -> None:
    bench = Bench(unbindable=frozenset(range(30000, 31000)))
    reply = bench.ng("offer", call_id="c-1", from_tag="a", sdp=sdp(CALLER, 5000), direction=["external", "internal"])
    assert reply[b"error-reason"] == b"Ran out of ports."
    assert bench.relay.table.allocator.failures == MAX_FAILURES + 1
    assert bench.relay.table.allocator.pools[Side.EXTERNAL].quarantined == MAX_FAILURES + 1
