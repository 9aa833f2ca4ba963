"""The interface between a program and the running form of a verb (`verbs/`)."""

from __future__ import annotations

from typing import Any, ClassVar, Protocol

from callflow.audio.octets import Octets
from callflow.bxml import Webhook
from callflow.engine.effects import Effect
from callflow.engine.listening import Listenings
from callflow.engine.recordings import Recordings
from callflow.engine.referrals import Referrals
from callflow.engine.streams import Streams
from callflow.engine.transcriptions import Transcriptions
from voiceapps.rules.webhook_bodies import CallView, Payload, RecordingView


class CallParts(Protocol):
    """What a call offers to its program, and its program to running verbs."""

    @property
    def answered(self) -> bool:
        """True if the caller has acknowledged our answer."""

    @property
    def listenings(self) -> Listenings:
        """What the call listens for."""

    @property
    def recordings(self) -> Recordings:
        """The recordings of the call."""

    @property
    def referrals(self) -> Referrals:
        """The REFERs of the call."""

    @property
    def streams(self) -> Streams:
        """The streams of the call."""

    @property
    def transcriptions(self) -> Transcriptions:
        """What is written down of the call."""

    def emit(self, effect: Effect) -> None:
        """Queue an effect for the shell."""

    def view(self, now: float) -> CallView:
        """Return what webhook bodies say of the call."""


class Stage(CallParts, Protocol):
    """What a program offers to a running verb."""

    @property
    def is_heard(self) -> bool:
        """True if the caller hears us: the call is answered, or has early media."""

    def absolute(self, webhook: Webhook) -> Webhook:
        """Return a webhook of the document with absolute URLs."""

    def fetch(self, event_type: str, webhook: Webhook, body: Payload, now: float) -> None:
        """Leave this document: send a webhook, whose answer is the next one."""

    def new_number(self) -> int:
        """Return a number that no other effect of this call has."""

    def new_uuid(self) -> str:
        """Return an identifier that nothing else has."""

    def hang_up_by_document(self, now: float) -> None:
        """End the call as its document says; reject it if it is not answered yet."""

    def note(self, sentence: str, now: float) -> None:
        """Tell who looks at the call's messages something; an empty sentence is nothing."""

    def report_digits(self, webhook: Webhook | None) -> None:
        """Have a webhook hear of each digit from now on; None ends that."""

    def resolve(self, url: str) -> str:
        """Return the absolute form of a URL in the document."""

    def set_tag(self, tag: str | None) -> None:
        """Change the call's tag; None leaves it as it is."""

    def verb_done(self, now: float) -> None:
        """Go on with the next verb."""

    @property
    def webhook_timeout(self) -> float:
        """How many seconds each request to the application's backend may take."""


class Step:
    """The running form of a verb; each kind overrides the inputs that it reacts to."""

    answers_call: ClassVar[bool] = True
    """True if the call has to be answered before a verb of this kind begins."""
    begins_lasting: ClassVar[bool] = False
    """True if verbs of this kind begin a file, a connection or a process."""
    wants_audio: bool = False
    """True if `audio_received` is to get the caller's audio."""
    deadline: float | None = None
    """When `handle_timer` is due, None for never."""

    def __init__(self, stage: Stage, _verb: Any) -> None:
        self._stage = stage

    @classmethod
    def wants_answer(cls, _verb: Any) -> bool:
        """Return whether the call has to be answered before this verb begins."""
        return cls.answers_call

    @classmethod
    def is_costly(cls, _verb: Any) -> bool:
        """Return whether this verb begins a file, a connection or a process, of which a call has a few a second at most."""
        return cls.begins_lasting

    def begin(self, now: float) -> None:
        """Start the verb."""

    def abandon(self, now: float) -> None:
        """Stop at once: the call is over, or goes on elsewhere."""

    def audio_received(self, ulaw: bytes, now: float) -> None:
        """Take a frame of the caller's audio."""

    @property
    def collects_digits(self) -> bool:
        """Whether digits are this verb's own, and nobody else's."""
        return False

    def digit_received(self, digit: str, now: float) -> None:
        """Take a digit."""

    def handle_timer(self, now: float) -> None:
        """Do what is due at `deadline`."""

    def playback_finished(self, number: int, now: float) -> None:
        """Take note that a sound has been sent."""

    def recording_over(self, recording: RecordingView, now: float) -> None:
        """Take note that the recording's file is complete."""

    def sound_ready(self, number: int, ulaw: Octets) -> None:
        """Play the sound that this step asked for."""

    def early_media_opened(self, now: float) -> None:
        """Take note that the caller hears us although the call is not answered."""

    def stream_over(self, stream_id: str, now: float) -> None:
        """Take note that a stream is over."""

    def wants_sound(self, number: int) -> bool:
        """Return whether the step waits for this sound."""
        return False
