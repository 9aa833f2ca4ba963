"""What a stage offers that is the call's own, whatever document runs."""

from __future__ import annotations

from typing import Protocol

from callflow.engine.effects import Effect
from callflow.engine.listening import Listenings
from callflow.engine.recordings import Recordings
from callflow.engine.referrals import Referrals
from callflow.engine.states import Move, Phase
from callflow.engine.step import CallParts, Stage
from callflow.engine.streams import Streams
from callflow.engine.transcriptions import Transcriptions
from voiceapps.rules.endings import EndReason
from voiceapps.rules.webhook_bodies import CallView


class Call(CallParts, Protocol):
    """What a program asks of the call that runs it."""

    @property
    def phase(self) -> Phase:
        """What the call is doing."""

    def hang_up(self, reason: EndReason, now: float, sentence: str | None = None) -> None:
        """End the call; `sentence` says what went wrong."""

    def move(self, move: Move) -> None:
        """Enter the next phase."""


class CallStage(Stage):
    """The parts of a stage that its call has."""

    def __init__(self, call: Call) -> None:
        self._call = call

    @property
    def answered(self) -> bool:
        """True if the caller has acknowledged our answer."""
        return self._call.answered

    @property
    def listenings(self) -> Listenings:
        """What the call listens for."""
        return self._call.listenings

    @property
    def recordings(self) -> Recordings:
        """The recordings of the call."""
        return self._call.recordings

    @property
    def referrals(self) -> Referrals:
        """The REFERs of the call."""
        return self._call.referrals

    @property
    def streams(self) -> Streams:
        """The streams of the call."""
        return self._call.streams

    @property
    def transcriptions(self) -> Transcriptions:
        """What is written down of the call."""
        return self._call.transcriptions

    def emit(self, effect: Effect) -> None:
        """Queue an effect for the shell."""
        self._call.emit(effect)

    def view(self, now: float) -> CallView:
        """Return what webhook bodies say of the call."""
        return self._call.view(now)
