"""What an engine asks of its shell; each effect names the command that answers it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from callflow.audio.octets import Octets
from callflow.bxml import Webhook
from callflow.bxml.recording import FileFormat, Sides
from callflow.bxml.verbs.streams import StartStream
from callflow.bxml.verbs.transcription import StartTranscription
from callflow.bxml.voices import Voice
from voiceapps.rules.endings import EndReason
from voiceapps.rules.reports import Report


@dataclass(frozen=True, slots=True)
class ApplicationWanted:
    """Look the application up; answered by `application_found`."""

    application_id: str


@dataclass(frozen=True, slots=True)
class FetchDocument:
    """Send a webhook and wait for its document; answered by `document_answered`."""

    number: int
    """Goes into `document_answered`: answers to earlier fetches are ignored."""
    event_type: str
    webhook: Webhook
    """Absolute URL, method and credentials of this one attempt."""
    body: Mapping[str, object]
    recorded: Mapping[str, object]
    """What the record of this attempt shows of the body."""
    timeout_seconds: float


@dataclass(frozen=True, slots=True)
class SpeechWanted:
    """Synthesise a sentence; answered by `sound_ready` or `sound_failed`."""

    number: int
    markup: str
    """SSML without its root element."""
    voice: Voice


@dataclass(frozen=True, slots=True)
class AudioWanted:
    """Fetch and decode a sound file; answered by `sound_ready` or `sound_failed`."""

    number: int
    url: str
    username: str
    password: str
    timeout_seconds: float


@dataclass(frozen=True, slots=True)
class Answer:
    """Answer the call with 200; answered by `acknowledged` when the ACK comes."""


@dataclass(frozen=True, slots=True)
class Alert:
    """Let a caller whose call is not answered hear us, if it may; answered by `early_media_opened` where it does."""


@dataclass(frozen=True, slots=True)
class ProbePeer:
    """Ask the caller by OPTIONS whether it is still there; answered by `peer_answered` or `peer_silent`."""


@dataclass(frozen=True, slots=True)
class ReferCaller:
    """Ask the caller's telephone by REFER to call somebody else; answered by `over` of `referrals.py`."""

    number: int
    target: str
    """A SIP URI."""


@dataclass(frozen=True, slots=True)
class HangUp:
    """End the SIP side: by BYE, or by a final response if the call is unanswered."""

    status: int
    """The final response if the call is unanswered."""
    reason: EndReason


@dataclass(frozen=True, slots=True)
class Play:
    """Send audio; answered by `playback_finished` unless StopPlaying comes first."""

    number: int
    ulaw: Octets


@dataclass(frozen=True, slots=True)
class SendDigits:
    """Send digits; answered by `playback_finished` unless StopPlaying comes first."""

    number: int
    digits: str
    """With pauses in between: `,`, `w` and `W`."""
    tone_ms: int
    interval_ms: int


@dataclass(frozen=True, slots=True)
class StopPlaying:
    """Drop what is still to be sent, digits too."""


@dataclass(frozen=True, slots=True)
class StartRecording:
    """Write a file."""

    recording_id: str
    path: str
    max_seconds: float
    """The file holds no more than this."""
    file_format: FileFormat
    sides: Sides


@dataclass(frozen=True, slots=True)
class PauseRecording:
    """Leave what is said from now on out of the file."""

    recording_id: str


@dataclass(frozen=True, slots=True)
class ResumeRecording:
    """Take what is said into the file again."""

    recording_id: str


@dataclass(frozen=True, slots=True)
class StopRecording:
    """Complete the file; answered by `recording_finished` or `recording_failed`."""

    recording_id: str


@dataclass(frozen=True, slots=True)
class OpenStream:
    """Connect to a WebSocket; answered by `opened`, and by `over` when it has failed or ended."""

    stream_id: str
    name: str
    verb: StartStream


@dataclass(frozen=True, slots=True)
class CloseStream:
    """Close a WebSocket; answered by `over`."""

    stream_id: str


@dataclass(frozen=True, slots=True)
class OpenTranscription:
    """Have tracks written down; answered by `opened`, `words_heard` and, when it has failed or ended, `over`."""

    transcription_id: str
    name: str
    verb: StartTranscription


@dataclass(frozen=True, slots=True)
class CloseTranscription:
    """End a transcription; answered by `over` when its last words are there."""

    transcription_id: str


@dataclass(frozen=True, slots=True)
class Listen:
    """Recognise what the caller says; answered by what `listening.py` takes, and by nothing more once StopListening has come."""

    number: int
    phrases: tuple[str, ...]
    """What may be said; whatever it is if there are none."""
    language: str


@dataclass(frozen=True, slots=True)
class StopListening:
    """Recognise no more."""

    number: int


@dataclass(frozen=True, slots=True)
class VerbStarted:
    """A verb has begun to run; the shell writes it to the log."""

    name: str
    line: int
    """Where the verb stands in its document."""


@dataclass(frozen=True, slots=True)
class WriteReport:
    """Hand a report to the writer that brings it to the database."""

    report: Report


Effect = (
    ApplicationWanted
    | FetchDocument
    | SpeechWanted
    | AudioWanted
    | Answer
    | Alert
    | ProbePeer
    | ReferCaller
    | HangUp
    | Play
    | SendDigits
    | StopPlaying
    | StartRecording
    | PauseRecording
    | ResumeRecording
    | StopRecording
    | OpenStream
    | CloseStream
    | OpenTranscription
    | CloseTranscription
    | Listen
    | StopListening
    | VerbStarted
    | WriteReport
)
