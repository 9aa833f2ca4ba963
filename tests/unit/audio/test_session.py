from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callflow.audio.agreement import Agreement, Codec
from callflow.audio.events import AudioEvent, DigitReceived, PlaybackFinished
from callflow.audio.frames import SILENCE_FRAME
from callflow.audio.sender import FRAME_SECONDS, MAX_CATCH_UP
from callflow.audio.session import AudioSession, is_rtcp
from callflow.audio.tones import DigitTones
from mediarelay.rtp.g711 import alaw_to_ulaw, ulaw_to_alaw
from mediarelay.rtp.packet import RtpPacket
from mediarelay.rtp.rtcp import ReceiverReport, SenderReport, build_compound, parse_compound
from mediarelay.rtp.telephone_event import TelephoneEvent

FAR = ("192.0.2.8", 4000)
SILENCE = b"\xff"


def agreement(**changes: object) -> Agreement:
    fields: dict[str, object] = {"remote": FAR, "codec": Codec.PCMU, "event_payload_type": 101, **changes}
    fields.setdefault("payload_type", fields["codec"].value)  # type: ignore[attr-defined]  # a codec
    return Agreement(**fields)  # type: ignore[arg-type]  # the test names the fields


class Listened(AudioSession):
    """A session whose two directions are heard."""

    def __init__(self, agreed: Agreement) -> None:
        super().__init__(agreed, ssrc=5, sequence=65_530, timestamp=2**32 - 320)
        self.frames_in: list[bytes] = []
        self.frames_out: list[bytes] = []
        self.inbound.attach(self.frames_in.append)
        self.outbound.attach(self.frames_out.append)


def session(**changes: object) -> Listened:
    return Listened(agreement(**changes))


def events_of(made: AudioSession) -> list[AudioEvent]:
    return list(iter(made.next_event, None))


class Clock:
    """Runs a session's timers and keeps what it sends, with the time."""

    def __init__(self, made: AudioSession, now: float = 50.0) -> None:
        self.made, self.now = made, now
        self.sent: list[tuple[float, RtpPacket]] = []
        self.reports: list[tuple[float, bytes]] = []

    def run(self, seconds: float, *, late: float = 0.0) -> None:
        end = self.now + seconds
        while (due := self.made.get_timer()) is not None and max(due, self.now) + late <= end:
            self.now = max(due, self.now) + late
            self.made.handle_timer(self.now)
            for data, address in self.made.datagrams_to_send():
                if is_rtcp(data):
                    assert address == (FAR[0], FAR[1] + 1)
                    self.reports.append((self.now, data))
                else:
                    assert address == FAR
                    self.sent.append((self.now, RtpPacket.parse(data)))
        self.now = end

    @property
    def said(self) -> list[tuple[float, RtpPacket]]:
        """What was sent but silence."""
        return [(at, packet) for at, packet in self.sent if packet.payload not in (SILENCE_FRAME, ulaw_to_alaw(SILENCE_FRAME))]


def started(**changes: object) -> tuple[Listened, Clock]:
    made = session(**changes)
    clock = Clock(made)
    made.start(clock.now)
    return made, clock


def audio(sequence: int, *, timestamp: int | None = None, fill: int = 0, ssrc: int = 9, size: int = 160, payload_type: int = 0) -> bytes:
    at = sequence * 160 if timestamp is None else timestamp
    return bytes(RtpPacket(payload_type, sequence & 0xFFFF, at & 0xFFFFFFFF, ssrc, bytes((fill or sequence & 0x7F,)) * size))


def event(sequence: int, timestamp: int, code: int, duration: int, *, end: bool = False, payload_type: int = 101) -> bytes:
    return bytes(RtpPacket(payload_type, sequence, timestamp, 9, bytes(TelephoneEvent(code, end, 10, duration))))


def heard(made: Listened) -> bytes:
    """Return what came since the last time."""
    frames = b"".join(made.frames_in)
    made.frames_in.clear()
    return frames


