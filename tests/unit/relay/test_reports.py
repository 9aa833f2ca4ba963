from __future__ import annotations

import pytest

from mediarelay.core.reports import MAX_SENDER_REPORTS, Reports
from mediarelay.rtp.rtcp import ReceiverReport, ReportBlock, SenderReport, build_compound, ntp_from_seconds
from tests.unit.relay.harness import CALLER, ENGINE, RelayHarness, rtp


def sender_report(seconds: float, *blocks: ReportBlock) -> bytes:
    return build_compound([SenderReport(9, ntp_from_seconds(seconds), 0, 10, 1600, blocks)])


def block(*, seconds: float = 0.0, waited: float = 0.0, fraction: int = 0, lost: int = 0, jitter: int = 0) -> ReportBlock:
    last = ntp_from_seconds(seconds) >> 16 & 0xFFFF_FFFF
    return ReportBlock(7, fraction, lost, 100, jitter, last, int(waited * 65_536))


def pair() -> tuple[Reports, Reports]:
    first, second = Reports(8000), Reports(8000)
    first.peer, second.peer = second, first
    return first, second


def test_a_round_trip_excludes_the_stated_delay() -> None:
    caller, node = pair()
    node.receive(sender_report(1000.0), 50.0)
    caller.receive(build_compound([ReceiverReport(7, (block(seconds=1000.0, waited=2.0, jitter=80),))]), 52.04)
    assert caller.rtt_ms == pytest.approx(40, abs=0.1)
    assert (caller.jitter_ms, node.rtt_ms) == (10.0, None)


def test_reports_without_a_matching_sender_report_give_no_round_trip() -> None:
    caller, node = pair()
    node.receive(sender_report(1000.0), 50.0)
    for answer, at in (
        (block(seconds=999.0), 51.0),
        (block(), 51.0),
        (block(seconds=1000.0, waited=5.0), 51.0),
        (block(seconds=1000.0), 99.0),
    ):
        caller.receive(build_compound([ReceiverReport(7, (answer,))]), at)
    assert caller.rtt_ms is None


@pytest.mark.parametrize(("first", "second", "read"), [(True, True, False), (True, False, True), (False, True, True)])
def test_reports_that_both_ends_have_keys_for_are_not_read(first: bool, second: bool, read: bool) -> None:
    caller, node = pair()
    caller.encrypted, node.encrypted = first, second
    node.receive(sender_report(1000.0), 50.0)
    caller.receive(build_compound([ReceiverReport(7, (block(seconds=1000.0, lost=3),))]), 50.1)
    assert (caller.rtt_ms is not None, caller.lost is not None) == (read, read)
    assert caller.last_at == 50.1


def test_loss_lowers_the_score() -> None:
    caller, _ = pair()
    for fraction in (0, 0, 26):
        caller.receive(build_compound([ReceiverReport(7, (block(fraction=fraction, lost=fraction),))]), 1.0)
    quality = caller.quality
    assert (quality.samples, caller.lost) == (3, 26)
    assert quality.highest > 4.3
    assert quality.lowest < 3.5
    assert quality.average is not None
    assert quality.lowest < quality.average < quality.highest


def test_sender_reports_are_bounded_and_junk_is_ignored() -> None:
    caller, node = pair()
    for second in range(100):
        node.receive(sender_report(1000.0 + second), 50.0 + second)
    assert len(caller._sent) == MAX_SENDER_REPORTS
    for junk in (b"", b"\x80", b"\x80\xc9\xff\xff", b"\x80\xc8\0\1abcd"):
        caller.receive(junk, 1.0)
    assert (caller.lost, caller.quality.average) == (None, None)


def test_query_shows_what_reports_say() -> None:
    harness = RelayHarness()
    inside = harness.offer()
    outside = harness.answer()
    for number in range(60):
        harness.media(outside, rtp(number), (CALLER, 5000))
        harness.media(inside, rtp(number, ssrc=9), (ENGINE, 6000))
        harness.advance(0.02)
    assert harness.media(inside + 1, sender_report(1000.0), (ENGINE, 6001)) is not None
    harness.advance(0.08)
    answered = build_compound([ReceiverReport(7, (block(seconds=1000.0, waited=0.03, fraction=3, lost=1),))])
    assert harness.media(outside + 1, answered, (CALLER, 5001)) is not None
    external, internal = next(iter(harness.relay.table)).figures()
    assert external.rtt_ms == pytest.approx(50, abs=0.1)
    assert external.mos == pytest.approx(4.35, abs=0.05)
    assert internal.rtt_ms is None
    sources = harness.ng("query", call_id="c-1")[b"SSRC"]
    assert isinstance(sources, dict)
    assert set(sources) == {b"9"}, "the phone has reported what it hears of the node"
    assert sources[b"9"][b"average MOS"] == {b"MOS": 43, b"jitter": 0, b"round-trip time": 50_001, b"samples": 1}
