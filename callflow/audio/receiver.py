"""The receiving half of an audio session: packets in, frames and digits out.

Packets are put into sequence order (`reorder`); then telephone events become digits (`dtmf`), and audio becomes a continuous
sequence of frames (`frames`). Both codecs are understood at any time, as packets of the old one may come after a change.
"""

from __future__ import annotations

from collections.abc import Callable

from callflow.audio.agreement import Codec
from callflow.audio.dtmf import DigitDetector
from callflow.audio.events import AudioEvent, AudioReceived, DigitReceived
from callflow.audio.frames import FrameAssembler
from callflow.audio.reorder import ReorderBuffer
from mediarelay.rtp.g711 import alaw_to_ulaw
from mediarelay.rtp.packet import RtpPacket
from mediarelay.rtp.stats import ReceiveStats
from mediarelay.rtp.telephone_event import TelephoneEvent

OWN_EVENT_TYPE = 101
"""The payload type that our own offers name for telephone events: who answers one may send by it, whatever the answer names."""


class Receiver:
    """What came from the far end; `tell` gets its events."""

    def __init__(self, event_payload_type: int | None, tell: Callable[[AudioEvent], None]) -> None:
        self.stats = ReceiveStats()
        self._tell = tell
        self._event_types: tuple[int, ...] = ()
        self._reorder = ReorderBuffer()
        self._assembler = FrameAssembler()
        self._detector = DigitDetector()
        self.expect_events(event_payload_type)

    def expect_events(self, payload_type: int | None) -> None:
        """Take telephone events by this payload type from now on, and by the one before it, as packets may be on their way."""
        if payload_type is None:
            self._event_types = ()
        elif payload_type not in self._event_types[:1]:
            self._event_types = (payload_type, *self._event_types[:1], OWN_EVENT_TYPE)

    def start(self, now: float) -> None:
        """Count the time from now on: what does not come is silence."""
        self._assembler.start(now)

    def receive(self, packet: RtpPacket, now: float) -> None:
        """Take a packet."""
        self.stats.update(packet.ssrc, packet.sequence, packet.timestamp, now)
        for ordered in self._reorder.push(packet, now):
            self._on_ordered(ordered, now)

    def flush(self, now: float) -> None:
        """Report the silence up to now: what follows is heard from now on."""
        self._report(self._assembler.flush(now))

    def get_timer(self) -> float | None:
        """Return when the wait for a missing packet ends, or None."""
        return self._reorder.get_timer()

    def handle_timer(self, now: float) -> None:
        """Take missing packets as lost, and what has not come for long as silence."""
        for packet in self._reorder.handle_timer(now):
            self._on_ordered(packet, now)
        self._report(self._assembler.fill(now))

    def _on_ordered(self, packet: RtpPacket, now: float) -> None:
        if packet.payload_type in self._event_types:
            self._on_telephone_event(packet, now)
        elif packet.payload_type in (Codec.PCMU.value, Codec.PCMA.value):
            ulaw = packet.payload if packet.payload_type == Codec.PCMU.value else alaw_to_ulaw(packet.payload)
            self._report(self._assembler.push(packet.ssrc, packet.timestamp, ulaw, now, marker=packet.marker))

    def _on_telephone_event(self, packet: RtpPacket, now: float) -> None:
        try:
            event = TelephoneEvent.parse(packet.payload)
        except ValueError:
            return
        digit = self._detector.receive(packet.timestamp, event, now, marker=packet.marker)
        if digit is not None:
            self._tell(DigitReceived(digit))

    def _report(self, frames: list[bytes]) -> None:
        for frame in frames:
            self._tell(AudioReceived(frame))
