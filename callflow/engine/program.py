"""The program of a call: the document that runs, its verbs in order, and the webhook that brings the next document."""

from __future__ import annotations

from typing import Protocol

from callflow.bxml import BxmlError, Verb, Webhook, parse_document
from callflow.bxml.registry import VERBS
from callflow.config import Application
from callflow.engine.document_rate import DocumentRate
from callflow.engine.effects import Answer, Effect, FetchDocument, StartRecording, VerbStarted
from callflow.engine.limits import DOCUMENTS_PER_SECOND, MAX_DOCUMENTS
from callflow.engine.states import Move, Phase
from callflow.engine.step import Stage, Step
from callflow.engine.urls import resolve
from callflow.engine.verbs import STEPS
from voiceapps.rules import webhook_bodies
from voiceapps.rules.endings import EndReason
from voiceapps.rules.http.outbound import OutboundAnswer
from voiceapps.rules.http.target import joined
from voiceapps.rules.webhook_bodies import CallView, Payload

_NAMES = {verb: name for name, verb in VERBS.items()}


class Call(Protocol):
    """What a program asks of the call that runs it."""

    @property
    def answered(self) -> bool:
        """True if the caller has acknowledged our answer."""

    @property
    def phase(self) -> Phase:
        """What the call is doing."""

    def emit(self, effect: Effect) -> None:
        """Queue an effect for the shell."""

    def hang_up(self, reason: EndReason, now: float, sentence: str | None = None) -> None:
        """End the call; `sentence` says what went wrong."""

    def move(self, move: Move) -> None:
        """Enter the next phase."""

    def open_recording(self, available: Webhook | None, now: float) -> str:
        """Return the id of a new recording; `available` hears of its file."""

    def view(self, now: float) -> CallView:
        """Return what webhook bodies say of the call."""


class Program(Stage):
    """One document at a time, and the verb that runs in it; offers running verbs their `Stage`."""

    def __init__(self, call: Call) -> None:
        self.tag = ""
        """What the last verb with a `tag` attribute set; later webhooks contain it."""
        self._call = call
        self._base_url = ""
        self._fetch: FetchDocument | None = None
        self._in_run = False
        self._masks_digits = False
        self._next_verb = 0
        self._number = 0
        self._rate = DocumentRate()
        self._step: Step | None = None
        self._timeout_seconds = 0.0
        self._verbs: tuple[Verb, ...] = ()

    @property
    def step(self) -> Step | None:
        """The verb that runs, or None while a webhook or the ACK is awaited."""
        return self._step

    def begin(self, application: Application, now: float) -> None:
        """Ask for the first document."""
        self._timeout_seconds = application.timeout_seconds
        self._masks_digits = application.mask_digits
        self.fetch("initiate", application.initiated, webhook_bodies.initiate(self.view(now)), now)

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
        self._in_run = True
        while self._call.phase is Phase.RUNNING and self._step is None:
            self._start_verb(now)
        self._in_run = False

    def stop(self) -> None:
        """Abandon the verb that runs, and ignore the answer to an open webhook: the call is over."""
        if self._step:
            self._step.abandon()
        self._fetch = self._step = None

    # The stage of running verbs.

    def emit(self, effect: Effect) -> None:
        """Queue an effect for the shell."""
        self._call.emit(effect)

    def fetch(self, event_type: str, webhook: Webhook, body: Payload, now: float) -> None:
        """Leave this document: send a webhook, whose answer is the next one."""
        self._step = None
        if not self._rate.admits(now):
            sentence = f"The call ran {MAX_DOCUMENTS} documents, faster than {DOCUMENTS_PER_SECOND:g} a second: they lead to themselves."
            self._call.hang_up(EndReason.APPLICATION_ERROR, now, sentence)
            return
        self._call.move(Move.FETCH)
        self._send_fetch(event_type, resolve(webhook, self._base_url), body)

    def hang_up_by_document(self, now: float) -> None:
        """End the call as its document says; reject it if it is not answered yet."""
        self._call.hang_up(EndReason.APPLICATION_HANGUP if self._call.answered else EndReason.APPLICATION_REJECTED, now)

    def new_number(self) -> int:
        """Return a number that no other effect of this call has."""
        self._number += 1
        return self._number

    def resolve(self, url: str) -> str:
        """Return the absolute form of a URL in the document."""
        return joined(self._base_url, url)

    def set_tag(self, tag: str | None) -> None:
        """Change the call's tag; None leaves it as it is."""
        if tag is not None:
            self.tag = tag

    def start_recording(self, available: Webhook | None, max_seconds: float, now: float) -> str:
        """Start a recording and return its id; `available` hears of its file, also after the end of the call."""
        recording_id = self._call.open_recording(available and resolve(available, self._base_url), now)
        self.emit(StartRecording(recording_id, max_seconds))
        return recording_id

    def verb_done(self, now: float) -> None:
        """Go on with the next verb."""
        self._step = None
        self.run(now)

    def view(self, now: float) -> CallView:
        """Return what webhook bodies say of the call."""
        return self._call.view(now)

    @property
    def webhook_timeout(self) -> float:
        """How many seconds each request to the application's backend may take."""
        return self._timeout_seconds

    # Documents.

    def _load(self, fetch: FetchDocument, answer: OutboundAnswer, now: float) -> None:
        try:
            document = parse_document(answer.body, answer.charset)
        except BxmlError as error:
            sentence = f"The answer to the {fetch.event_type} webhook is not valid BXML. {error}"
            self._call.hang_up(EndReason.INVALID_BXML, now, sentence)
            return
        self._base_url = fetch.webhook.url
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
        if step.answers_call and not self._call.answered:
            self._call.move(Move.ANSWER)
            self.emit(Answer())
            return
        self._next_verb += 1
        self.emit(VerbStarted(_NAMES[type(verb)], verb.line))
        self._step = step(self, verb)
        self._step.begin(now)
