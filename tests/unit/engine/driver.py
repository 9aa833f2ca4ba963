"""Drives an engine under a simulated clock."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from callflow.bxml import Webhook
from callflow.config import Application, CallflowConfig
from callflow.engine.call_engine import CallEngine
from callflow.engine.effects import Answer, ApplicationWanted, Effect, FetchDocument, Play, SpeechWanted, WriteReport
from voiceapps.rules.http.outbound import OutboundAnswer
from voiceapps.rules.reports import CallEnded, CallFacts
from voiceapps.rules.webhook_bodies import CallerDetails

T = TypeVar("T")
EPOCH = 1_700_000_000.0
CONFIG = CallflowConfig(
    name="callflow-1",
    bind=("127.0.0.1", 6161),
    media_address="127.0.0.1",
    public_url="https://voice.example.com",
    recordings_dir="recordings",
    prompts_dir="prompts",
    invite_keys=(b"invite key",),
    spool_dir="spool",
)
APPLICATION = Application(Webhook("https://app.example.com/start", username="u", password="p"), 15.0, 30.0, 25.0)
FACTS = CallFacts(
    call_id="c-95ac8d6e-1a31c52e-b38f-4198-93c1-51633ec68f8d",
    application_id="app-1",
    account_id="9900000",
    sip_call_id="abc@phone",
    from_uri="sip:alice@example.net",
    to_uri="sip:app-1@sip.example.com",
    source_ip="203.0.113.9",
    source_port=5060,
    country="US",
    started_at=EPOCH,
)
DETAILS = CallerDetails({"origTo": "+15550100", "reason": "user-busy"}, "48;encoding=hex", {"x-order": "7"})


def uuids() -> Callable[[], str]:
    numbers = itertools.count(1)
    return lambda: f"{next(numbers):08x}-0000-4000-8000-000000000000"


class Driver:
    """An engine, all its effects so far, and the time."""

    def __init__(self, application: Application | None = APPLICATION, config: CallflowConfig = CONFIG) -> None:
        self.application = application
        self.engine = CallEngine(FACTS, DETAILS, config, new_uuid=uuids(), epoch_offset=EPOCH - 100.0)
        self.now = 100.0
        self.seen: list[Effect] = []

    def collect(self) -> list[Effect]:
        """Return the engine's new effects."""
        taken = len(self.seen)
        while (effect := self.engine.next_event()) is not None:
            self.seen.append(effect)
        return self.seen[taken:]

    def last(self, kind: type[T]) -> T:
        """Return the latest effect of a kind."""
        self.collect()
        return next(effect for effect in reversed(self.seen) if isinstance(effect, kind))

    def count(self, kind: type[Effect]) -> int:
        self.collect()
        return sum(isinstance(effect, kind) for effect in self.seen)

    @property
    def ended(self) -> CallEnded:
        """The one report of the call's end."""
        self.collect()
        (report,) = [e.report for e in self.seen if isinstance(e, WriteReport) and isinstance(e.report, CallEnded)]
        return report

    def arrive(self) -> None:
        """Bring the call to its first webhook."""
        self.engine.call_arrived(self.now)
        assert self.collect() == [ApplicationWanted("app-1")]
        self.engine.application_found(self.application, self.now)
        self.collect()

    def answer_fetch(self, document: str, status: int | None = 200, error: str | None = None) -> None:
        """Answer the latest webhook."""
        fetch = self.last(FetchDocument)
        self.engine.document_answered(fetch.number, OutboundAnswer(status, document.encode(), "application/xml", 0, error), self.now)

    def run(self, verbs: str) -> None:
        """Arrive, run a document of these verbs, and acknowledge the answer, if there is one."""
        self.arrive()
        self.answer_fetch(f"<Response>{verbs}</Response>")
        if Answer() in self.collect():
            self.engine.accepted()
            self.engine.acknowledged(self.now, self.now)

    def speak(self, ulaw: bytes = b"\x00" * 160) -> int:
        """Deliver the speech that was asked for last and return its playback's number."""
        self.engine.sound_ready(self.last(SpeechWanted).number, ulaw, self.now)
        return self.last(Play).number

    def last_playback(self) -> int:
        """Return the number of the sound that plays."""
        return self.last(Play).number

    def play_out(self) -> None:
        """Deliver the speech and let it finish."""
        self.engine.playback_finished(self.speak(), self.now)

    def press(self, digits: str) -> None:
        for digit in digits:
            self.engine.digit_received(digit, self.now)

    def wait(self, seconds: float) -> None:
        """Let time pass and fire every timer that is due; the caller's audio arrives meanwhile."""
        end = self.now + seconds
        while (due := self._due()) is not None and due <= end:
            self.now = max(self.now, due)
            self.engine.media_heard(self.now)
            self.engine.handle_timer(self.now)
        self.now = end
        self.engine.media_heard(end)

    def _due(self) -> float | None:
        self.engine.media_heard(self.now)
        return self.engine.get_timer()


def with_fallback(url: str) -> Application:
    return replace(APPLICATION, initiated=replace(APPLICATION.initiated, fallback=Webhook(url, "GET", "fu", "fp")))