def test_frames_leave_on_the_slots_and_the_last_one_is_padded() -> None:
    made, clock = started()
    number = made.play(bytes(range(160)) * 3 + b"tail")
    clock.run(1.0)
    packets = [packet for _, packet in clock.said]
    assert [at for at, _ in clock.said] == pytest.approx([50.0 + n * FRAME_SECONDS for n in range(4)])
    assert [packet.sequence for packet in packets] == [65_530, 65_531, 65_532, 65_533]
    assert [packet.timestamp for packet in packets] == [2**32 - 320, 2**32 - 160, 0, 160]
    assert [packet.marker for packet in packets] == [True, False, False, False]
    assert packets[-1].payload == b"tail" + SILENCE * 156
    assert events_of(made) == [PlaybackFinished(number)]


def test_late_wakeups_do_not_drift() -> None:
    made, clock = started()
    made.play(bytes(160 * 500))
    clock.run(11.0, late=0.013)
    assert len(clock.said) == 500
    assert clock.said[-1][0] == pytest.approx(50.0 + 499 * FRAME_SECONDS + 0.013, abs=0.014)
    assert clock.said[-1][1].timestamp == (2**32 - 320 + 499 * 160) & 0xFFFFFFFF


def test_a_long_pause_of_the_process_sends_a_bounded_burst() -> None:
    made, clock = started()
    made.play(bytes(160 * 100))
    clock.run(0.11)
    assert len(clock.sent) == 6
    clock.now += 1.0
    made.handle_timer(clock.now)
    burst = [RtpPacket.parse(data) for data, _ in made.datagrams_to_send()]
    assert len(burst) == MAX_CATCH_UP
    assert burst[-1].timestamp == (2**32 - 320 + int((clock.now - 50.0) / FRAME_SECONDS) * 160) & 0xFFFFFFFF
    clock.run(3.0)
    assert len(clock.said) + len(burst) == 100


def test_silence_is_sent_where_nothing_is_said() -> None:
    made, clock = started()
    clock.run(0.5)
    number = made.play(b"\x01" * 160)
    clock.run(0.5)
    packets = [packet for _, packet in clock.sent]
    assert len(packets) == 51
    assert [packet.payload[0] for packet in packets] == [0xFF] * 26 + [1] + [0xFF] * 24
    assert [packet.marker for packet in packets] == [True] + [False] * 50
    assert {(second.timestamp - first.timestamp) & 0xFFFFFFFF for first, second in pairwise(packets)} == {160}
    assert {(second.sequence - first.sequence) & 0xFFFF for first, second in pairwise(packets)} == {1}
    assert events_of(made)[-1] == PlaybackFinished(number)


def test_missed_silence_is_not_made_up_for() -> None:
    made, clock = started()
    clock.run(0.1)
    made.handle_timer(clock.now + 30.0)
    assert len([data for data, _ in made.datagrams_to_send() if not is_rtcp(data)]) == 1


def test_plays_follow_each_other_and_an_empty_one_ends_at_once() -> None:
    made, clock = started()
    numbers = [made.play(b"\x01" * 160), made.play(b""), made.play(b"\x02" * 320)]
    clock.run(1.0)
    assert [packet.payload[0] for _, packet in clock.said] == [1, 2, 2]
    assert events_of(made) == [PlaybackFinished(number) for number in numbers]


def test_nothing_is_sent_before_the_start() -> None:
    made = session()
    made.play(bytes(160))
    assert made.get_timer() is None
    made.handle_timer(9.0)
    assert made.datagrams_to_send() == []


def test_stop_playing_drops_the_rest() -> None:
    made, clock = started()
    made.play(bytes(1600))
    clock.run(0.05)
    made.stop_playing()
    clock.run(1.0)
    assert len(clock.said) == 3
    assert events_of(made) == []
    number = made.play(bytes(160))
    clock.run(1.0)
    assert events_of(made) == [PlaybackFinished(number)]


