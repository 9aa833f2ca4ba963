"""An audio session whose packets are encrypted: the far end is heard, strangers are not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from callflow.aio.leg_figures import leg_report
from callflow.audio.agreement import Agreement, Codec
from callflow.audio.events import DigitReceived
from callflow.audio.session import AudioSession, is_rtcp
from callflow.secure.sdes import Crypto, Keys, Suite
from mediarelay.rtp.rtcp import ReceiverReport, ReportBlock, build_compound, ntp_from_seconds

HERE, THERE = ("127.0.0.1", 4000), ("127.0.0.1", 4002)
SOUND = bytes(range(160)) * 5


def crypto(octet: int) -> Crypto:
    return Crypto(1, Suite.AES_CM_128_80, bytes((octet,)) * 30)


def pair() -> tuple[AudioSession, AudioSession]:
    here = Agreement(THERE, Codec.PCMU, 0, 101, keys=Keys(crypto(1), crypto(2)))
    there = Agreement(HERE, Codec.PCMU, 0, 101, keys=Keys(crypto(2), crypto(1)))
    sessions = (AudioSession(here, ssrc=1, sequence=65_530, timestamp=0), AudioSession(there, ssrc=2, sequence=1, timestamp=0))
    for session in sessions:
        session.start(100.0)
    return sessions


def run(first: AudioSession, second: AudioSession, seconds: float, now: float = 100.0) -> list[bytes]:
    """Let both speak to each other, and return the datagrams of the first."""
    sent: list[bytes] = []
    for step in range(round(seconds * 50)):
        at = now + step * 0.02
        for session, peer, source in ((first, second, HERE), (second, first, THERE)):
            session.handle_timer(at)
            for data, _ in session.datagrams_to_send():
                peer.receive_datagram(data, source, at)
                if session is first:
                    sent.append(data)
    return sent


def test_sound_digits_and_reports_come_through() -> None:
    first, second = pair()
    heard = bytearray()
    second.inbound.attach(heard.extend)
    first.play(SOUND)
    first.send_digits("7")
    sent = run(first, second, 6.0)
    assert SOUND in bytes(heard)
    assert DigitReceived("7") in list(iter(second.next_event, None))
    assert not any(SOUND[:20] in data for data in sent)
    assert any(map(is_rtcp, sent))
    assert (first.refused, second.refused) == (0, 0)


def test_each_end_knows_the_other_by_its_reports() -> None:
    """The datagrams of one side take 40 ms, those of the other none, and a tenth of them gets lost."""
    first, second = pair()
    on_their_way: list[tuple[float, bytes]] = []
    for step in range(600):
        now = 100.0 + step * 0.02
        for session in (first, second):
            session.handle_timer(now)
        on_their_way += [(now + 0.04, data) for data, _ in first.datagrams_to_send()]
        for data in [data for at, data in on_their_way if at <= now + 0.001]:
            second.receive_datagram(data, HERE, now)
        on_their_way = [(at, data) for at, data in on_their_way if at > now + 0.001]
        for data, _ in second.datagrams_to_send():
            if is_rtcp(data) or step % 10:
                first.receive_datagram(data, THERE, now)
    assert first.rtt_ms == pytest.approx(40.0, abs=1)
    assert second.rtt_ms == pytest.approx(40.0, abs=1)
    assert first.lost == pytest.approx(60, abs=2)
    report = leg_report("c-1", "callflow-1", first)
    figures = report.figures
    assert (report.call_id, report.node, report.final, figures.side, figures.plane) == ("c-1", "callflow-1", True, "callflow", "")
    assert (figures.packets_in, figures.packets_out, figures.bytes_in) == (first.packets_received, 600, first.packets_received * 182)
    assert figures.mos == pytest.approx(3.4, abs=0.1)
    assert (figures.advertised, figures.rtt_ms, figures.lost) == ("127.0.0.1:4002", first.rtt_ms, first.lost)


def test_too_little_audio_has_no_score() -> None:
    first, second = pair()
    run(first, second, 0.9)
    assert leg_report("c-1", "callflow-1", first).figures.mos is None


def test_a_delay_that_is_rounded_up_makes_no_round_trip_negative() -> None:
    first, _ = pair()
    first.agree(replace(first.agreement, keys=None))
    sent_at, now = ntp_from_seconds(100.0) >> 16 & 0xFFFF_FFFF, 100.5
    for delay, found in ((32_768 + 65, 0.0), (32_768 - 655, 10.0)):
        block = ReportBlock(1, 0, 0, 1, 0, sent_at, delay)
        first.receive_datagram(build_compound((ReceiverReport(2, (block,)),)), THERE, now)
        assert first.rtt_ms == pytest.approx(found, abs=0.1)


def test_reports_of_other_sources_and_impossible_ones_tell_no_round_trip() -> None:
    first, _ = pair()
    first.agree(replace(first.agreement, keys=None))
    for ssrc, last_sr, delay in ((2, 1, 0), (1, 0, 0), (1, 1, 2**30)):
        block = ReportBlock(ssrc, 0, 0, 1, 0, last_sr, delay)
        first.receive_datagram(build_compound((ReceiverReport(2, (block,)),)), THERE, 101.0)
        assert first.heard_at == 101.0
        assert first.rtt_ms is None


def test_strangers_and_repetitions_are_no_sign_of_life() -> None:
    first, second = pair()
    sent = run(first, second, 0.2)
    heard_at = second.heard_at
    packets = second.packets_received
    plain = AudioSession(Agreement(THERE, Codec.PCMU, 0, None), ssrc=9, sequence=1, timestamp=0)
    plain.start(100.0)
    plain.handle_timer(101.0)
    forged = [data for data, _ in plain.datagrams_to_send()]
    for data in (*sent, *forged, b"", b"\x80"):
        second.receive_datagram(data, HERE, 105.0)
    assert (second.heard_at, second.packets_received) == (heard_at, packets)
    assert second.refused == len(sent) + len(forged) + 2


def test_keys_may_come_change_and_go_while_a_call_goes_on() -> None:
    first, second = pair()
    run(first, second, 0.2)
    here, there = first.agreement, second.agreement
    for keys in (Keys(crypto(3), crypto(2)), None, Keys(crypto(4), crypto(5))):
        first.agree(replace(here, keys=keys))
        second.agree(replace(there, keys=keys and Keys(keys.theirs, keys.ours)))
        before = (first.packets_received, second.packets_received)
        run(first, second, 0.2, now=first.heard_at or 0.0)
        assert first.packets_received > before[0]
        assert second.packets_received > before[1]
    assert (first.refused, second.refused) == (0, 0)
