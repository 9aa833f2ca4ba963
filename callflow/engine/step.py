"""The interface between a program and the running form of a verb (`verbs/`)."""

from __future__ import annotations

from typing import Any, ClassVar, Protocol

from callflow.audio.octets import Octets
from callflow.bxml import Webhook
from callflow.engine.effects import Effect
from voiceapps.rules.webhook_bodies import CallView, Payload, RecordingView


class Stage(Protocol):
    """What a program offers to a running verb."""

    def emit(self, effect: Effect) -> None:
        """Ask the shell for something."""

    def fetch(self, event_type: str, webhook: Webhook, body: Payload, now: float) -> None:
        """Leave this document: send a webhook, whose answer is the next one."""

    def new_number(self) -> int:
        """Return a number that no other effect of this call has."""

    def hang_up_by_document(self, now: float) -> None:
        """End the call as its document says; reject it if it is not answered yet."""

    def resolve(self, url: str) -> str:
        """Return the absolute form of a URL in the document."""

    def set_tag(self, tag: str | None) -> None:
        """Change the call's tag; None leaves it as it is."""

    def start_recording(self, available: Webhook | None, max_seconds: float, now: float) -> str:
        """Start a recording and return its id; `available` hears of its file, also after the end of the call."""

    def verb_done(self, now: float) -> None:
        """Go on with the next verb."""

    def view(self, now: float) -> CallView:
        """Return what webhook bodies say of the call."""

    @property
    def webhook_timeout(self) -> float:
        """How many seconds each request to the application's backend may take."""


class Step:
    """The running form of a verb; each kind overrides the inputs that it reacts to."""

    answers_call: ClassVar[bool] = True
    """True if the call has to be answered before the verb begins."""
    deadline: float | None = None
    """When `handle_timer` is due, None for never."""

    def __init__(self, stage: Stage, _verb: Any) -> None:
        self._stage = stage

    def begin(self, now: float) -> None:
        """Start the verb."""

    def abandon(self) -> None:
        """Stop at once: the call is over."""

    def audio_received(self, ulaw: bytes, now: float) -> None:
        """Take a frame of the caller's audio."""

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

    def wants_sound(self, number: int) -> bool:
        """Return whether the step waits for this sound."""
        return False
