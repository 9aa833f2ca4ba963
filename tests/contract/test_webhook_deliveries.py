"""Webhook deliveries: pages, filters, attempts, replays."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.support.api import ApiCustomer
from tests.support.calls import STARTED, end, fetched, place, queued
from tests.unit.voiceapps.builders import attempted
from voiceapps.models import AuditEntry, WebhookAttempt, WebhookDelivery
from voiceapps.models.webhooks import MAX_SHOWN_ATTEMPTS
from voiceapps.rules.http.outbound import OutboundAnswer
from voiceapps.services.delivery import claims
from voiceapps.services.delivery.pacing import Room


def base(customer: ApiCustomer) -> str:
    return f"/v2/accounts/{customer.account_id}/webhook-deliveries"


def listed(customer: ApiCustomer, query: str = "") -> list[dict[str, Any]]:
    answer = customer.request("GET", base(customer) + query)
    assert answer.status_code == 200, answer.content
    data: list[dict[str, Any]] = answer.json()["data"]
    return data


def replay(customer: ApiCustomer, delivery: WebhookDelivery, **headers: str) -> Any:
    return customer.request("POST", f"{base(customer)}/{delivery.pk}/replays", **headers)


@pytest.fixture
def failed(customer: ApiCustomer) -> WebhookDelivery:
    delivery = queued(place(customer.account_id))
    attempted(delivery, OutboundAnswer(410, b"gone", "text/plain", 31, None))
    delivery.refresh_from_db()
    return delivery


class TestList:
    def test_an_entry_has_everything_but_the_credentials(self, customer: ApiCustomer) -> None:
        application_id = customer.create()["applicationId"]
        delivery = queued(place(customer.account_id, application_id=application_id))
        (entry,) = listed(customer)
        assert entry.pop("nextAttemptTime").endswith("Z")
        assert entry == {
            "deliveryId": str(delivery.pk),
            "callId": delivery.call_id,
            "applicationId": application_id,
            "eventType": "recordingAvailable",
            "synchronous": False,
            "url": "https://a.example/recording",
            "method": "POST",
            "state": "pending",
            "createdTime": "2023-11-14T22:13:25.250Z",
            "attemptCount": 0,
        }

    def test_the_newest_come_first_page_by_page(self, customer: ApiCustomer) -> None:
        call = place(customer.account_id)
        # Two of them have the same time: the id decides.
        rows = [queued(call, STARTED + second) for second in (1, 2, 2, 3)]
        shown, path = [], f"{base(customer)}?limit=1"
        while path:
            body = customer.request("GET", path).json()
            shown += [entry["deliveryId"] for entry in body["data"]]
            path = next((link["href"] for link in body["links"] if link["rel"] == "next"), "")
        assert shown[0] == str(rows[3].pk)
        assert set(shown[1:3]) == {str(row.pk) for row in WebhookDelivery.objects.filter(created_at=rows[1].created_at)}
        assert shown[3] == str(rows[0].pk)

    def test_filters(self, customer: ApiCustomer) -> None:
        application_id = customer.create()["applicationId"]
        first, second = place(customer.account_id, 1, application_id=application_id), place(customer.account_id, 2)
        early = str(fetched(first, at=STARTED).pk)
        late = str(queued(second, at=STARTED + 5).pk)
        wanted = {
            "state=delivered": [early],
            "state=pending": [late],
            "eventType=initiate": [early],
            f"callId={second.call_id}": [late],
            f"applicationId={application_id}": [early],
            "startTime=2023-11-14T22:13:25.250Z": [late],
            "endTime=2023-11-14T22:13:25.250Z": [early],
            "state=failed": [],
            "state=pending&eventType=initiate": [],
        }
        assert {query: [entry["deliveryId"] for entry in listed(customer, f"?{query}")] for query in wanted} == wanted

    @pytest.mark.parametrize(
        "query", ["state=lost", "applicationId=7", "startTime=yesterday", "colour=blue", "limit=0", "afterCursor=x", "callId=%00"]
    )
    def test_a_bad_parameter_is_named(self, customer: ApiCustomer, query: str) -> None:
        answer = customer.request("GET", f"{base(customer)}?{query}")
        assert answer.status_code == 400
        assert answer.json()["errors"][0]["source"] == {"parameter": query.partition("=")[0]}

    def test_a_longer_list_costs_no_more_queries(self, customer: ApiCustomer) -> None:
        assert customer.token
        call, counts = place(customer.account_id), []
        for number in (1, 2, 3):
            attempted(queued(call, STARTED + number), OutboundAnswer(500, b"", "", 1, None))
            with CaptureQueriesContext(connection) as seen:
                assert [entry["attemptCount"] for entry in listed(customer)] == [1] * number
            counts.append(len(seen))
        assert counts[2] == counts[1]

    def test_another_accounts_deliveries_are_not_found(self, customer: ApiCustomer, stranger: ApiCustomer, failed: WebhookDelivery) -> None:
        assert listed(stranger) == []
        assert stranger.request("GET", f"{base(stranger)}/{failed.pk}").status_code == 404
        assert replay(stranger, failed).status_code == 404
        failed.refresh_from_db()
        assert failed.state == "failed"


class TestOne:
    def test_it_shows_the_event_and_every_attempt(self, customer: ApiCustomer, failed: WebhookDelivery) -> None:
        answer = customer.request("GET", f"{base(customer)}/{failed.pk}")
        data = answer.json()["data"]
        assert (data["state"], data["attemptCount"], data["nextAttemptTime"]) == ("failed", 1, None)
        assert data["requestBody"] == {"eventType": "recordingAvailable", "callId": failed.call_id}
        (attempt,) = data["attempts"]
        assert attempt.pop("time").endswith("Z")
        assert attempt == {"url": failed.url, "status": 410, "latencyMs": 31, "error": None, "responseBody": "gone"}
        assert "p-secret" not in answer.content.decode()
        assert '"user"' not in answer.content.decode()

    def test_a_webhook_without_an_answer_says_why(self, customer: ApiCustomer) -> None:
        delivery = fetched(place(customer.account_id), status=None)
        (attempt,) = customer.request("GET", f"{base(customer)}/{delivery.pk}").json()["data"]["attempts"]
        assert (attempt["status"], attempt["error"]) == (None, "No answer within 15 s.")

    def test_only_the_newest_attempts_are_shown(self, customer: ApiCustomer, failed: WebhookDelivery) -> None:
        for number in range(MAX_SHOWN_ATTEMPTS):
            WebhookAttempt.objects.create(delivery=failed, at=timezone.now(), url=failed.url, status=500, latency_ms=number)
        data = customer.request("GET", f"{base(customer)}/{failed.pk}").json()["data"]
        assert data["attemptCount"] == MAX_SHOWN_ATTEMPTS + 1
        assert [attempt["latencyMs"] for attempt in data["attempts"]] == list(range(MAX_SHOWN_ATTEMPTS))


class TestReplay:
    def test_it_is_pending_again_and_due_now(self, customer: ApiCustomer, failed: WebhookDelivery) -> None:
        answer = replay(customer, failed)
        assert answer.status_code == 202
        data = answer.json()["data"]
        assert (data["deliveryId"], data["state"], data["attemptCount"]) == (str(failed.pk), "pending", 1)
        [claimed] = claims.claim(Room())
        request = claimed.request
        assert (request.url, request.username, request.password) == (failed.url, "user", "p-secret")

    def test_it_is_in_the_audit_once(self, customer: ApiCustomer, failed: WebhookDelivery) -> None:
        replay(customer, failed)
        entry = AuditEntry.objects.get(action="webhook.replay")
        assert (entry.chain, entry.subject, entry.actor) == (customer.account_id, str(failed.pk), f"client {customer.client_id}")
        assert "p-secret" not in json.dumps(entry.changes)

    def test_a_pending_delivery_is_a_conflict(self, customer: ApiCustomer, failed: WebhookDelivery) -> None:
        replay(customer, failed)
        answer = replay(customer, failed)
        assert (answer.status_code, answer.json()["errors"][0]["type"]) == (409, "delivery_pending")
        assert AuditEntry.objects.filter(action="webhook.replay").count() == 1

    def test_a_synchronous_delivery_cannot_be_replayed(self, customer: ApiCustomer) -> None:
        delivery = fetched(place(customer.account_id))
        answer = replay(customer, delivery)
        assert (answer.status_code, answer.json()["errors"][0]["type"]) == (409, "not_replayable")
        assert not AuditEntry.objects.filter(action="webhook.replay").exists()

    def test_the_same_key_acts_once(self, customer: ApiCustomer, failed: WebhookDelivery) -> None:
        first, second = replay(customer, failed, Idempotency_Key="k"), replay(customer, failed, Idempotency_Key="k")
        assert (first.status_code, second.status_code) == (202, 202)
        assert second.json() == first.json()
        assert AuditEntry.objects.filter(action="webhook.replay").count() == 1

    def test_it_needs_a_scope_and_takes_no_fields(self, customer: ApiCustomer, failed: WebhookDelivery) -> None:
        answer = customer.request("POST", f"{base(customer)}/{failed.pk}/replays", {"url": "https://elsewhere.example/"})
        assert (answer.status_code, answer.json()["errors"][0]["source"]) == (400, {"field": "url"})
        customer._token = customer.ask_token(scope="calls:read").json()["access_token"]
        assert replay(customer, failed).status_code == 403

    def test_a_disconnect_can_be_replayed_after_its_call(self, customer: ApiCustomer) -> None:
        application_id = customer.create(callStatusCallbackUrl="https://a.example/status")["applicationId"]
        end(place(customer.account_id, application_id=application_id))
        delivery = WebhookDelivery.objects.get(event_type="disconnect")
        attempted(delivery, OutboundAnswer(204, b"", "", 1, None))
        assert replay(customer, delivery).status_code == 202
