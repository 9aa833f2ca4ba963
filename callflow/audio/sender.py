"""The sending half of an audio session: one RTP packet for each 20 ms.

Theory of operation. Slot n begins at `start + n * 0.020` and has the RTP timestamp `timestamp + n * 160`, so pacing does not
drift. A slot carries an event packet while digits are sent, else the next frame that `play` queued, else silence: telephones
and border controllers hang up on a call from which nothing comes for about half a minute. After a late wake-up at most ten
slots of queued audio are sent at once; earlier slots are skipped, and the audio is delayed. Missed silence is never made up for.
Live speakers are heard where nothing else is sent, all of them mixed.

A new agreement changes codec, payload type and address from the next slot on. What is queued stays queued, and sequence
numbers and timestamps continue.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from functools import reduce

from callflow.audio.agreement import Agreement, Codec
from callflow.audio.dtmf import cut_short, plan_digits
from callflow.audio.events import AudioEvent, PlaybackFinished
from callflow.audio.frames import FRAME_OCTETS, SILENCE_FRAME
from callflow.audio.live import LiveAudio
from callflow.audio.octets import Octets, is_complete
from callflow.audio.taps import Taps
from callflow.audio.tones import DigitTones
from daemonkit.address import Address
from mediarelay.rtp.g711 import ULAW_SILENCE, add_pcm16, pcm16_to_ulaw, ulaw_to_alaw, ulaw_to_pcm16
from mediarelay.rtp.packet import plain_packet
from mediarelay.rtp.telephone_event import EventStep

FRAME_SECONDS = 0.020
MAX_CATCH_UP = 10
"""Slots that one wake-up may send."""
MAX_SKIPPED = 3_000
"""The longest silence that taps hear for slots which nobody sent, as the process stood still: a minute."""
READ_OCTETS = 25 * FRAME_OCTETS
"""Half a second of a sound, which is read at once: it may lie in a file."""
_SILENT_OCTET = bytes((ULAW_SILENCE,))
_SILENCE = {Codec.PCMU: SILENCE_FRAME, Codec.PCMA: ulaw_to_alaw(SILENCE_FRAME)}


class Playback:
    """One sound, and how much of it has been played."""

    def __init__(self, number: int, ulaw: Octets) -> None:
        self.number = number
        self._at = 0
        self._end: int | None = len(ulaw) if is_complete(ulaw) else None
        """None while the sound still grows."""
        self._part = b""
        self._part_at = 0
        self._ulaw = ulaw

    @property
    def is_over(self) -> bool:
        """True if all of it has been played."""
        if self._end is None and is_complete(self._ulaw):
            self._end = len(self._ulaw)
        return self._end is not None and self._at >= self._end

    def take(self) -> bytes | None:
        """Return the next frame, the last one filled up with silence; None if it is not there yet."""
        at = self._at - self._part_at
        frame = self._part[at : at + FRAME_OCTETS]
        if len(frame) < FRAME_OCTETS:
            self._part, self._part_at = self._ulaw[self._at : self._at + READ_OCTETS], self._at
            frame = self._part[:FRAME_OCTETS]
            if len(frame) < FRAME_OCTETS:
                if not is_complete(self._ulaw):
                    return None
                frame = frame.ljust(FRAME_OCTETS, _SILENT_OCTET)
        self._at += FRAME_OCTETS
        return frame


class Sender:
    """The slots of one session; `tell` gets its events."""

    def __init__(self, agreement: Agreement, tell: Callable[[AudioEvent], None], *, ssrc: int, sequence: int, timestamp: int) -> None:
        self.agreement = agreement
        self.outbox: list[tuple[bytes, Address]] = []
        self.packets = 0
        self.octets = 0
        self.live: list[LiveAudio] = []
        """Who speaks into the session at present."""
        self.taps = Taps()
        """Hear what each slot carries, skipped ones as silence."""
        self._tell = tell
        self._ssrc = ssrc
        self._sequence = sequence
        self._timestamp = timestamp
        self._started_at: float | None = None
        self._slot = 0
        self._sent_last_slot = False
        self._talking = False
        self._plays: deque[Playback] = deque()
        self._next_play = 1
        self._digits: deque[tuple[int, deque[EventStep | None]]] = deque()
        """What is left of each string of digits, with its number."""
        self._event_timestamp = 0

    @property
    def started(self) -> bool:
        """True once the clock runs."""
        return self._started_at is not None

    def start(self, now: float) -> None:
        """Start the clock: slot 0 is now."""
        self._started_at = now

    def play(self, ulaw: Octets) -> int:
        """Queue µ-law audio and return the number that `PlaybackFinished` will carry."""
        number = self._new_number()
        self._plays.append(Playback(number, ulaw))
        return number

    def stop_playing(self) -> None:
        """Drop what is queued, digits too; no `PlaybackFinished` is fired for it."""
        self._plays.clear()
        left = cut_short(self._digits[0][1]) if self._digits else []
        self._digits.clear()
        if left:
            self._digits.append((self._new_number(), deque(left)))

    def send_digits(self, digits: str, duration_ms: int, gap_ms: int) -> int:
        """Queue digits and return the number that `PlaybackFinished` will carry; raises ValueError for what is no digit.

        They are telephone events where the far end takes those, else tones.
        """
        slots = plan_digits(digits, duration_ms, gap_ms)
        if self.agreement.event_payload_type is None:
            return self.play(DigitTones(digits, duration_ms, gap_ms))
        number = self._new_number()
        if slots:
            self._digits.append((number, deque(slots)))
        else:
            self._tell(PlaybackFinished(number))
        return number

    def get_timer(self) -> float | None:
        """Return when the next slot begins; None before the start."""
        return self._slot_time(self._slot) if self.started else None

    def handle_timer(self, now: float) -> None:
        """Send the slots that are due."""
        if self._started_at is None or now < self._started_at:
            return
        current = self._slot_at(now)
        first = current - MAX_CATCH_UP + 1 if self._talking else current
        if first > self._slot:
            self._skip_to(first)
        while self._slot <= current:
            self._send_slot()
            self._slot += 1
        self._talking = bool(self._plays or self._digits or any(self.live))

    def timestamp_at(self, now: float) -> int:
        """Return the RTP timestamp of a moment."""
        return self._slot_timestamp(self._slot_at(now)) if self.started else self._timestamp

    def _new_number(self) -> int:
        number = self._next_play
        self._next_play += 1
        return number

    def _skip_to(self, slot: int) -> None:
        if self.taps:
            for _ in range(min(slot - self._slot, MAX_SKIPPED)):
                self.taps(SILENCE_FRAME)
        self._slot = slot

    def _send_slot(self) -> None:
        if self._plays and self._plays[0].is_over:
            self._drop_ended()
        if self._digits:
            self._send_event()
        elif self._plays and (frame := self._plays[0].take()) is not None:
            self._send_audio(frame)
            if self._plays[0].is_over:
                self._drop_ended()
            return
        elif self.live and (frame := _mixed(self.live)) is not None:
            self._send_audio(frame)
            return
        else:
            self._write_audio(_SILENCE[self.agreement.codec])
        self.taps(SILENCE_FRAME)

    def _send_event(self) -> None:
        number, slots = self._digits[0]
        step = slots.popleft()
        self._sent_last_slot = False
        kind = self.agreement.event_payload_type
        if step is not None and kind is not None:
            if step.frame == 0:
                self._event_timestamp = self._slot_timestamp(self._slot)
            self._write(kind, self._event_timestamp, bytes(step.event), marker=step.marker)
        if not slots:
            self._digits.popleft()
            self._tell(PlaybackFinished(number))

    def _drop_ended(self) -> None:
        """Leave what has been played, or holds nothing."""
        while self._plays and self._plays[0].is_over:
            self._tell(PlaybackFinished(self._plays.popleft().number))

    def _send_audio(self, frame: bytes) -> None:
        self._write_audio(frame if self.agreement.codec is Codec.PCMU else ulaw_to_alaw(frame))
        self.taps(frame)

    def _write_audio(self, payload: bytes) -> None:
        self._write(self.agreement.payload_type, self._slot_timestamp(self._slot), payload, marker=not self._sent_last_slot)

    def _write(self, payload_type: int, timestamp: int, payload: bytes, *, marker: bool) -> None:
        remote = self.agreement.remote
        if remote is None or not self.agreement.sends:
            self._sent_last_slot = False
            return
        self.outbox.append((plain_packet(payload_type, self._sequence, timestamp, self._ssrc, payload, marker=marker), remote))
        self._sequence = (self._sequence + 1) & 0xFFFF
        self._sent_last_slot = payload_type == self.agreement.payload_type
        self.packets += 1
        self.octets += len(payload)

    def _slot_at(self, now: float) -> int:
        """Return the current slot, also at the very time at which it begins, whatever the rounding."""
        slot = int((now - (self._started_at or 0.0)) / FRAME_SECONDS)
        return slot + 1 if self._slot_time(slot + 1) <= now else slot

    def _slot_time(self, slot: int) -> float:
        return (self._started_at or 0.0) + slot * FRAME_SECONDS

    def _slot_timestamp(self, slot: int) -> int:
        return (self._timestamp + slot * FRAME_OCTETS) & 0xFFFF_FFFF


def _mixed(speakers: Iterable[LiveAudio]) -> bytes | None:
    """Return what live speakers say in one slot, None for silence."""
    frames = [frame for speaker in speakers if (frame := speaker.take()) is not None]
    if len(frames) < 2:
        return frames[0] if frames else None
    return pcm16_to_ulaw(reduce(add_pcm16, map(ulaw_to_pcm16, frames)))
