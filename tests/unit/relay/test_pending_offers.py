"""An offer acts when it is accepted (RFC 3264 section 8): until then, and after a refusal, all is as it was."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediarelay.core.addresses import Side
from mediarelay.core.limits import MAX_STREAMS
from mediarelay.core.statement import PENDING_SECONDS
from tests.unit.relay.harness import CALLER, ENGINE, RelayHarness, ports_in, rtp, sdp

PHONE, NODE = (CALLER, 5000), (ENGINE, 6000)
BOARD = "192.0.2.50"
FAX = "m=image {port} udptl t38"
VIDEO = b"m=video 5020 RTP/AVP 96\r\n"


def talking(**changes: object) -> tuple[RelayHarness, int, int]:
    """Return a call both of whose ends have spoken, and its external and internal port."""
    harness = RelayHarness(**changes)  # type: ignore[arg-type]  # the test names the fields
    inside = harness.offer()
    outside = harness.answer()
    assert harness.media(outside, rtp(1), PHONE) == (("10.0.0.1", inside), NODE)
    assert harness.media(inside, rtp(1, ssrc=9), NODE) == (("10.0.0.1", outside), PHONE)
    return harness, outside, inside


def withdraw(harness: RelayHarness, tag: str = "a", **fields: object) -> dict[bytes, object]:
    return harness.ng("sipuri-withdraw", call_id="c-1", from_tag=tag, **fields)


def from_inside(harness: RelayHarness, body: bytes) -> dict[bytes, object]:
    return harness.ng("offer", call_id="c-1", from_tag="b", to_tag="a", sdp=body, direction=["internal", "external"])


def as_agreed(harness: RelayHarness, outside: int, inside: int) -> None:
    """Check that both ends of the call are heard, and nobody else."""
    harness.now += 1
    for number in range(20):
        assert harness.media(outside, rtp(number), (BOARD, 5000)) is None
    assert harness.media(outside, rtp(2), PHONE) == (("10.0.0.1", inside), NODE)
    assert harness.media(inside, rtp(2, ssrc=9), NODE) == (("10.0.0.1", outside), PHONE)


def in_use(harness: RelayHarness) -> set[int]:
    return {pool.in_use for pool in harness.relay.table.allocator.pools.values()}


REFUSED = {
    "address": sdp(BOARD, 5000),
    "port": sdp(CALLER, 5900),
    "fax": sdp(BOARD, 5000, media=FAX),
    "hold": sdp(CALLER, 5000, "a=sendonly"),
    "hold by address": sdp("0.0.0.0", 5000),
    "an end": sdp(CALLER, 0),
    "video": sdp(CALLER, 5000) + VIDEO,
    "multiplexing": sdp(CALLER, 5000, "a=rtcp-mux"),
    "rtcp": sdp(CALLER, 5000, "a=rtcp:5099"),
    "codec": sdp(CALLER, 5000, media="m=audio {port} RTP/AVP 8"),
}


@pytest.mark.parametrize("body", REFUSED.values(), ids=list(REFUSED))
@pytest.mark.parametrize("end", ["withdraw", "expiry"])
def test_a_refused_offer_leaves_nothing_behind(body: bytes, end: str) -> None:
    harness, outside, inside = talking()
    (session,) = harness.relay.table
    entry = harness.relay.entry_of("c-1")
    assert entry is not None
    reply = harness.reoffer(body, source=BOARD, label="fax board")
    assert reply[b"sipuri-provisional"] == 1
    assert ports_in(reply[b"sdp"])[0] in (inside, 0)
    as_agreed(harness, outside, inside)
    if end == "withdraw":
        assert withdraw(harness) == {b"result": b"ok"}
    else:
        harness.advance(PENDING_SECONDS + 1.5)
    as_agreed(harness, outside, inside)
    assert in_use(harness) == {1}
    after = harness.relay.entry_of("c-1")
    assert after is not None
    same = ("parties", "agreed", "branches")
    assert {key: after[key] for key in same} == {key: entry[key] for key in same}
    assert [stream.profile for stream in session.streams.values()] == [(True, 8000, False)]
    assert not any(leg.muxed for stream in session.streams.values() for leg in stream.legs)
    harness.advance(31)
    assert len(harness.bound) == 2


@pytest.mark.parametrize("late", [False, True])
def test_an_accepted_offer_acts_with_its_answer(late: bool) -> None:
    harness, outside, inside = talking()
    harness.reoffer(sdp(BOARD, 5000), source=BOARD)
    if late:
        harness.advance(PENDING_SECONDS + 20)
    assert harness.answer() == outside
    assert harness.media(outside, rtp(3), (BOARD, 5000)) == (("10.0.0.1", inside), NODE)
    assert harness.media(inside, rtp(3, ssrc=9), NODE) == (("10.0.0.1", outside), (BOARD, 5000))
    assert harness.media(outside, rtp(4), PHONE) is None
    harness.advance(PENDING_SECONDS + 1.5)
    assert withdraw(harness) == {b"result": b"ok"}, "nothing is pending any more"
    assert harness.media(outside, rtp(5), (BOARD, 5000)) is not None


def test_the_first_offer_acts_at_once_and_so_does_its_repetition() -> None:
    harness = RelayHarness()
    for body in (sdp(CALLER, 5000), sdp(CALLER, 5002)):
        reply = harness.reoffer(body, to_tag="")
        assert b"sipuri-provisional" not in reply
    (inside,) = ports_in(reply[b"sdp"])
    assert withdraw(harness) == {b"result": b"ok"}
    outside = harness.answer()
    assert harness.media(outside, rtp(1), (CALLER, 5002)) == (("10.0.0.1", inside), NODE)


def test_a_late_offer_from_inside_is_the_first_one() -> None:
    harness = RelayHarness()
    assert b"sipuri-provisional" not in from_inside(harness, sdp(ENGINE, 6000))
    harness.ng("answer", call_id="c-1", from_tag="b", to_tag="a", sdp=sdp(CALLER, 5000), received_from=["IP4", CALLER])
    assert from_inside(harness, sdp(ENGINE, 6002))[b"sipuri-provisional"] == 1
    assert harness.reoffer(sdp(CALLER, 5002))[b"sipuri-provisional"] == 1


def test_the_offered_place_earns_no_lock_before_the_answer() -> None:
    harness, outside, inside = talking()
    moved = (CALLER, 5900)
    harness.reoffer(sdp(*moved))
    harness.now += 1
    assert [harness.media(outside, rtp(number), moved) for number in range(10)] == [None] * 10
    assert harness.media(outside, rtp(2), PHONE) is not None
    harness.answer()
    assert harness.media(outside, rtp(11), moved) == (("10.0.0.1", inside), NODE)


def test_after_a_refusal_a_new_port_is_learned_as_ever() -> None:
    harness, outside, _ = talking()
    harness.reoffer(sdp(CALLER, 5900))
    withdraw(harness)
    harness.now += 1
    assert [harness.media(outside, rtp(number), (CALLER, 5900)) is not None for number in range(4)] == [False, False, True, True]


def test_another_offer_of_the_same_party_takes_the_place_of_the_first() -> None:
    harness, outside, inside = talking()
    harness.reoffer(sdp(BOARD, 5000) + VIDEO, source=BOARD)
    assert in_use(harness) == {2}
    harness.reoffer(sdp("192.0.2.60", 5000), source="192.0.2.60")
    assert in_use(harness) == {1}
    as_agreed(harness, outside, inside)
    harness.answer()
    assert harness.media(outside, rtp(3), (BOARD, 5000)) is None
    assert harness.media(outside, rtp(3), ("192.0.2.60", 5000)) is not None


def test_a_repeated_offer_shows_the_same_ports() -> None:
    harness, _, _ = talking()
    first = harness.reoffer(sdp(CALLER, 5000) + VIDEO)
    assert ports_in(harness.reoffer(sdp(CALLER, 5000) + VIDEO)[b"sdp"]) == ports_in(first[b"sdp"])
    assert in_use(harness) == {2}


def test_offers_of_both_parties_wait_apart() -> None:
    harness, outside, inside = talking()
    harness.reoffer(sdp(BOARD, 5000) + VIDEO, source=BOARD)
    reply = from_inside(harness, sdp("10.0.0.6", 6000) + VIDEO)
    assert in_use(harness) == {2}, "the new stream is the same one"
    assert withdraw(harness, "a") == {b"result": b"ok"}
    assert in_use(harness) == {2}
    as_agreed(harness, outside, inside)
    answer = harness.ng("answer", call_id="c-1", from_tag="b", to_tag="a", sdp=sdp(CALLER, 5000) + VIDEO)
    assert ports_in(answer[b"sdp"])[0] == inside
    assert harness.media(outside, rtp(3), PHONE) == (("10.0.0.1", inside), ("10.0.0.6", 6000))
    _, video = ports_in(reply[b"sdp"])
    assert harness.media(video, rtp(1), (CALLER, 5020)) == (("10.0.0.1", ports_in(answer[b"sdp"])[1]), ("10.0.0.6", 5020))


def test_a_withdrawal_names_the_offer_by_its_branch_if_it_can() -> None:
    harness, outside, inside = talking()
    harness.reoffer(sdp(BOARD, 5000), source=BOARD, via_branch="z9hG4bK2")
    assert withdraw(harness, via_branch="z9hG4bK1") == {b"result": b"ok"}
    harness.answer()
    assert harness.media(outside, rtp(3), (BOARD, 5000)) == (("10.0.0.1", inside), NODE)
    harness.reoffer(sdp(CALLER, 5000), via_branch="z9hG4bK3")
    withdraw(harness, via_branch="z9hG4bK3")
    harness.answer()
    assert harness.media(outside, rtp(4), (BOARD, 5000)) is not None


def test_a_withdrawal_for_nobody_is_an_error() -> None:
    harness, _, _ = talking()
    assert withdraw(harness, "z") == {b"result": b"error", b"error-reason": b"Unknown from-tag."}
    assert harness.ng("sipuri-withdraw", call_id="c-9", from_tag="a") == {b"result": b"error", b"error-reason": b"Unknown call-id."}
    assert harness.ng("sipuri-withdraw", call_id="c-1")[b"error-reason"] == b"The command has no from-tag."
    assert harness.relay.commands["sipuri-withdraw", "error"] == 3


def test_a_stream_that_is_only_offered_passes_nothing_and_begins_with_the_answer() -> None:
    harness, outside, inside = talking()
    _, there = ports_in(harness.reoffer(sdp(CALLER, 5000) + VIDEO)[b"sdp"])
    assert harness.media(there, rtp(1), (ENGINE, 6020)) is None
    answer = harness.ng("answer", call_id="c-1", from_tag="a", to_tag="b", sdp=sdp(ENGINE, 6000) + b"m=video 6020 RTP/AVP 96\r\n")
    _, here = ports_in(answer[b"sdp"])
    assert harness.media(there, rtp(1), (ENGINE, 6020)) == (("10.0.0.1", here), (CALLER, 5020))
    assert harness.media(outside, rtp(3), PHONE) == (("10.0.0.1", inside), NODE)


def test_a_stream_whose_offer_expired_is_refused_if_the_answer_comes_after_all() -> None:
    harness, outside, _ = talking()
    harness.reoffer(sdp(BOARD, 5000) + VIDEO, source=BOARD)
    harness.advance(PENDING_SECONDS + 1.5)
    assert in_use(harness) == {1}
    answer = harness.ng("answer", call_id="c-1", from_tag="a", to_tag="b", sdp=sdp(ENGINE, 6000) + b"m=video 6020 RTP/AVP 96\r\n")
    assert ports_in(answer[b"sdp"]) == [outside, 0]
    assert harness.media(outside, rtp(3), (BOARD, 5000)) is not None


def test_voice_turns_into_fax_and_back_with_the_answers() -> None:
    harness, outside, inside = talking()
    harness.reoffer(sdp(CALLER, 5000, media=FAX))
    assert harness.media(outside, b"\0\1fax", PHONE) is None
    assert harness.media(outside, rtp(3), PHONE) is not None
    harness.answer(sdp(ENGINE, 6000, media=FAX))
    assert harness.media(outside, b"\0\1fax", PHONE) == (("10.0.0.1", inside), NODE)
    from_inside(harness, sdp(ENGINE, 6000))
    assert harness.media(outside, b"\0\1fax", PHONE) is not None
    harness.ng("answer", call_id="c-1", from_tag="b", to_tag="a", sdp=sdp(CALLER, 5000))
    assert harness.media(outside, b"\0\1fax", PHONE) is None
    assert harness.media(outside, rtp(4), PHONE) == (("10.0.0.1", inside), NODE)


def test_an_ended_stream_gives_its_ports_back_with_the_answer() -> None:
    harness, _, _ = talking()
    harness.reoffer(sdp(CALLER, 0))
    assert in_use(harness) == {1}
    harness.answer(sdp(ENGINE, 0))
    assert in_use(harness) == {0}


def test_a_stream_that_the_answer_leaves_out_is_refused() -> None:
    harness, outside, inside = talking()
    harness.reoffer(sdp(CALLER, 5000) + VIDEO)
    assert harness.answer() == outside
    assert in_use(harness) == {1}
    as_agreed(harness, outside, inside)


def test_an_answer_to_nothing_moves_its_speaker_only() -> None:
    harness, outside, inside = talking()
    harness.reoffer(sdp(BOARD, 5000), source=BOARD)
    withdraw(harness)
    harness.answer(sdp("10.0.0.6", 6000))
    assert harness.media(outside, rtp(3), PHONE) == (("10.0.0.1", inside), ("10.0.0.6", 6000))


def test_a_pending_offer_does_not_survive_a_restart() -> None:
    harness, outside, inside = talking()
    harness.reoffer(sdp(BOARD, 5000) + VIDEO, source=BOARD)
    later = RelayHarness()
    later.now = harness.now + 1
    entry = json.loads(json.dumps(harness.relay.entry_of("c-1")))
    assert later.relay.restore(entry, later.now) == [(Side.EXTERNAL, outside), (Side.INTERNAL, inside)]
    later.pump()
    as_agreed(later, outside, inside)
    assert later.reoffer(sdp(CALLER, 5000))[b"sipuri-provisional"] == 1, "it knows that there was an answer"


def test_a_deleted_session_gives_back_what_was_only_offered() -> None:
    harness, _, _ = talking()
    harness.reoffer(sdp(CALLER, 5000) + VIDEO * (MAX_STREAMS + 3))
    assert in_use(harness) == {MAX_STREAMS}
    harness.ng("delete", call_id="c-1", from_tag="a")
    harness.advance(31)
    assert (harness.bound, harness.relay.table.flows, in_use(harness)) == (set(), {}, {0})


BODIES = [sdp(CALLER, 5000), sdp(BOARD, 5000), sdp(CALLER, 5000) + VIDEO, sdp(CALLER, 0), sdp(CALLER, 5000, media=FAX)]
STEPS = st.lists(
    st.tuples(st.sampled_from(["offer", "other", "answer", "withdraw", "wait", "media"]), st.integers(0, len(BODIES) - 1)), max_size=14
)


@given(STEPS)
def test_whatever_happens_what_is_refused_changes_nothing_and_no_port_is_lost(steps: list[tuple[str, int]]) -> None:
    harness, _, _ = talking(session_timeout=1e6)
    for name, number in steps:
        if name == "offer":
            harness.reoffer(BODIES[number], source=BOARD)
        elif name == "other":
            from_inside(harness, BODIES[number])
        elif name == "answer":
            tags = ("a", "b") if number % 2 else ("b", "a")
            harness.ng("answer", call_id="c-1", from_tag=tags[0], to_tag=tags[1], sdp=BODIES[number])
        elif name == "withdraw":
            before = harness.relay.figures(["c-1"])
            withdraw(harness, "ab"[number % 2])
            assert harness.relay.figures(["c-1"]) == before
        elif name == "wait":
            harness.advance(PENDING_SECONDS if number else 1)
        else:
            for port in list(harness.relay.table.flows):
                harness.media(port[1], rtp(number), PHONE)
        (session,) = harness.relay.table
        assert len(list(session.every_stream())) <= 2
        assert in_use(harness) == {len(list(session.every_stream()))}
        assert set(harness.relay.table.flows) == {flow.local for flow in session.flows()}
    harness.ng("delete", call_id="c-1", from_tag="a")
    harness.advance(31)
    assert (harness.bound, harness.relay.table.flows) == (set(), {})
