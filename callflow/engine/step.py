"""Run one verb: the interface between the engine and the running forms of verbs (`verbs/`)."""

from __future__ import annotations

from typing import Any, ClassVar, Protocol

from callflow.bxml import Webhook
from callflow.engine.effects import Effect
from voiceapps.rules.webhook_bodies import CallView, Payload, RecordingView


class Stage(Protocol):
    """What the engine offers to a running verb."""

    def emit(self, effect: Effect) -> None:
        """Ask the shell for something."""

    def fetch(self, event_type: str, webhook: Webhook, body: Payload, now: float) -> None:
        """Leave this document for the one that a webhook answers with."""

    def new_number(self) -> int:
        """Return a number that no other effect of this call has."""

    def hang_up_by_document(self, now: float) -> None:
        """End the call as its document says, or reject it where it is not answered yet."""

    def resolve(self, url: str) -> str:
        """Return a URL of the document as an absolute one."""

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
        """Return how many seconds each request to the application's backend may take."""


class Step:
    """Take a verb's inputs; each kind of verb overrides what concerns it."""

    answers_call: ClassVar[bool] = True
    """Whether the call has to be answered before the verb begins."""
    deadline: float | None = None
    """When `handle_timer` is due."""

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
        """Take note that a prompt has been sent."""

    def recording_over(self, recording: RecordingView, now: float) -> None:
        """Take note that the recording's file is complete."""

    def sound_ready(self, number: int, ulaw: bytes) -> None:
        """Take the sound that this step asked for."""

    def wants_sound(self, number: int) -> bool:
        """Tell whether the step still waits for this sound."""
        return False
