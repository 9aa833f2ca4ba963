"""Run `<Refer>`: on success the call is over for us; after a failure the webhook's document runs, or the next verb."""

from __future__ import annotations

from callflow.bxml.verbs.refer import Refer
from callflow.engine import reports
from callflow.engine.effects import WriteReport
from callflow.engine.step import Stage, Step
from voiceapps.rules import webhook_bodies
from voiceapps.rules.webhook_bodies import ReferView


class ReferStep(Step):
    """A REFER, and the wait for what comes of it."""

    def __init__(self, stage: Stage, verb: Refer) -> None:
        super().__init__(stage, verb)
        self._verb = verb

    def begin(self, now: float) -> None:
        """Ask the caller's telephone."""
        self._stage.set_tag(self._verb.tag)
        self._stage.referrals.start(self, self._verb.target)

    def abandon(self, now: float) -> None:
        """Wait no longer: what the telephone tells from now on changes nothing."""
        self._stage.referrals.leave()

    def refer_over(self, outcome: ReferView, now: float) -> None:
        """Report the outcome; hang up if the telephone has reached somebody else, or go on."""
        stage, webhook = self._stage, self._verb.complete
        view = stage.view(now)
        if outcome.succeeded:
            if webhook is not None:
                stage.emit(WriteReport(reports.refer_complete(view, outcome, stage.absolute(webhook))))
            stage.hang_up_by_document(now)
        elif webhook is not None:
            stage.fetch("referComplete", webhook, webhook_bodies.refer_complete(view, outcome), now)
        else:
            stage.verb_done(now)
