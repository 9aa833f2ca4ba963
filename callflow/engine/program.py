"""The program of a call: the document that runs, its verbs in order, and the webhook that brings the next document."""

from __future__ import annotations

from collections.abc import Callable

from callflow.bxml import BxmlError, Document, Verb, Webhook, parse_document
from callflow.bxml.registry import VERBS
from callflow.config import Application
from callflow.engine import reports
from callflow.engine.call_stage import Call, CallStage
from callflow.engine.effects import Answer, FetchDocument, VerbStarted, WriteReport
from callflow.engine.limits import (
    BEGUN_PER_SECOND,
    DIGIT_EVENTS_PER_SECOND,
    DOCUMENTS_PER_SECOND,
    ELEMENTS_PER_DOCUMENT,
    MAX_BEGUN,
    MAX_DIGIT_EVENTS,
    MAX_DOCUMENTS,
    OCTETS_PER_DOCUMENT,
)
from callflow.engine.orders import Completion, NewDocument, Order, Redirection
from callflow.engine.rate import Rate
from callflow.engine.states import Move, Phase
from callflow.engine.step import Step
from callflow.engine.urls import resolve
from callflow.engine.verbs import STEPS
from voiceapps.rules import webhook_bodies
from voiceapps.rules.endings import EndReason
from voiceapps.rules.http.outbound import OutboundAnswer
from voiceapps.rules.http.target import joined
from voiceapps.rules.webhook_bodies import Payload

_NAMES = {verb: name for name, verb in VERBS.items()}


