"""Run `<Redirect>`."""

from __future__ import annotations

from typing import ClassVar

from callflow.bxml.verbs.redirect import Redirect
from callflow.engine.step import Stage, Step
from voiceapps.rules import webhook_bodies


class RedirectStep(Step):
    """A jump to the document that a webhook answers with."""

    answers_call: ClassVar[bool] = False

    def __init__(self, stage: Stage, verb: Redirect) -> None:
        super().__init__(stage, verb)
        self._verb = verb

    def begin(self, now: float) -> None:
        """Ask for the document."""
        self._stage.set_tag(self._verb.tag)
        self._stage.fetch("redirect", self._verb.webhook, webhook_bodies.redirect(self._stage.view(now)), now)
