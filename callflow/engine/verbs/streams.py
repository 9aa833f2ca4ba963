"""Run `<StartStream>` and `<StopStream>`."""

from __future__ import annotations

from typing import ClassVar

from callflow.bxml.verbs.streams import StartStream, StopStream
from callflow.engine.step import Stage, Step


class StartStreamStep(Step):
    """The beginning of a stream, which goes on in the background."""

    answers_call: ClassVar[bool] = False
    begins_lasting: ClassVar[bool] = True

    def __init__(self, stage: Stage, verb: StartStream) -> None:
        super().__init__(stage, verb)
        self._verb = verb

    def begin(self, now: float) -> None:
        """Start it and go on."""
        stage, events = self._stage, self._verb.events
        stage.streams.start(self._verb, events and stage.absolute(events), now, answered=stage.answered)
        stage.verb_done(now)


class StopStreamStep(Step):
    """The end of a stream, or a wait for it."""

    def __init__(self, stage: Stage, verb: StopStream) -> None:
        super().__init__(stage, verb)
        self._stream_id: str | None = None
        self._verb = verb

    @classmethod
    def wants_answer(cls, verb: StopStream) -> bool:
        """Return whether the call has to be answered: a stream that is waited for opens only then."""
        return verb.wait

    def begin(self, now: float) -> None:
        """Stop the stream, or wait until it is over; one that is not there is over."""
        if self._verb.wait:
            self._stream_id = self._stage.streams.named(self._verb.name)
        else:
            self._stage.streams.stop(self._verb.name)
        if self._stream_id is None:
            self._stage.verb_done(now)

    def stream_over(self, stream_id: str, now: float) -> None:
        """Go on with the next verb."""
        if stream_id == self._stream_id:
            self._stage.verb_done(now)
