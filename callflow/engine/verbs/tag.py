"""Run `<Tag>`."""

from __future__ import annotations

from typing import ClassVar

from callflow.bxml.verbs.tag import Tag
from callflow.engine.step import Stage, Step


class TagStep(Step):
    """A change of the call's tag."""

    answers_call: ClassVar[bool] = False

    def __init__(self, stage: Stage, verb: Tag) -> None:
        super().__init__(stage, verb)
        self._text = verb.text

    def begin(self, now: float) -> None:
        """Change the tag and go on."""
        self._stage.set_tag(self._text)
        self._stage.verb_done(now)
