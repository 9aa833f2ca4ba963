"""The reports of daemons, as immutable values.

All times are seconds since the epoch. A report about a call carries the call's facts, so that the order in which two
daemons' batches arrive does not matter: the first one creates the row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from voiceapps.rules.admission import Reason, RuleResult
from voiceapps.rules.bans import BanReason
from voiceapps.rules.endings import EndReason
from voiceapps.rules.media_figures import MediaFigures
from voiceapps.rules.transcripts import Clip

Role = Literal["worker", "webhooks", "sipproxy", "mediarelay", "callflow", "sipdns"]


@dataclass(frozen=True, slots=True)
class CallFacts:
    """What is known of a call from its first INVITE on."""

    call_id: str
    application_id: str
    account_id: str
    sip_call_id: str
    from_uri: str
    to_uri: str
    source_ip: str
    source_port: int
    country: str | None
    started_at: float


@dataclass(frozen=True, slots=True)
class CallAdmitted:
    """The proxy admitted a call."""

    call: CallFacts
    node: str
    trace: tuple[RuleResult, ...] = ()
    """What each rule of admission expected and saw."""


@dataclass(frozen=True, slots=True)
class CallForwarded:
    """The proxy sent a call to a call-flow node."""

    call_id: str
    node: str
    boot: str


@dataclass(frozen=True, slots=True)
class CallAnswered:
    """The caller's ACK arrived, from which the duration is counted."""

    call: CallFacts
    node: str
    """The call-flow node; with a static target the proxy, as the target is no node of ours."""
    at: float


@dataclass(frozen=True, slots=True)
class CallEnded:
    """A call has ended; the first report for a call id wins."""

    call: CallFacts
    node: str
    at: float
    reason: EndReason
    answered_at: float | None
    sip_status: int | None
    error_message: str | None
    error_id: str | None
    tag: str | None


@dataclass(frozen=True, slots=True)
class CallHungUp:
    """A BYE ended a call at a static target, which the proxy knows only by its id: another one admitted it, or an earlier boot."""

    call_id: str
    node: str
    at: float
    reason: EndReason


@dataclass(frozen=True, slots=True)
class LadderMessage:
    """One SIP message of a call as the proxy saw it, with digest responses masked."""

    call_id: str
    at: float
    leg: Literal["caller", "callflow"]
    source: str
    destination: str
    first_line: str
    text: str
    transport: Literal["UDP", "TCP", "TLS"] = "UDP"


@dataclass(frozen=True, slots=True)
class MediaReport:
    """The figures of one side of a relayed call; a later report replaces an earlier one."""

    call_id: str
    node: str
    at: float
    figures: MediaFigures
    final: bool


@dataclass(frozen=True, slots=True)
class MediaNotice:
    """Something that the relay noticed about a call's media, shown among the call's SIP messages."""

    call_id: str
    at: float
    leg: Literal["external", "internal"]
    """The side that it is about."""
    source: str
    """`address:port` of the media's source, as far as known."""
    destination: str
    """`address:port` of the relay on that side."""
    text: str
    """One sentence."""


@dataclass(frozen=True, slots=True)
class CallNotice:
    """Something that the call flow noticed about a call's documents, shown among the call's SIP messages."""

    call_id: str
    at: float
    text: str
    """One sentence."""


@dataclass(frozen=True, slots=True)
class RefusalSeen:
    """The refused attempts within one second that share application, source and reason."""

    application_id: str | None
    source_ip: str
    """Empty for further sources, where too many call at once to name each."""
    reason: Reason
    status: int
    count: int
    first_at: float
    last_at: float
    country: str | None
    request_user: str
    sip_call_id: str
    user_agent: str
    trace: tuple[RuleResult, ...]


@dataclass(frozen=True, slots=True)
class SourceBanned:
    """A proxy bans a source until a moment."""

    source_ip: str
    reason: BanReason
    node: str
    at: float
    until: float


@dataclass(frozen=True, slots=True)
class WebhookFetched:
    """A webhook whose answer the call waited for, with the answer."""

    call: CallFacts
    event_type: str
    at: float
    url: str
    method: str
    request_body: str
    status: int | None
    response_body: str
    latency_ms: int
    error: str | None


@dataclass(frozen=True, slots=True)
class StatusEventQueued:
    """A webhook to a URL in BXML whose answer the call does not wait for; it goes through the outbox."""

    call: CallFacts
    event_type: str
    at: float
    url: str
    method: str
    username: str
    password: str
    body: Mapping[str, object]
    hidden: Mapping[str, object] = field(default_factory=dict)
    """What is sent in the place of what the body masks."""


@dataclass(frozen=True, slots=True)
class RecordingBegun:
    """A recording's file is being written."""

    call: CallFacts
    recording_id: str
    path: str
    started_at: float
    channels: int
    file_format: str
    name: str
    """What its verb calls it."""


@dataclass(frozen=True, slots=True)
class RecordingStored:
    """A recording's file is complete."""

    call: CallFacts
    recording_id: str
    path: str
    started_at: float
    ended_at: float
    duration_ms: int
    channels: int
    file_format: str
    name: str = ""
    """What its verb calls it."""


@dataclass(frozen=True, slots=True)
class TranscriptionWanted:
    """A recording, whose file is complete, is to be written down."""

    call: CallFacts
    recording_id: str
    transcription_id: str
    at: float
    url: str
    """Hears what came of it; empty if nobody does."""
    method: str
    username: str
    password: str
    tag: str


@dataclass(frozen=True, slots=True)
class TranscriptKept:
    """What `<StartTranscription>` has written down is complete."""

    call: CallFacts
    transcription_id: str
    name: str
    at: float
    tracks: tuple[str, ...]
    language: str
    clips: tuple[Clip, ...]
    """A clip's speaker is the index of its track."""


@dataclass(frozen=True, slots=True)
class NodeBeat:
    """A heartbeat of a process."""

    role: Role
    name: str
    at: float
    state: Literal["up", "draining", "down"]
    public_address: str
    internal_address: str
    load: int
    metrics_address: str
    transports: str = ""
    """The external transports of a proxy: `udp:6160,tcp:6160`."""
    boot: str = ""
    """The present life of the process."""
    ports_used: int = 0
    ports_total: int = 0
    """Pairs of media ports of a relay, on the side that has fewer left."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Who numbers reports: one boot of a node, each lane by itself."""

    node: str
    boot: str
    lane: Literal["calls", "traces"]


Report = (
    CallAdmitted
    | CallForwarded
    | CallAnswered
    | CallEnded
    | CallHungUp
    | LadderMessage
    | MediaReport
    | MediaNotice
    | CallNotice
    | RefusalSeen
    | SourceBanned
    | WebhookFetched
    | StatusEventQueued
    | RecordingBegun
    | RecordingStored
    | TranscriptionWanted
    | TranscriptKept
    | NodeBeat
)


@dataclass(frozen=True, slots=True)
class Batch:
    """Reports of one origin, numbered without a gap; those without an origin have no numbers."""

    reports: tuple[Report, ...]
    origin: Origin | None = None
    first: int = 0
    """The number of the first report."""

    def halves(self) -> tuple[Batch, Batch]:
        """Return the two halves of the batch."""
        middle = len(self.reports) // 2
        there = Batch(self.reports[:middle], self.origin, self.first)
        return there, Batch(self.reports[middle:], self.origin, self.first + middle)