class Program(CallStage):
    """One document at a time, and the verb that runs in it; offers running verbs their `Stage`."""

    def __init__(self, call: Call, new_uuid: Callable[[], str]) -> None:
        super().__init__(call)
        self.tag = ""
        """What the last verb with a `tag` attribute set; later webhooks contain it."""
        self._new_uuid = new_uuid
        self._base_url = ""
        self._begun = Rate(MAX_BEGUN, BEGUN_PER_SECOND)
        self._is_early = False
        """True if the caller hears us although the call is not answered."""
        self._digit_events = Rate(MAX_DIGIT_EVENTS, DIGIT_EVENTS_PER_SECOND)
        self._digits_to: Webhook | None = None
        """Who hears of each digit."""
        self._documents = Rate(MAX_DOCUMENTS, DOCUMENTS_PER_SECOND)
        self._fetch: FetchDocument | None = None
        self._in_run = False
        self._masks_digits = False
        self._next_verb = 0
        self._number = 0
        self._order: Order | None = None
        """What waits until the call can do it."""
        self._step: Step | None = None
        self._timeout_seconds = 0.0
        self._verbs: tuple[Verb, ...] = ()

    @property
    def step(self) -> Step | None:
        """The verb that runs, or None while a webhook or the ACK is awaited."""
        return self._step

    def step_wanting(self, number: int) -> Step | None:
        """Return the verb that runs if it waits for this sound."""
        return self._step if self._step and self._step.wants_sound(number) else None

    def begin(self, application: Application, now: float) -> None:
        """Ask for the first document."""
        self._timeout_seconds = application.timeout_seconds
        self._masks_digits = application.mask_digits
        self._base_url = application.initiated.url
        if self._order is not None:
            self._obey(now)
            return
        self.fetch("initiate", application.initiated, webhook_bodies.initiate(self.view(now)), now)

    def obey(self, order: Order, now: float) -> None:
        """Do what the API wants in the place of what the call does, as soon as it can: the latest order, or the one that ends the call."""
        if not isinstance(self._order, Completion):
            self._order = order
        if self._call.phase in (Phase.RUNNING, Phase.FETCHING):
            self._obey(now)

    def digit_received(self, digit: str, now: float) -> None:
        """Take a digit: report it, unless a `<Gather>` collects it, and hand it to the verb that runs."""
        if self._digits_to is not None and not (self._step and self._step.collects_digits) and self._digit_events.admits(now):
            self.emit(WriteReport(reports.digit_pressed(self.view(now), digit, self._digits_to, masked=self._masks_digits)))
        if self._step:
            self._step.digit_received(digit, now)

    def early_media_opened(self, now: float) -> None:
        """Take note that the caller hears us before the answer."""
        self._is_early = True
        if self._step:
            self._step.early_media_opened(now)

    def stream_over(self, stream_id: str, now: float) -> None:
        """Take note that a stream is over."""
        if self._step:
            self._step.stream_over(stream_id, now)

    def document_answered(self, number: int, answer: OutboundAnswer, now: float) -> None:
        """Run the document that a webhook answered with, or try its fallback, or fail the call."""
        fetch = self._fetch
        if fetch is None or fetch.number != number:
            return
        self._fetch = None
        problem = answer.problem()
        if problem is None:
            self._load(fetch, answer, now)
        elif fetch.webhook.fallback:
            self._send_fetch(fetch.event_type, fetch.webhook.fallback, dict(fetch.body))
        else:
            sentence = f"The {fetch.event_type} webhook to {fetch.webhook.url} failed. {problem}"
            self._call.hang_up(EndReason.CALLBACK_ERROR, now, sentence)

    def run(self, now: float) -> None:
        """Start verbs until one takes time. A verb that ends at once comes back here, hence the guard."""
        if self._in_run:
            return
        if self._order is not None:
            self._obey(now)
            return
        self._in_run = True
        while self._call.phase is Phase.RUNNING and self._step is None:
            self._start_verb(now)
        self._in_run = False

    def stop(self, now: float) -> None:
        """Abandon the verb that runs, and ignore the answer to an open webhook."""
        step, self._step, self._fetch = self._step, None, None
        if step:
            step.abandon(now)

    # The stage of running verbs.

    @property
    def is_heard(self) -> bool:
        """True if the caller hears us: the call is answered, or has early media."""
        return self._is_early or self._call.answered

    def absolute(self, webhook: Webhook) -> Webhook:
        """Return a webhook of the document with absolute URLs."""
        return resolve(webhook, self._base_url)

    def fetch(self, event_type: str, webhook: Webhook, body: Payload, now: float) -> None:
        """Leave this document: send a webhook, whose answer is the next one."""
        self._step = None
        # How large the document is, its answer tells.
        if self._admit(1, now):
            self._call.move(Move.FETCH)
            self._send_fetch(event_type, self.absolute(webhook), body)

    def hang_up_by_document(self, now: float) -> None:
        """End the call as its document says; reject it if it is not answered yet."""
        self._call.hang_up(EndReason.APPLICATION_HANGUP if self._call.answered else EndReason.APPLICATION_REJECTED, now)

    def new_uuid(self) -> str:
        """Return an identifier that nothing else has."""
        return self._new_uuid()

    def new_number(self) -> int:
        """Return a number that no other effect of this call has."""
        self._number += 1
        return self._number

    def note(self, sentence: str, now: float) -> None:
        """Tell who looks at the call's messages something; an empty sentence is nothing."""
        if sentence:
            self.emit(WriteReport(reports.notice(self.view(now), sentence)))

    def report_digits(self, webhook: Webhook | None) -> None:
        """Have a webhook hear of each digit from now on; None ends that."""
        self._digits_to = webhook

    def resolve(self, url: str) -> str:
        """Return the absolute form of a URL in the document."""
        return joined(self._base_url, url)

    def set_tag(self, tag: str | None) -> None:
        """Change the call's tag; None leaves it as it is."""
        if tag is not None:
            self.tag = tag

    def verb_done(self, now: float) -> None:
        """Go on with the next verb."""
        self._step = None
        self.run(now)

    @property
    def webhook_timeout(self) -> float:
        """How many seconds each request to the application's backend may take."""
        return self._timeout_seconds

    # Documents.

    def _admit(self, documents: int, now: float) -> bool:
        """Count further documents; return False, and end the call, if there are too many."""
        admitted = self._documents.admits(now, documents)
        if not admitted:
            size = f"{OCTETS_PER_DOCUMENT} octets or {ELEMENTS_PER_DOCUMENT} elements"
            rate = f"{MAX_DOCUMENTS} documents of {size}, faster than {DOCUMENTS_PER_SECOND:g} a second"
            self._call.hang_up(EndReason.APPLICATION_ERROR, now, f"The call ran {rate}: they lead to themselves.")
        return admitted

    def _load(self, fetch: FetchDocument, answer: OutboundAnswer, now: float) -> None:
        if not self._admit(len(answer.body) // OCTETS_PER_DOCUMENT, now):
            return
        try:
            document = parse_document(answer.body, answer.charset)
        except BxmlError as error:
            sentence = f"The answer to the {fetch.event_type} webhook is not valid BXML. {error}"
            self._call.hang_up(EndReason.INVALID_BXML, now, sentence)
            return
        self._base_url = fetch.webhook.url
        if self._admit(document.elements // ELEMENTS_PER_DOCUMENT, now):
            self._replace(document, now)

    def _obey(self, now: float) -> None:
        order, self._order = self._order, None
        self.stop(now)
        match order:
            case Redirection(webhook, tag):
                self.set_tag(tag)
                self.fetch("redirect", webhook, webhook_bodies.redirect(self.view(now)), now)
            case NewDocument(document):
                if self._admit(1 + document.octets // OCTETS_PER_DOCUMENT + document.elements // ELEMENTS_PER_DOCUMENT, now):
                    self._replace(document, now)
            case Completion():
                self.hang_up_by_document(now)

    def _replace(self, document: Document, now: float) -> None:
        self._verbs, self._next_verb = document.verbs, 0
        self._call.move(Move.RUN)
        self.run(now)

    def _send_fetch(self, event_type: str, webhook: Webhook, body: Payload) -> None:
        recorded = webhook_bodies.without_digits(body) if self._masks_digits else body
        self._fetch = FetchDocument(self.new_number(), event_type, webhook, body, recorded, self._timeout_seconds)
        self.emit(self._fetch)

    def _start_verb(self, now: float) -> None:
        if self._next_verb >= len(self._verbs):
            self.hang_up_by_document(now)
            return
        verb = self._verbs[self._next_verb]
        step = STEPS[type(verb)]
        if not self._call.answered and step.wants_answer(verb):
            self._call.move(Move.ANSWER)
            self.emit(Answer())
            return
        if step.is_costly(verb) and not self._begun.admits(now):
            sentence = f"The call began {MAX_BEGUN} recordings, streams and listenings, faster than {BEGUN_PER_SECOND:g} a second."
            self._call.hang_up(EndReason.APPLICATION_ERROR, now, sentence)
            return
        self._next_verb += 1
        self.emit(VerbStarted(_NAMES[type(verb)], verb.line))
        self._step = step(self, verb)
        self._step.begin(now)
