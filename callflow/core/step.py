"""Run one verb: the interface between the engine and the verbs that take time."""

from __future__ import annotations

from typing import Protocol

from callflow.bxml import Webhook
from callflow.bxml.verbs.play_audio import PlayAudio
from callflow.bxml.verbs.record import Record
from callflow.bxml.verbs.speak_sentence import SpeakSentence
from callflow.core.events import AudioWanted, Effect, Play, SpeechWanted, StopPlaying
from callflow.core.payloads import CallView, Payload, RecordingView
from mediarelay.rtp.g711 import ULAW_SILENCE

SILENT_FRAME = bytes([ULAW_SILENCE]) * 160


class Stage(Protocol):
    """What the engine offers to a running verb."""

    def emit(self, effect: Effect) -> None:
        """Ask the shell for something."""

    def fetch(self, event_type: str, webhook: Webhook, body: Payload, now: float) -> None:
        """Leave this document for the one that a webhook answers with."""

    def new_number(self) -> int:
        """Return a number that no other effect of this call has."""

    def sound_effect(self, number: int, verb: SpeakSentence | PlayAudio) -> SpeechWanted | AudioWanted:
        """Return the effect that makes a prompt's sound."""

    def start_recording(self, verb: Record, now: float) -> str:
        """Start a recording and return its id."""

    def verb_done(self, now: float) -> None:
        """Go on with the next verb."""

    def view(self, now: float) -> CallView:
        """Return what webhook bodies say of the call."""


class Step:
    """Take a verb's inputs; each kind of verb overrides what concerns it."""

    deadline: float | None = None
    """When `handle_timer` is due."""

    def __init__(self, stage: Stage) -> None:
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


class Prompt:
    """Prepare one prompt and play it; numbers tell its answers from those of prompts that were cut."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._playing: int | None = None
        self._wanted: int | None = None

    def begin(self, verb: SpeakSentence | PlayAudio) -> None:
        """Ask for the prompt's sound."""
        self._wanted = self._stage.new_number()
        self._stage.emit(self._stage.sound_effect(self._wanted, verb))

    def over(self, number: int) -> bool:
        """Tell whether this was the prompt's own playback, which is over then."""
        if number != self._playing:
            return False
        self._playing = None
        return True

    def play(self, ulaw: bytes) -> None:
        """Play the sound; an empty one becomes one silent frame, so that its end is reported too."""
        self._wanted, self._playing = None, self._stage.new_number()
        self._stage.emit(Play(self._playing, ulaw or SILENT_FRAME))

    def stop(self) -> None:
        """Cut the prompt off, or forget a sound that is not ready yet."""
        if self._playing is not None:
            self._stage.emit(StopPlaying())
        self._wanted = self._playing = None

    def wants(self, number: int) -> bool:
        """Tell whether this is the sound that the prompt waits for."""
        return number == self._wanted
