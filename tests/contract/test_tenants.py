"""Every operation of openapi.json against every kind of caller.

Own account: success. Another or an unknown account: 403. No token or an expired one: 401. The wrong scope: 403. And no
answer tells whether something exists in another's account.
"""

from __future__ import annotations

import re
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from oauth2_provider.models import AccessToken

from tests.support.api import ApiCustomer
from tests.support.backend import TestBackend
from tests.support.objects import one_of_each
from tests.support.operations import OPERATIONS, Operation, send
from voiceapps.models import VoiceApplication, WebhookDelivery
from voiceapps.models.accounts import SCOPES

pytestmark = pytest.mark.usefixtures("order_taker")

OF_ACCOUNTS = [operation for operation in OPERATIONS if "{accountId}" in operation.path]
OF_OBJECTS = [operation for operation in OF_ACCOUNTS if operation.path.count("{") > 1]


def named(operations: list[Operation]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("operation", operations, ids=lambda operation: operation.name)


@pytest.fixture
def objects(customer: ApiCustomer) -> dict[str, str]:
    return one_of_each(customer)


@named(OPERATIONS)
def test_its_own_account_succeeds(customer: ApiCustomer, objects: dict[str, str], operation: Operation, backend_url: str) -> None:
    VoiceApplication.objects.update(initiated_url=backend_url)
    answer = send(customer, operation, objects)
    assert 200 <= answer.status_code < 300, answer.content


@named(OF_ACCOUNTS)
def test_anothers_account_is_forbidden(stranger: ApiCustomer, objects: dict[str, str], operation: Operation) -> None:
    assert send(stranger, operation, objects).status_code == 403


@named(OF_ACCOUNTS)
def test_an_unknown_account_is_forbidden(customer: ApiCustomer, objects: dict[str, str], operation: Operation) -> None:
    for account in ("1234567", "not-a-number", "9900000 ", "٩٩٠٠٠٠٠", "%00"):
        assert send(customer, operation, objects | {"accountId": account}).status_code == 403


@named(OPERATIONS)
def test_without_a_token_it_is_401(customer: ApiCustomer, objects: dict[str, str], operation: Operation) -> None:
    answer = send(customer, operation, objects, token="")
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"].startswith("Bearer")


@named(OPERATIONS)
def test_an_expired_token_is_401(customer: ApiCustomer, objects: dict[str, str], operation: Operation) -> None:
    token = customer.token
    AccessToken.objects.update(expires=timezone.now() - timedelta(seconds=1))
    assert send(customer, operation, objects, token=token).status_code == 401


@named([operation for operation in OPERATIONS if operation.scope])
def test_a_token_of_every_other_scope_is_not_enough(customer: ApiCustomer, objects: dict[str, str], operation: Operation) -> None:
    others = " ".join(scope for scope in SCOPES if scope != operation.scope)
    answer = send(customer, operation, objects, token=customer.ask_token(scope=others).json()["access_token"])
    assert answer.status_code == 403
    assert operation.scope in answer.content.decode()


@named(OF_OBJECTS)
def test_a_foreign_object_looks_like_a_missing_one(
    customer: ApiCustomer, stranger: ApiCustomer, objects: dict[str, str], operation: Operation
) -> None:
    nobodys = {
        "applicationId": str(uuid.uuid4()),
        "callId": f"c-{uuid.uuid4()}",
        "recordingId": f"r-{uuid.uuid4()}",
        "transcriptionId": f"t-{uuid.uuid4()}",
        "deliveryId": str(uuid.uuid4()),
    }
    under_ones_own = {"accountId": stranger.account_id}
    anothers = send(stranger, operation, objects | under_ones_own)
    unknown = send(stranger, operation, objects | nobodys | under_ones_own)
    assert anothers.status_code == unknown.status_code
    assert comparable(anothers, objects) == comparable(unknown, nobodys)
    forbidden = send(stranger, operation, objects)
    forbidden_unknown = send(stranger, operation, objects | nobodys)
    assert comparable(forbidden, objects) == comparable(forbidden_unknown, nobodys)
    assert WebhookDelivery.objects.filter(account_id=customer.account_id, state="failed").exists()


def comparable(answer: Any, asked: dict[str, str]) -> str:
    """Return an answer without its own ids and those of the request."""
    text = re.sub(r'"id": ?"[0-9a-f-]{36}"', "", answer.content.decode())
    for value in asked.values():
        text = text.replace(value, "")
    return text


@pytest.fixture
def backend_url() -> Any:
    backend = TestBackend({})
    yield backend.url
    backend.close()
