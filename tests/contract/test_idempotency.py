"""Idempotency-Key: a repeated request acts once and never shows a secret twice."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from tests.support.api import CALLBACK, ApiCustomer
from voiceapps.models import AuditEntry, IdempotentAnswer, SipCredential, VoiceApplication
from voiceapps.services import idempotency

BODY: dict[str, object] = {"applicationName": "x", "callInitiatedCallbackUrl": CALLBACK}
SIP = {"inboundSipCallsEnabled": True, "passwordAuthEnabled": True}


def post(customer: ApiCustomer, body: object = None, key: str = "key-1") -> Any:
    return customer.request("POST", customer.base, body or BODY, Idempotency_Key=key)


def test_a_repeated_post_creates_one_application(customer: ApiCustomer) -> None:
    first, second = post(customer), post(customer)
    assert VoiceApplication.objects.count() == 1
    assert (second.status_code, second.json()) == (201, first.json())
    assert second["Location"] == first["Location"]
    assert second["ETag"] == first["ETag"]
    assert second["Idempotency-Replayed"] == "true"
    assert "Idempotency-Replayed" not in first


def test_another_key_or_no_key_acts_again(customer: ApiCustomer) -> None:
    post(customer)
    post(customer, key="key-2")
    customer.request("POST", customer.base, BODY)
    assert VoiceApplication.objects.count() == 3


def test_a_replayed_rotation_keeps_the_password_and_says_why_it_is_missing(customer: ApiCustomer) -> None:
    application_id = customer.create(**SIP)["applicationId"]
    first = customer.patch(application_id, {"passwordAuthEnabled": True}, Idempotency_Key="r").json()["data"]
    stored = SipCredential.objects.get().secrets
    second = customer.patch(application_id, {"passwordAuthEnabled": True}, Idempotency_Key="r").json()["data"]
    assert "sipAuthPassword" not in second
    assert "first answer" in second.pop("sipAuthPasswordNotice")
    assert second | {"sipAuthPassword": first["sipAuthPassword"]} == first
    assert SipCredential.objects.get().secrets == stored
    assert AuditEntry.objects.filter(action="application.update").count() == 1
    assert first["sipAuthPassword"] not in str(IdempotentAnswer.objects.values_list("document", "headers"))


def test_the_key_of_another_request_is_refused(customer: ApiCustomer) -> None:
    post(customer)
    answer = post(customer, BODY | {"applicationName": "y"})
    assert (answer.status_code, answer.json()["errors"][0]["type"]) == (409, "idempotency_key_reused")


def test_a_refused_request_may_be_corrected_under_its_key(customer: ApiCustomer) -> None:
    assert post(customer, {"applicationName": "x"}).status_code == 400
    assert post(customer).status_code == 201


def test_keys_of_two_clients_are_independent(customer: ApiCustomer, stranger: ApiCustomer) -> None:
    post(customer)
    answer = stranger.request("POST", stranger.base, BODY, Idempotency_Key="key-1")
    assert answer.status_code == 201
    assert VoiceApplication.objects.count() == 2


def test_an_answer_is_stored_for_a_day(customer: ApiCustomer) -> None:
    post(customer)
    IdempotentAnswer.objects.update(created_at=timezone.now() - timedelta(hours=23))
    idempotency.sweep()
    assert post(customer)["Idempotency-Replayed"] == "true"
    IdempotentAnswer.objects.update(created_at=timezone.now() - timedelta(hours=25))
    assert "Idempotency-Replayed" not in post(customer)
    IdempotentAnswer.objects.update(created_at=timezone.now() - timedelta(hours=25))
    idempotency.sweep()
    assert not IdempotentAnswer.objects.exists()


@pytest.mark.parametrize("key", ["", "a b", "x" * 256, "caf\xe9"])
def test_a_key_is_visible_ascii(customer: ApiCustomer, key: str) -> None:
    answer = post(customer, key=key)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["source"] == {"header": "Idempotency-Key"}
