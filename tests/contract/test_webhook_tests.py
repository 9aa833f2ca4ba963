"""Webhook tests: the backend's answer as a call would see it, and the limits of their number."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from bandwidth.models import InitiateCallback
from bandwidth.models.bxml import Gather, Response, SpeakSentence
from pytest_django.fixtures import Settings

from tests.support.api import ApiCustomer
from tests.support.backend import TestBackend
from voiceapps.api.resources.webhook_tests import MAX_A_MINUTE
from voiceapps.models import AuditEntry, WebhookDelivery
from voiceapps.services.trials import webhook_tests
from voiceapps.services.trials.webhook_tests import MAX_SHOWN_BODY


@pytest.fixture
def backend(settings: Settings) -> Iterator[TestBackend]:
    settings.WEBHOOK_ALLOW_PRIVATE = True
    backend = TestBackend({})
    yield backend
    backend.close()


def run(customer: ApiCustomer, application_id: str, body: object = None) -> Any:
    return customer.request("POST", f"{customer.base}/{application_id}/webhook-tests", body)


def attempts(customer: ApiCustomer, backend: TestBackend, **fields: object) -> list[dict[str, Any]]:
    application_id = customer.create(callInitiatedCallbackUrl=f"{backend.url}/initiate", **fields)["applicationId"]
    answer = run(customer, application_id)
    assert answer.status_code == 200, answer.content
    found: list[dict[str, Any]] = answer.json()["data"]["attempts"]
    return found


def test_the_vendors_document_is_listed_verb_by_verb(customer: ApiCustomer, backend: TestBackend) -> None:
    backend.documents["/initiate"] = Response([SpeakSentence("Hello."), Gather(gather_url="/g")]).to_bxml()
    (attempt,) = attempts(customer, backend)
    assert attempt.pop("latencyMs") >= 0
    assert attempt == {
        "url": f"{backend.url}/initiate",
        "method": "POST",
        "status": 200,
        "error": None,
        "bxml": {"valid": True, "verbs": [{"name": "SpeakSentence", "line": 2}, {"name": "Gather", "line": 2}], "errors": []},
        "body": backend.documents["/initiate"],
    }


def test_the_event_fits_the_vendors_model(customer: ApiCustomer, backend: TestBackend) -> None:
    attempts(customer, backend)
    (event,) = backend.of("initiate")
    model = InitiateCallback.from_dict(event)
    assert model.additional_properties == {}
    assert len(model.call_id) == 47
    assert model.account_id == customer.account_id


def test_a_broken_document_is_shown_with_its_lines(customer: ApiCustomer, backend: TestBackend) -> None:
    backend.documents["/initiate"] = "<Response>\n<Hangup/>\n<Dance/>\n</Response>"
    (attempt,) = attempts(customer, backend)
    assert attempt["bxml"]["valid"] is False
    assert attempt["bxml"]["verbs"] == [{"name": "Hangup", "line": 2}]
    assert attempt["bxml"]["errors"][0]["line"] == 3


def test_the_fallback_is_a_second_entry(customer: ApiCustomer, backend: TestBackend) -> None:
    backend.documents |= {"/initiate": 503, "/fallback": "<Response/>"}
    first, second = attempts(customer, backend, callInitiatedFallbackUrl=f"{backend.url}/fallback")
    assert (first["status"], first["error"], first["bxml"]) == (503, "It answered 503.", None)
    assert (second["url"], second["status"], second["error"]) == (f"{backend.url}/fallback", 200, None)
    assert second["bxml"] == {"valid": True, "verbs": [], "errors": []}


def test_an_unreachable_backend_is_an_attempt_with_an_error(customer: ApiCustomer, backend: TestBackend) -> None:
    application_id = customer.create(callInitiatedCallbackUrl="http://127.0.0.1:1/")["applicationId"]
    (attempt,) = run(customer, application_id).json()["data"]["attempts"]
    assert (attempt["status"], attempt["bxml"], attempt["body"]) == (None, None, "")
    assert attempt["error"] == "Cannot connect to 127.0.0.1:1: Connection refused."


def test_the_guard_blocks_private_addresses(customer: ApiCustomer, backend: TestBackend, settings: Settings) -> None:
    settings.WEBHOOK_ALLOW_PRIVATE = False
    (attempt,) = attempts(customer, backend)
    assert "not a public address" in attempt["error"]
    assert backend.events == []


def test_a_long_answer_is_cut(customer: ApiCustomer, backend: TestBackend) -> None:
    backend.documents["/initiate"] = "<Response>" + " " * MAX_SHOWN_BODY + "</Response>"
    (attempt,) = attempts(customer, backend)
    assert len(attempt["body"]) == MAX_SHOWN_BODY


def test_nothing_is_stored_but_that_it_was_ordered(customer: ApiCustomer, backend: TestBackend) -> None:
    attempts(customer, backend)
    assert not WebhookDelivery.objects.exists()
    entry = AuditEntry.objects.latest("number")
    assert (entry.chain, entry.action, entry.changes) == (customer.account_id, "application.test_callback", {})


def test_a_body_with_fields_is_refused(customer: ApiCustomer) -> None:
    application_id = customer.create()["applicationId"]
    answer = run(customer, application_id, {"url": "https://elsewhere.example/"})
    assert (answer.status_code, answer.json()["errors"][0]["source"]) == (400, {"field": "url"})


class _Clock:
    """A clock that stands still, so that a minute cannot end within a test."""

    @staticmethod
    def now() -> datetime:
        return datetime(2026, 11, 22, 12, 0, 18, tzinfo=UTC)


def test_ten_a_minute_are_the_limit_of_one_application(
    customer: ApiCustomer, backend: TestBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("voiceapps.api.access.throttles.timezone", _Clock)
    application_id = customer.create(callInitiatedCallbackUrl=f"{backend.url}/initiate")["applicationId"]
    assert {run(customer, application_id).status_code for _ in range(MAX_A_MINUTE)} == {200}
    refused = run(customer, application_id)
    assert (refused.status_code, refused["Retry-After"]) == (429, "42")
    assert refused.json()["errors"][0]["type"] == "too_many_requests"
    assert len(backend.events) == MAX_A_MINUTE
    assert attempts(customer, backend)


def test_too_many_concurrent_tests_are_refused(customer: ApiCustomer, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_application: object, *, actor: object) -> None:
        raise webhook_tests.TooManyRunningError

    monkeypatch.setattr(webhook_tests, "run", full)
    answer = run(customer, customer.create()["applicationId"])
    assert (answer.status_code, answer["Retry-After"]) == (429, "5")


def test_it_needs_the_write_scope_and_an_own_application(customer: ApiCustomer, stranger: ApiCustomer) -> None:
    application_id = customer.create()["applicationId"]
    assert run(stranger, application_id).status_code == 404
    customer._token = customer.ask_token(scope="voice-applications:read").json()["access_token"]
    assert run(customer, application_id).status_code == 403