def test_digits_are_sent_as_events() -> None:
    made, clock = started()
    made.play(bytes(160 * 2))
    number = made.send_digits("1#", duration_ms=60, gap_ms=100)
    clock.run(2.0)
    packets = [packet for _, packet in clock.said]
    assert [packet.payload_type for packet in packets] == [101] * 12 + [0] * 2
    first, second = packets[:6], packets[6:12]
    assert [packet.marker for packet in first] == [True] + [False] * 5
    assert {packet.timestamp for packet in first} == {2**32 - 320}
    parsed = [TelephoneEvent.parse(packet.payload) for packet in first]
    assert [(item.event, item.end, item.duration) for item in parsed] == [
        (1, False, 160),
        (1, False, 320),
        (1, False, 480),
        (1, True, 480),
        (1, True, 480),
        (1, True, 480),
    ]
    # 60 ms of digit and 100 ms of gap are eight slots.
    assert {packet.timestamp for packet in second} == {(2**32 - 320 + 8 * 160) & 0xFFFFFFFF}
    assert PlaybackFinished(number) in events_of(made)


def test_a_comma_waits_and_nothing_ends_at_once() -> None:
    made, clock = started()
    first = made.send_digits(",1", duration_ms=20, gap_ms=0)
    clock.run(2.0)
    assert clock.said[0][0] == pytest.approx(50.5)
    second = made.send_digits("")
    assert events_of(made) == [PlaybackFinished(first), PlaybackFinished(second)]


@pytest.mark.parametrize(("pause", "seconds"), [(",", 0.5), ("w", 0.5), ("W", 1.0), ("wW", 1.5)])
def test_a_pause_stands_in_the_place_of_the_gap(pause: str, seconds: float) -> None:
    made, clock = started()
    made.send_digits(f"1{pause}2", duration_ms=100, gap_ms=400)
    clock.run(4.0)
    codes = {packet.timestamp: TelephoneEvent.parse(packet.payload).event for _, packet in clock.said}
    (one, two) = codes
    assert list(codes.values()) == [1, 2]
    # 100 ms of digit, three end packets, and the pause.
    assert (two - one) & 0xFFFFFFFF == 160 * (5 + 3) + round(seconds * 8000)


@pytest.mark.parametrize("events", [101, None])
def test_digits_that_are_stopped_end_properly(events: int | None) -> None:
    made, clock = started(event_payload_type=events)
    made.send_digits("12", duration_ms=1000, gap_ms=400)
    clock.run(0.1)
    sent = len(clock.said)
    made.stop_playing()
    clock.run(2.0)
    ends = [TelephoneEvent.parse(packet.payload) for _, packet in clock.said[sent:]] if events else []
    assert [(event.event, event.end) for event in ends] == ([(1, True)] * 3 if events else [])
    assert len(clock.said) == sent + len(ends)
    made.send_digits("3", duration_ms=20)
    made.stop_playing()
    clock.run(1.0)
    assert len(clock.said) == sent + len(ends)


def test_who_takes_no_telephone_events_gets_tones() -> None:
    made, clock = started(event_payload_type=None)
    number = made.send_digits("5w#", duration_ms=200, gap_ms=400)
    clock.run(3.0)
    assert events_of(made) == [PlaybackFinished(number)]
    sound = b"".join(packet.payload for _, packet in clock.sent)
    assert sound.startswith(DigitTones("5w#", 200, 400)[0:1600])
    assert sound[1600:5600] == SILENCE * 4000
    assert sound[5600:7200] == DigitTones("#", 200, 0)[0:1600]


def test_digits_that_cannot_be_sent() -> None:
    with pytest.raises(ValueError, match="is not a telephone digit"):
        session().send_digits("1x")


def test_alaw_is_converted_both_ways() -> None:
    made, clock = started(codec=Codec.PCMA)
    frame = bytes(range(160))
    made.play(frame)
    clock.run(0.1)
    assert clock.sent[0][1].payload_type == 8
    assert clock.sent[0][1].payload == ulaw_to_alaw(frame)
    made.receive_datagram(audio(1, payload_type=8, fill=0x55), FAR, clock.now)
    assert heard(made).endswith(alaw_to_ulaw(b"\x55" * 160))


