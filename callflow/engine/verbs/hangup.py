"""Run `<Hangup>`."""

from __future__ import annotations

from typing import ClassVar

from callflow.engine.step import Step


class HangupStep(Step):
    """The end of the call, or its rejection if it is not answered yet."""

    answers_call: ClassVar[bool] = False

    def begin(self, now: float) -> None:
        """End or reject the call."""
        self._stage.hang_up_by_document(now)
