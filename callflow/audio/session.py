"""One RTP audio stream of a call, in both directions: for the voice engine and for the phone.

The session is the face of three parts: `sender` (one packet for each 20 ms, silence where nothing is said), `receiver` (frames
and digits of what comes) and `rtcp_reports`. All audio inside is µ-law; A-law is converted on receipt and before sending. RTCP
uses the port above the media's; the shell tells the two kinds apart by `is_rtcp`.

A new agreement (`agree`) changes what it names and nothing else: what plays goes on, and so do digits and recordings.
"""

from __future__ import annotations

from collections import deque

from callflow.audio.agreement import Agreement
from callflow.audio.events import AudioEvent
from callflow.audio.flow import Flow
from callflow.audio.live import LiveAudio
from callflow.audio.octets import Octets
from callflow.audio.receiver import Receiver
from callflow.audio.rtcp_reports import Reporter
from callflow.audio.sender import Sender
from callflow.audio.taps import Taps
from callflow.secure.srtp import SecureChannel
from daemonkit.address import Address
from mediarelay.rtp import packet
from mediarelay.rtp.packet import Kind, RtpPacket, classify


class AudioSession:
    """The audio of one call."""

    def __init__(self, agreement: Agreement, *, ssrc: int, sequence: int, timestamp: int) -> None:
        self._events: deque[AudioEvent] = deque()
        self._sender = Sender(agreement, self._events.append, ssrc=ssrc, sequence=sequence, timestamp=timestamp)
        self._receiver = Receiver(agreement, self._events.append)
        self._reporter = Reporter(ssrc, self._receiver.stats)
        self._source_host = agreement.remote[0] if agreement.remote else None
        self.heard_at: float | None = None
        """When the last RTP or RTCP came."""
        self.octets_received = 0
        """Of RTP, as it came."""
        self._flow = Flow()
        self._refused = 0
        """By channels that the call no longer has."""
        self._secure = SecureChannel(agreement.keys) if agreement.keys else None

    @property
    def agreement(self) -> Agreement:
        """What it follows."""
        return self._sender.agreement

    @property
    def inbound(self) -> Taps:
        """Who hears the far end."""
        return self._receiver.taps

    @property
    def outbound(self) -> Taps:
        """Who hears what the far end hears."""
        return self._sender.taps

    @property
    def packets_sent(self) -> int:
        """RTP packets sent."""
        return self._sender.packets

    @property
    def packets_received(self) -> int:
        """RTP packets received, events included."""
        return self._receiver.stats.received

    @property
    def refused(self) -> int:
        """Packets that were forged, damaged or replayed; 0 where nothing is encrypted."""
        return self._refused + (self._secure.refused if self._secure else 0)

    @property
    def lost(self) -> int:
        """RTP packets that the far end sent and we did not receive."""
        return self._receiver.stats.lost

    @property
    def jitter_ms(self) -> float:
        """The interarrival jitter of RFC 3550 in milliseconds."""
        return self._receiver.stats.jitter_ms

    @property
    def rtt_ms(self) -> float | None:
        """The round trip to the far end in milliseconds, where its RTCP tells."""
        return self._reporter.rtt_ms

    @property
    def source_changes(self) -> int:
        """How often the far end's audio went on under another SSRC."""
        return self._receiver.stats.ssrc_changes

    # Commands.

    def start(self, now: float, first_slot: float | None = None) -> None:
        """Start the clock of both directions, and sending, with the first slot if that is not now. A second start changes nothing."""
        if not self._sender.started:
            self._sender.start(now if first_slot is None else first_slot)
            self._receiver.start(now)
            self._reporter.start(now)

    def agree(self, agreement: Agreement) -> None:
        """Follow another agreement of offer and answer."""
        self._sender.agreement = agreement
        self._receiver.expect(agreement)
        if agreement.remote:
            self._source_host = agreement.remote[0]
        if agreement.keys is None:
            self._refused, self._secure = self.refused, None
        elif self._secure is None:
            self._secure = SecureChannel(agreement.keys)
        else:
            self._secure.agree(agreement.keys)

    def join(self, speaker: LiveAudio) -> None:
        """Have a live speaker heard from now on."""
        self._sender.live.append(speaker)

    def leave(self, speaker: LiveAudio) -> None:
        """Have a live speaker heard no longer; one that was not is ignored."""
        self._sender.live = [other for other in self._sender.live if other is not speaker]

    def play(self, ulaw: Octets) -> int:
        """Queue µ-law audio and return the number that `PlaybackFinished` will carry."""
        return self._sender.play(ulaw)

    def stop_playing(self) -> None:
        """Drop what is queued, digits too; no `PlaybackFinished` is fired for it."""
        self._sender.stop_playing()

    def send_digits(self, digits: str, *, duration_ms: int = 100, gap_ms: int = 80) -> int:
        """Queue digits and return the number that `PlaybackFinished` will carry; raises ValueError for other characters.

        `,` and `w` wait for half a second, `W` for one.
        """
        return self._sender.send_digits(digits, duration_ms, gap_ms)

    def flush(self, now: float) -> None:
        """Have taps hear all silence up to now, as a recording begins or ends."""
        self._receiver.flush(now)

    # Datagrams, timer and events.

    def receive_datagram(self, data: bytes, addr: Address, now: float) -> None:
        """Take an RTP or RTCP datagram; what is malformed, from another host or not the peer's is dropped."""
        if addr[0] != self._source_host:
            return
        octets = len(data)
        reports = packet.is_rtcp(data, octets)
        # Not `contextlib.suppress`: this runs for each packet.
        try:
            if self._secure is not None:
                data = self._secure.open(data, is_rtcp=reports)
            if reports:
                # A report of a kind that we do not read is a sign of life all the same.
                self.heard_at = now
                self._reporter.receive(data, now)
                return
            self._receiver.receive(RtpPacket.parse(data), now)
        except ValueError:
            return
        self.heard_at = now
        self.octets_received += octets
        self._flow.receive(now)

    @property
    def lacks_packets(self) -> bool:
        """True while packets wait for one that is missing."""
        return self._receiver.get_timer() is not None

    def heard_until(self, now: float) -> float:
        """Return when a steady stream of the far end broke off; now, if it goes on, or was none."""
        return self._flow.broke_off(now)

    def datagrams_to_send(self) -> list[tuple[bytes, Address]]:
        """Return the datagrams to be sent, each with its target, and forget them."""
        outbox, self._sender.outbox = self._sender.outbox, []
        secure = self._secure
        return [(secure.seal(data, is_rtcp=is_rtcp(data)), to) for data, to in outbox] if secure else outbox

    def get_timer(self) -> float | None:
        """Return when `handle_timer` is due, or None."""
        times = (self._sender.get_timer(), self._receiver.get_timer(), self._reporter.due_at)
        return min((at for at in times if at is not None), default=None)

    def handle_timer(self, now: float) -> None:
        """Send the slots that are due, take missing packets as lost, and send RTCP every five seconds."""
        self._sender.handle_timer(now)
        self._receiver.handle_timer(now)
        if self._reporter.due_at is not None and self._reporter.due_at <= now:
            self._send_report(now)

    def _send_report(self, now: float) -> None:
        report = self._reporter.handle_timer(now, self._sender.timestamp_at(now), self._sender.packets, self._sender.octets)
        remote = self.agreement.remote
        if report is not None and remote is not None:
            self._sender.outbox.append((report, (remote[0], remote[1] + 1)))

    @property
    def has_events(self) -> bool:
        """True if `next_event` has one."""
        return bool(self._events)

    def next_event(self) -> AudioEvent | None:
        """Return the next event, or None."""
        return self._events.popleft() if self._events else None


def is_rtp(data: bytes) -> bool:
    """Return whether a datagram is RTP."""
    return classify(data, len(data)) is Kind.RTP


def is_rtcp(data: bytes) -> bool:
    """Return whether a datagram is RTCP, which has a socket of its own."""
    return packet.is_rtcp(data, len(data))