def test_received_audio_in_order() -> None:
    made = session()
    for number in range(1, 11):
        made.receive_datagram(audio(number), FAR, number * 0.02)
    assert made.frames_in == [bytes((number,)) * 160 for number in range(1, 11)]
    assert (made.packets_received, made.lost, made.heard_at) == (10, 0, 0.2)
    assert made.jitter_ms < 0.1


@pytest.mark.parametrize("order", [[1, 3, 2, 4, 5], [1, 4, 2, 3, 5], [1, 2, 2, 3, 1, 4, 5, 5], [1, 4, 3, 2, 5]])
def test_reordering_within_three_frames_is_repaired(order: list[int]) -> None:
    made = session()
    for step, number in enumerate(order):
        made.receive_datagram(audio(number), FAR, step * 0.02)
    assert heard(made) == b"".join(bytes((number,)) * 160 for number in range(1, 6))


def test_lost_packets_become_silence() -> None:
    made = session()
    for number in (1, 2, 5, 6, 7, 8):
        made.receive_datagram(audio(number), FAR, number * 0.02)
    assert heard(made) == b"\1" * 160 + b"\2" * 160 + SILENCE * 320 + b"\5" * 160 + b"\6" * 160 + b"\7" * 160 + b"\x08" * 160
    assert made.lost == 2


def test_waiting_for_a_lost_packet_ends_by_the_clock() -> None:
    made = session()
    made.receive_datagram(audio(1), FAR, 0.0)
    made.receive_datagram(audio(3), FAR, 0.04)
    assert heard(made) == b"\1" * 160
    assert made.get_timer() == pytest.approx(0.1)
    made.handle_timer(0.1)
    assert heard(made) == SILENCE * 160 + b"\3" * 160
    made.receive_datagram(audio(2), FAR, 0.11)
    assert heard(made) == b""


def test_discontinuous_transmission_keeps_its_length() -> None:
    made = session()
    made.receive_datagram(audio(1, timestamp=0, fill=1), FAR, 0.0)
    made.receive_datagram(audio(2, timestamp=16_160, fill=2), FAR, 2.02)
    assert heard(made) == b"\1" * 160 + SILENCE * 16_000 + b"\2" * 160


def test_a_new_source_continues_where_the_old_one_stopped() -> None:
    made = session()
    made.start(0.0)
    made.receive_datagram(audio(1, fill=1), FAR, 0.02)
    made.receive_datagram(audio(40_000, ssrc=77, fill=2), FAR, 0.08)
    assert heard(made) == b"\1" * 160 + SILENCE * 320 + b"\2" * 160


