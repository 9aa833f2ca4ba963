"""Run `<StartGather>` and `<StopGather>`."""

from __future__ import annotations

from typing import ClassVar

from callflow.bxml.verbs.background_gather import StartGather
from callflow.engine.step import Stage, Step


class StartGatherStep(Step):
    """The beginning of reports of each digit; one that runs is replaced."""

    answers_call: ClassVar[bool] = False

    def __init__(self, stage: Stage, verb: StartGather) -> None:
        super().__init__(stage, verb)
        self._verb = verb

    def begin(self, now: float) -> None:
        """Have digits reported and go on."""
        self._stage.set_tag(self._verb.tag)
        self._stage.report_digits(self._stage.absolute(self._verb.webhook))
        self._stage.verb_done(now)


class StopGatherStep(Step):
    """The end of the reports."""

    answers_call: ClassVar[bool] = False

    def begin(self, now: float) -> None:
        """Have no more digits reported and go on."""
        self._stage.report_digits(None)
        self._stage.verb_done(now)
