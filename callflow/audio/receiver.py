"""The receiving half of an audio session: packets in, frames and digits out.

Packets are put into sequence order (`reorder`); then telephone events become digits (`dtmf`), and audio becomes a continuous
sequence of frames (`frames`). Both codecs are understood at any time, as packets of the old one may come after a change. A number
that stands for both, one after the other, means what was agreed on last.
"""

from __future__ import annotations

from collections.abc import Callable

from callflow.audio.agreement import Agreement, Codec
from callflow.audio.dtmf import DigitDetector
from callflow.audio.events import AudioEvent, DigitReceived
from callflow.audio.frames import FrameAssembler
from callflow.audio.reorder import ReorderBuffer
from callflow.audio.taps import Taps
from mediarelay.rtp.g711 import alaw_to_ulaw
from mediarelay.rtp.packet import RtpPacket
from mediarelay.rtp.stats import ReceiveStats
from mediarelay.rtp.telephone_event import TelephoneEvent

FILL_SECONDS = 0.1
"""How often silence that is certain is looked for: it is seconds old by then."""
OWN_EVENT_TYPE = 101
"""The payload type that our own offers name for telephone events: who answers one may send by it, whatever the answer names."""
_OWN: dict[int, Codec | None] = {OWN_EVENT_TYPE: None, **{codec.value: codec for codec in Codec}}
"""What our own offers say of each number: a codec, or None for telephone events."""


class Receiver:
    """What came from the far end; `tell` gets its events."""

    def __init__(self, agreement: Agreement, tell: Callable[[AudioEvent], None]) -> None:
        self.stats = ReceiveStats()
        self.taps = Taps()
        """Hear the caller's audio."""
        self._tell = tell
        self._kinds: dict[int, Codec | None] = {}
        self._agreed: dict[int, Codec | None] = {}
        self._before: dict[int, Codec | None] = {}
        self._reorder = ReorderBuffer()
        self._assembler = FrameAssembler()
        self._detector = DigitDetector()
        self._fill_at = 0.0
        """When silence that is certain is looked for again."""
        self.expect(agreement)

    def expect(self, agreement: Agreement) -> None:
        """Take packets by the numbers of an agreement from now on, and by those before it, as packets may be on their way."""
        events = agreement.event_payload_type
        agreed = {agreement.payload_type: agreement.codec, **({} if events is None else {events: None})}
        if agreed != self._agreed:
            self._before, self._agreed = self._agreed, agreed
        kinds = {**_OWN, **self._before, **agreed}
        self._kinds = {number: kind for number, kind in kinds.items() if kind is not None or events is not None}

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
        if now >= self._fill_at:
            self._fill_at = now + FILL_SECONDS
            self._report(self._assembler.fill(now))

    def _on_ordered(self, packet: RtpPacket, now: float) -> None:
        if packet.payload_type not in self._kinds:
            return
        codec = self._kinds[packet.payload_type]
        if codec is None:
            self._on_telephone_event(packet, now)
        else:
            ulaw = packet.payload if codec is Codec.PCMU else alaw_to_ulaw(packet.payload)
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
            self.taps(frame)