@pytest.mark.parametrize("size", [80, 240, 320, 100])
def test_other_packet_lengths_become_frames(size: int) -> None:
    made = session()
    for number in range(10):
        made.receive_datagram(audio(number, timestamp=number * size, size=size, fill=3), FAR, number * size / 8000)
    assert heard(made) == b"\3" * (10 * size // 160 * 160)


@given(st.integers(0, 2**32 - 1), st.lists(st.sampled_from(["ok", "lost", "swap"]), min_size=5, max_size=60))
def test_a_recording_is_sample_exact(seed: int, fates: list[str]) -> None:
    rng = random.Random(seed)
    first = rng.randrange(2**32)
    sequence = rng.randrange(2**16)
    made = session()
    numbers = [0, *(n for n, fate in enumerate(fates, 1) if fate != "lost"), *range(len(fates) + 1, len(fates) + 6)]
    arrivals = list(numbers)
    for at in range(1, len(arrivals) - 1):
        if arrivals[at] <= len(fates) and fates[arrivals[at] - 1] == "swap":
            arrivals[at], arrivals[at + 1] = arrivals[at + 1], arrivals[at]
    for step, number in enumerate(arrivals):
        data = bytes(RtpPacket(0, (sequence + number) & 0xFFFF, (first + number * 160) & 0xFFFFFFFF, 9, bytes((1 + number % 100,)) * 160))
        now = 0.02 * max(number, step)
        made.receive_datagram(data, FAR, now)
    made.handle_timer(now + 0.1)
    got = heard(made)
    assert len(got) == (len(fates) + 6) * 160
    for number in range(len(fates) + 6):
        frame = got[number * 160 : number * 160 + 160]
        # A packet that was swapped across several others may have come too late; then it is silence and in nobody's place.
        assert frame in (bytes((1 + number % 100,)) * 160, SILENCE * 160)
        if "swap" not in fates:
            assert (frame == SILENCE * 160) == (number not in numbers)


def test_a_digit_is_reported_once() -> None:
    made = session()
    made.receive_datagram(event(0, 800, 5, 160), FAR, 0.0)
    assert events_of(made) == [DigitReceived("5")]
    for step in range(1, 5):
        made.receive_datagram(event(step, 800, 5, 160 * (step + 1)), FAR, step * 0.02)
    for step in range(5, 8):
        made.receive_datagram(event(step, 800, 5, 800, end=True), FAR, step * 0.02)
    made.receive_datagram(event(7, 800, 5, 800, end=True), FAR, 0.2)
    assert events_of(made) == []
    made.receive_datagram(event(8, 2400, 5, 160), FAR, 0.3)
    assert events_of(made) == [DigitReceived("5")]


def test_a_digit_counts_without_its_end_or_its_beginning() -> None:
    made = session()
    made.receive_datagram(event(1, 800, 11, 160), FAR, 0.0)
    made.receive_datagram(event(9, 4000, 3, 480, end=True), FAR, 0.5)
    made.handle_timer(0.7)
    assert [item.digit for item in events_of(made) if isinstance(item, DigitReceived)] == ["#", "3"]


def test_a_key_that_is_held_for_long_is_one_digit() -> None:
    made = session()
    made.receive_datagram(event(1, 0, 7, 65_535), FAR, 8.2)
    made.receive_datagram(event(2, 65_535, 7, 160), FAR, 8.22)
    made.receive_datagram(event(3, 65_535, 7, 320, end=True), FAR, 8.24)
    assert [item.digit for item in events_of(made) if isinstance(item, DigitReceived)] == ["7"]


def test_events_that_are_not_digits_are_ignored() -> None:
    made = session()
    made.receive_datagram(event(1, 0, 16, 160), FAR, 0.0)
    made.receive_datagram(bytes(RtpPacket(101, 2, 5000, 9, b"\5")), FAR, 0.0)
    made.receive_datagram(bytes(RtpPacket(13, 3, 5160, 9, b"\x40")), FAR, 0.0)
    assert events_of(made) == []
    assert made.packets_received == 3


def test_the_gap_that_a_digit_leaves_in_the_audio_is_silence() -> None:
    made = session()
    made.receive_datagram(audio(1, timestamp=0, fill=1), FAR, 0.0)
    for step in range(5):
        made.receive_datagram(event(2 + step, 160, 1, 160 * (step + 1), end=step > 1), FAR, 0.02 + step * 0.02)
    made.receive_datagram(audio(7, timestamp=160 * 6, fill=2), FAR, 0.12)
    assert heard(made) == b"\1" * 160 + SILENCE * 800 + b"\2" * 160


@pytest.mark.parametrize("data", [b"", b"\x80", b"\x80\0\0\0", b"\x8f" + bytes(20), b"\x80\xc8\0\x09\0\0\0\1", bytes(30)])
def test_malformed_datagrams_are_dropped(data: bytes) -> None:
    made = session()
    made.receive_datagram(data, FAR, 0.0)
    assert made.packets_received == 0
    assert events_of(made) == []


@given(st.binary(max_size=40), st.integers(0, 1))
def test_any_octets_raise_nothing(data: bytes, lead: int) -> None:
    made = session()
    made.receive_datagram(b"\x80" * lead + data, FAR, 0.0)
    made.handle_timer(1.0)


def test_datagrams_of_other_hosts_are_dropped() -> None:
    made = session()
    made.receive_datagram(audio(1), ("192.0.2.99", 4000), 0.0)
    assert events_of(made) == []
    made.agree(agreement(remote=("192.0.2.99", 4400)))
    made.receive_datagram(audio(1), ("192.0.2.99", 4000), 0.0)
    made.receive_datagram(audio(2), FAR, 0.0)
    assert made.packets_received == 1


def test_to_no_address_nothing_is_sent_but_packets_are_received() -> None:
    made, clock = started()
    made.agree(agreement(remote=None))
    number = made.play(bytes(320))
    clock.run(11.0)
    assert not clock.sent
    assert not clock.reports
    assert PlaybackFinished(number) in events_of(made)
    assert made.packets_sent == 0
    made.receive_datagram(audio(1), FAR, clock.now)
    assert made.packets_received == 1
    made.agree(agreement())
    clock.run(0.1)
    assert clock.sent[0][1].sequence == 65_530
    assert clock.sent[0][1].marker


def test_a_far_end_that_wants_no_audio_gets_reports() -> None:
    made, clock = started(sends=False)
    clock.run(11.0)
    assert not clock.sent
    assert len(clock.reports) == 2


def test_another_codec_and_address_continue_what_plays() -> None:
    made, clock = started()
    number = made.play(b"\x11" * 160 * 4)
    clock.run(0.03)
    made.agree(agreement(remote=("192.0.2.8", 4400), codec=Codec.PCMA))
    made.handle_timer(clock.now + 0.05)
    after = [(RtpPacket.parse(data), address) for data, address in made.datagrams_to_send()]
    assert [packet.payload_type for _, packet in clock.sent] == [0, 0]
    assert [(packet.payload_type, address[1]) for packet, address in after] == [(8, 4400)] * 3
    assert [packet.payload for packet, _ in after] == [ulaw_to_alaw(frame) for frame in (b"\x11" * 160, b"\x11" * 160, SILENCE_FRAME)]
    assert after[0][0].sequence == (clock.sent[-1][1].sequence + 1) & 0xFFFF
    assert (after[0][0].timestamp - clock.sent[-1][1].timestamp) & 0xFFFFFFFF == 160
    assert events_of(made) == [PlaybackFinished(number)]


def test_both_codecs_are_heard_around_a_change() -> None:
    made, _ = started()
    made.receive_datagram(audio(1, timestamp=0, fill=1), FAR, 50.02)
    made.agree(agreement(codec=Codec.PCMA))
    made.receive_datagram(audio(2, timestamp=160, fill=2), FAR, 50.04)
    made.receive_datagram(audio(3, timestamp=320, payload_type=8, fill=0x55), FAR, 50.06)
    assert heard(made) == b"\1" * 160 + b"\2" * 160 + alaw_to_ulaw(b"\x55" * 160)


def test_audio_goes_and_comes_by_the_number_agreed_on() -> None:
    made, clock = started(codec=Codec.PCMA, payload_type=96)
    made.play(b"\x11" * 320)
    clock.run(0.1)
    assert {packet.payload_type for _, packet in clock.sent} == {96}
    assert clock.sent[0][1].payload == ulaw_to_alaw(b"\x11" * 160)
    assert [packet.marker for _, packet in clock.sent[:3]] == [True, False, False]
    made.receive_datagram(audio(1, payload_type=96, fill=0x55), FAR, clock.now)
    assert heard(made).endswith(alaw_to_ulaw(b"\x55" * 160))


def test_a_number_means_what_was_agreed_on_last() -> None:
    made, _ = started(payload_type=101, event_payload_type=96)
    made.receive_datagram(audio(1, timestamp=0, fill=1, payload_type=101), FAR, 50.02)
    made.agree(agreement(payload_type=96, codec=Codec.PCMA, event_payload_type=101))
    made.receive_datagram(audio(2, timestamp=160, fill=0x55, payload_type=96), FAR, 50.04)
    made.receive_datagram(event(3, 320, 7, 160, payload_type=101), FAR, 50.06)
    made.agree(agreement(payload_type=97, codec=Codec.PCMU))
    made.receive_datagram(audio(4, timestamp=320, fill=0x54, payload_type=96), FAR, 50.08)
    events = events_of(made)
    assert [item.digit for item in events if isinstance(item, DigitReceived)] == ["7"]
    assert made.frames_in == [b"\1" * 160, *(alaw_to_ulaw(octet * 160) for octet in (b"\x55", b"\x54"))]


def test_digits_come_by_the_number_agreed_on_last_and_the_one_before() -> None:
    made = session(event_payload_type=96)
    for step, (kind, code) in enumerate([(96, 1), (101, 2)]):
        made.receive_datagram(event(step, 800 * step, code, 160, payload_type=kind), FAR, step * 0.3)
    made.agree(agreement(event_payload_type=100))
    for step, (kind, code) in enumerate([(96, 3), (100, 4), (97, 5)], 2):
        made.receive_datagram(event(step, 800 * step, code, 160, payload_type=kind), FAR, step * 0.3)
    made.agree(agreement(event_payload_type=None))
    made.receive_datagram(event(5, 5000, 6, 160, payload_type=100), FAR, 1.6)
    made.agree(agreement(event_payload_type=98))
    made.receive_datagram(event(6, 6000, 7, 160, payload_type=98), FAR, 1.9)
    assert [item.digit for item in events_of(made) if isinstance(item, DigitReceived)] == ["1", "2", "3", "4", "7"]


def test_reports_of_the_far_end_are_a_sign_of_life() -> None:
    made = session()
    made.receive_datagram(build_compound((ReceiverReport(9, ()),)), (FAR[0], FAR[1] + 1), 7.0)
    assert made.heard_at == 7.0
    made.receive_datagram(b"\x80", FAR, 8.0)
    made.receive_datagram(audio(1), ("192.0.2.99", 4000), 9.0)
    assert made.heard_at == 7.0


def test_a_flush_reports_the_silence_up_to_now() -> None:
    made, _ = started()
    made.receive_datagram(audio(1, fill=1), FAR, 50.02)
    made.flush(51.02)
    assert heard(made) == b"\1" * 160 + SILENCE * 8000


def test_reports_every_five_seconds() -> None:
    made, clock = started()
    made.play(bytes(160 * 10))
    for number in (1, 2, 4, 5, 6, 7):
        made.receive_datagram(audio(number), FAR, clock.now)
    made.receive_datagram(build_compound((SenderReport(9, 0x1_8000_0000, 0, 1, 1),)), (FAR[0], FAR[1] + 1), 53.0)
    clock.run(10.5)
    assert [at for at, _ in clock.reports] == pytest.approx([55.0, 60.0])
    first, second = (parse_compound(data)[0] for _, data in clock.reports)
    assert isinstance(first, SenderReport)
    assert isinstance(second, SenderReport)
    assert (first.ssrc, first.packets, first.octets, first.rtp_timestamp) == (5, 251, 251 * 160, (2**32 - 320 + 250 * 160) & 0xFFFFFFFF)
    (block,) = first.blocks
    assert (block.ssrc, block.packets_lost, block.last_sr, block.delay_since_last_sr) == (9, 1, 0x0001_8000, 2 * 65_536)


def test_reports_catch_up_once_after_a_pause() -> None:
    made, clock = started()
    made.handle_timer(72.0)
    assert sum(is_rtcp(data) for data, _ in made.datagrams_to_send()) == 1
    clock.now = 72.0
    clock.run(3.5)
    assert len(clock.reports) == 1
