"""One RTP audio stream of a call, in both directions: for the voice engine and for the phone.

Theory of operation. Sending is paced by a clock of 20 ms slots: slot n begins at `start + n * 0.020` and has the RTP
timestamp `timestamp + n * 160`, so pacing does not drift, and the timestamp grows during silence although nothing is sent.
A slot carries an event packet while digits are sent, otherwise the next frame that `play` queued, otherwise nothing. A
late wake-up sends the slots that it missed, at most ten; earlier ones are skipped, and the audio is delayed.

Receiving has three parts: packets are put into sequence order (`reorder`), events become digits (`dtmf`), and audio becomes
a continuous sequence of frames (`frames`). All audio inside is µ-law; A-law is converted on receipt and before sending.
RTCP uses the port above the media's; the shell tells the two kinds apart by `is_rtcp`.
"""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from enum import Enum

from callflow.audio.dtmf import DigitDetector, plan_digits
from callflow.audio.events import AudioEvent, AudioReceived, DigitReceived, DigitsSent, PlaybackFinished
from callflow.audio.frames import FRAME_OCTETS, FrameAssembler
from callflow.audio.reorder import ReorderBuffer
from callflow.audio.rtcp_reports import Reporter
from daemonkit.address import Address
from mediarelay.rtp.g711 import ULAW_SILENCE, alaw_to_ulaw, ulaw_to_alaw
from mediarelay.rtp.packet import Kind, RtpPacket, classify
from mediarelay.rtp.stats import ReceiveStats
from mediarelay.rtp.telephone_event import EventStep, TelephoneEvent

FRAME_SECONDS = 0.020
MAX_CATCH_UP = 10
"""Slots that one wake-up may send."""
UNSPECIFIED = "0.0.0.0"  # noqa: S104  # the address by which SDP says hold; nothing binds it


class Codec(Enum):
    """The codecs; the value is the static payload type."""

    PCMU = 0
    PCMA = 8


