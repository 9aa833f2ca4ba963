"""The requests that a webhook test sends."""

from __future__ import annotations

import pytest

from tests.unit.voiceapps.builders import ACTOR, application
from voiceapps.models import AuditEntry
from voiceapps.rules.http.outbound import OutboundAnswer, OutboundRequest
from voiceapps.services.trials import webhook_tests
from voiceapps.services.trials.webhook_tests import MAX_RUNNING, MAX_SHOWN_BODY, TooManyRunningError

pytestmark = pytest.mark.django_db

FALLBACK = {
    "initiated_fallback_url": "https://b.example/initiate",
    "initiated_fallback_method": "GET",
    "fallback_username": "second",
    "fallback_password": "two",
}


class Wire:
    """A client that answers requests in turn and stores them."""

    def __init__(self, *answers: OutboundAnswer) -> None:
        self.answers = list(answers)
        self.sent: list[OutboundRequest] = []

    def send(self, request: OutboundRequest) -> OutboundAnswer:
        self.sent.append(request)
        return self.answers.pop(0)


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Wire:
    wire = Wire()
    monkeypatch.setattr(webhook_tests, "send", wire.send)
    return wire


def answer(status: int | None, body: bytes = b"<Response/>") -> OutboundAnswer:
    return OutboundAnswer(status, body, "application/xml", 7, None if status else "No answer within 4 s.")


def test_the_request_uses_the_applications_settings(wire: Wire) -> None:
    wire.answers = [answer(200)]
    row = application(initiated_method="GET", callback_username="first", callback_password="one", callback_timeout=4.0)
    (attempt,) = webhook_tests.run(row, actor=ACTOR)
    (sent,) = wire.sent
    assert (sent.url, sent.method, sent.username, sent.password) == ("https://a.example/initiate", "GET", "first", "one")
    assert (sent.timeout_seconds, sent.account_id) == (4.0, "9900000")
    assert sent.body["eventType"] == "initiate"
    assert sent.body["applicationId"] == str(row.pk)
    assert len(str(sent.body["callId"])) == 47
    assert (attempt.status, attempt.error, attempt.latency_ms) == (200, None, 7)
    entry = AuditEntry.objects.get(action="application.test_callback")
    assert (entry.chain, entry.subject, entry.actor) == ("9900000", str(row.pk), "test")


@pytest.mark.parametrize("status", [None, 302, 404, 500])
def test_the_fallback_is_tried_when_a_call_would_try_it(wire: Wire, status: int | None) -> None:
    wire.answers = [answer(status), answer(200)]
    first, second = webhook_tests.run(application(**FALLBACK), actor=ACTOR)
    sent = wire.sent[1]
    assert (sent.url, sent.method, sent.username, sent.password) == ("https://b.example/initiate", "GET", "second", "two")
    assert sent.body == wire.sent[0].body
    assert first.error
    assert first.check is None
    assert second.check is not None


def test_broken_bxml_is_an_answer_and_needs_no_fallback(wire: Wire) -> None:
    wire.answers = [answer(200, b"<Response><Dance/></Response>")]
    (attempt,) = webhook_tests.run(application(**FALLBACK), actor=ACTOR)
    assert attempt.error is None
    assert attempt.check is not None
    assert not attempt.check.valid


def test_without_a_fallback_there_is_one_attempt(wire: Wire) -> None:
    wire.answers = [answer(500)]
    assert [attempt.error for attempt in webhook_tests.run(application(), actor=ACTOR)] == ["It answered 500."]


def test_a_long_answer_is_shown_in_part_and_checked_whole(wire: Wire) -> None:
    document = b"<Response>" + b" " * MAX_SHOWN_BODY + b"<Hangup/></Response>"
    wire.answers = [answer(200, document)]
    (attempt,) = webhook_tests.run(application(), actor=ACTOR)
    assert len(attempt.body) == MAX_SHOWN_BODY
    assert attempt.check is not None
    assert [verb.name for verb in attempt.check.verbs] == ["Hangup"]


def test_an_account_runs_one_test_at_a_time_and_all_of_them_a_few(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [application(f"99000{number:02d}") for number in range(MAX_RUNNING + 1)]

    def nested(request: OutboundRequest) -> OutboundAnswer:
        wire.sent.append(request)
        with pytest.raises(TooManyRunningError, match=r"^A webhook test of this account is running\.$"):
            webhook_tests.run(rows[len(wire.sent) - 1], actor=ACTOR)
        if len(wire.sent) < MAX_RUNNING:
            webhook_tests.run(rows[len(wire.sent)], actor=ACTOR)
        else:
            with pytest.raises(TooManyRunningError, match=rf"^{MAX_RUNNING} webhook tests are running\.$"):
                webhook_tests.run(rows[MAX_RUNNING], actor=ACTOR)
        return answer(200)

    monkeypatch.setattr(webhook_tests, "send", nested)
    for _ in range(2):
        webhook_tests.run(rows[0], actor=ACTOR)
        assert len(wire.sent) == MAX_RUNNING
        wire.sent.clear()