class AudioSession:
    """The audio of one call; `event_payload_type` is None if the far end takes no telephone events."""

    def __init__(self, *, codec: Codec, event_payload_type: int | None, remote: Address, ssrc: int, sequence: int, timestamp: int) -> None:
        self._codec = codec
        self._event_payload_type = event_payload_type
        # Sending
        self._remote = remote
        self._ssrc = ssrc
        self._sequence = sequence
        self._timestamp = timestamp
        self._started_at: float | None = None
        self._slot = 0
        self._talking = False
        self._plays: deque[tuple[int, bytes, int]] = deque()
        self._next_play = 1
        self._event_slots: deque[EventStep | None] = deque()
        self._event_timestamp = 0
        self._outbox: list[tuple[bytes, Address]] = []
        # Receiving
        self._source_host = remote[0]
        self._reorder = ReorderBuffer()
        self._assembler = FrameAssembler()
        self._detector = DigitDetector()
        self._stats = ReceiveStats()
        self._reporter = Reporter(ssrc, self._stats)
        self._events: deque[AudioEvent] = deque()
        # Counting
        self.packets_sent = 0
        self.octets_sent = 0
        self.last_packet_at: float | None = None

    @property
    def packets_received(self) -> int:
        """RTP packets received, events included."""
        return self._stats.received

    @property
    def lost(self) -> int:
        """RTP packets that the far end sent and we did not receive."""
        return self._stats.lost

    @property
    def jitter_ms(self) -> float:
        """The interarrival jitter of RFC 3550 in milliseconds."""
        return self._stats.jitter_ms

    def start(self, now: float) -> None:
        """Start the clock of sending: slot 0 is now. A second start changes nothing."""
        if self._started_at is None:
            self._started_at = now
            self._reporter.start(now)

    def play(self, ulaw: bytes) -> int:
        """Queue µ-law audio and return the number that `PlaybackFinished` will carry."""
        number = self._next_play
        self._next_play += 1
        self._plays.append((number, ulaw, 0))
        return number

    def stop_playing(self) -> None:
        """Drop what is queued; no `PlaybackFinished` is fired for it."""
        self._plays.clear()

    def send_digits(self, digits: str, *, duration_ms: int = 100, gap_ms: int = 80) -> None:
        """Queue digits; `,` waits for 500 ms. Raises ValueError for other characters, and if telephone events are not agreed on."""
        if self._event_payload_type is None:
            raise ValueError("The far end takes no telephone events.")
        slots = plan_digits(digits, duration_ms, gap_ms)
        if not slots:
            self._events.append(DigitsSent())
        self._event_slots.extend(slots)

    def retarget(self, remote: Address) -> None:
        """Send to another address from now on; to 0.0.0.0 nothing is sent."""
        self._remote = remote
        if remote[0] != UNSPECIFIED:
            self._source_host = remote[0]

    def receive_datagram(self, data: bytes, addr: Address, now: float) -> None:
        """Take an RTP or RTCP datagram; what is malformed or from another host is dropped."""
        if addr[0] != self._source_host:
            return
        with suppress(ValueError):
            if is_rtcp(data):
                self._reporter.receive(data, now)
            else:
                self._receive_rtp(RtpPacket.parse(data), now)

    def datagrams_to_send(self) -> list[tuple[bytes, Address]]:
        """Return the datagrams to be sent, each with its target, and forget them."""
        outbox, self._outbox = self._outbox, []
        return outbox

    def get_timer(self) -> float | None:
        """Return when `handle_timer` is due, or None."""
        times = [self._reorder.get_timer(), self._reporter.due_at]
        if self._started_at is not None and (self._plays or self._event_slots):
            times.append(self._slot_time(self._started_at, self._slot))
        return min((at for at in times if at is not None), default=None)

    def handle_timer(self, now: float) -> None:
        """Send the slots that are due, take missing packets as lost, and send RTCP every five seconds."""
        if self._started_at is not None:
            self._send_slots(self._started_at, now)
        for packet in self._reorder.handle_timer(now):
            self._on_ordered(packet, now)
        report = self._reporter.handle_timer(now, self._timestamp_at(now), self.packets_sent, self.octets_sent)
        if report is not None and self._remote[0] != UNSPECIFIED:
            self._outbox.append((report, (self._remote[0], self._remote[1] + 1)))

    def next_event(self) -> AudioEvent | None:
        """Return the next event, or None."""
        return self._events.popleft() if self._events else None

    def _receive_rtp(self, packet: RtpPacket, now: float) -> None:
        self.last_packet_at = now
        self._stats.update(packet.ssrc, packet.sequence, packet.timestamp, now)
        for ordered in self._reorder.push(packet, now):
            self._on_ordered(ordered, now)

    def _on_ordered(self, packet: RtpPacket, now: float) -> None:
        if packet.payload_type == self._event_payload_type:
            self._on_telephone_event(packet)
        elif packet.payload_type in (Codec.PCMU.value, Codec.PCMA.value):
            ulaw = packet.payload if packet.payload_type == Codec.PCMU.value else alaw_to_ulaw(packet.payload)
            frames = self._assembler.push(packet.ssrc, packet.timestamp, ulaw, now)
            self._events.extend(AudioReceived(frame) for frame in frames)

    def _on_telephone_event(self, packet: RtpPacket) -> None:
        try:
            event = TelephoneEvent.parse(packet.payload)
        except ValueError:
            return
        digit = self._detector.receive(packet.timestamp, event)
        if digit is not None:
            self._events.append(DigitReceived(digit))

    def _send_slots(self, start: float, now: float) -> None:
        current = self._slot_at(start, now)
        if not self._talking or current - self._slot >= MAX_CATCH_UP:
            late = MAX_CATCH_UP - 1 if self._talking else 0
            self._slot = max(self._slot, current - late)
        while self._slot <= current and (self._plays or self._event_slots):
            if self._event_slots:
                self._send_event(self._event_slots.popleft())
            else:
                self._send_frame()
            self._slot += 1
        self._talking = bool(self._plays or self._event_slots)

    def _send_event(self, step: EventStep | None) -> None:
        if step is not None and self._event_payload_type is not None:
            if step.frame == 0:
                self._event_timestamp = self._slot_timestamp(self._slot)
            self._write(self._event_payload_type, self._event_timestamp, bytes(step.event), marker=step.marker)
        if not self._event_slots:
            self._events.append(DigitsSent())

    def _send_frame(self) -> None:
        number, ulaw, at = self._plays.popleft()
        frame = ulaw[at : at + FRAME_OCTETS]
        if frame:
            frame = frame.ljust(FRAME_OCTETS, bytes((ULAW_SILENCE,)))
            payload = frame if self._codec is Codec.PCMU else ulaw_to_alaw(frame)
            self._write(self._codec.value, self._slot_timestamp(self._slot), payload, marker=not self._talking)
            self._talking = True
        if at + FRAME_OCTETS < len(ulaw):
            self._plays.appendleft((number, ulaw, at + FRAME_OCTETS))
        else:
            self._events.append(PlaybackFinished(number))

    def _slot_at(self, start: float, now: float) -> int:
        """Return the current slot, also at the very time at which it begins, whatever the rounding."""
        slot = int((now - start) / FRAME_SECONDS)
        return slot + 1 if self._slot_time(start, slot + 1) <= now else slot

    def _slot_time(self, start: float, slot: int) -> float:
        return start + slot * FRAME_SECONDS

    def _slot_timestamp(self, slot: int) -> int:
        return (self._timestamp + slot * FRAME_OCTETS) & 0xFFFF_FFFF

    def _timestamp_at(self, now: float) -> int:
        return self._slot_timestamp(self._slot_at(self._started_at, now)) if self._started_at is not None else self._timestamp

    def _write(self, payload_type: int, timestamp: int, payload: bytes, *, marker: bool) -> None:
        if self._remote[0] == UNSPECIFIED:
            return
        packet = RtpPacket(payload_type, self._sequence, timestamp, self._ssrc, payload, marker)
        self._sequence = (self._sequence + 1) & 0xFFFF
        self.packets_sent += 1
        self.octets_sent += len(payload)
        self._outbox.append((bytes(packet), self._remote))


def is_rtcp(data: bytes) -> bool:
    """Return whether a datagram is RTCP, which has a socket of its own."""
    return classify(data, len(data)) is Kind.RTCP
