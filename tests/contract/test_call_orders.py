"""Changes of calls that go on: what the node gets, what is refused, and who may."""

from __future__ import annotations

import base64
from threading import BoundedSemaphore
from typing import Any

import pytest

from tests.support.api import ApiCustomer
from tests.support.calls import end, facts, place
from tests.support.order_taker import NODE, OrderTaker
from voiceapps.api.access import throttles
from voiceapps.models import ApiClient, CallOrder
from voiceapps.rules.call_orders import OrderKind, Outcome
from voiceapps.rules.reports import CallAdmitted, CallFacts, CallForwarded
from voiceapps.services import call_orders
from voiceapps.services.reports import write_reports

ACTIVE = {"redirectUrl": "https://backend.example.com/next"}
DOCUMENT = "<Bxml><SpeakSentence>Hi</SpeakSentence></Bxml>"
NOBODY = "c-00000000-00000000-0000-4000-8000-00000000dead"


@pytest.fixture
def call(customer: ApiCustomer) -> CallFacts:
    call = place(customer.account_id)
    write_reports([CallForwarded(call.call_id, NODE, "b1")])
    return call


def url(customer: ApiCustomer, call_id: str, part: str = "") -> str:
    return f"/api/v2/accounts/{customer.account_id}/calls/{call_id}{part}"


def update(customer: ApiCustomer, call: CallFacts, body: object) -> Any:
    return customer.request("POST", url(customer, call.call_id), body)


def put_document(customer: ApiCustomer, call_id: str, document: str | bytes, content_type: str = "application/xml") -> Any:
    headers = {"Authorization": f"Bearer {customer.token}"}
    return customer.http.put(url(customer, call_id, "/bxml"), document, content_type=content_type, headers=headers)


def problem(answer: Any) -> tuple[int, str, str]:
    error = answer.json()
    assert set(error) == {"type", "description", "id"}
    return answer.status_code, error["type"], error["description"]


def test_a_redirection_reaches_the_node_whole(customer: ApiCustomer, call: CallFacts, order_taker: OrderTaker) -> None:
    wanted = {
        "state": "active",
        "redirectUrl": "https://backend.example.com/next",
        "redirectMethod": "GET",
        "redirectFallbackUrl": "http://spare.example.com/",
        "redirectFallbackMethod": "POST",
        "username": "u",
        "password": " p ",
        "fallbackUsername": "fu",
        "fallbackPassword": "fp",
        "tag": "t" * 4096,
    }
    answer = update(customer, call, wanted)
    assert (answer.status_code, answer.content) == (200, b"")
    (order,) = order_taker.taken
    assert (order.call_id, order.kind, order.details) == (call.call_id, OrderKind.REDIRECT, wanted)
    assert not CallOrder.objects.exists()


@pytest.mark.parametrize(
    "body",
    [{"state": "completed"}, {"state": "completed", "redirectMethod": "POST", "redirectFallbackMethod": "POST"}],
)
def test_a_call_is_completed_as_each_sdk_says_it(
    customer: ApiCustomer, call: CallFacts, order_taker: OrderTaker, body: dict[str, str]
) -> None:
    assert update(customer, call, body).status_code == 200
    assert [(order.kind, order.details) for order in order_taker.taken] == [(OrderKind.COMPLETE, {})]


def test_a_document_reaches_the_node_as_it_was_written(customer: ApiCustomer, call: CallFacts, order_taker: OrderTaker) -> None:
    document = "<Bxml><SpeakSentence>Grüße</SpeakSentence></Bxml>".encode("latin-1")
    answer = put_document(customer, call.call_id, document, "application/xml; charset=iso-8859-1")
    assert (answer.status_code, answer.content) == (204, b"")
    assert order_taker.taken[0].details == {"bxml": document.decode("latin-1"), "charset": "iso-8859-1"}


@pytest.mark.parametrize("state", ["paused", "recording"])
def test_recording_is_paused_and_resumed(customer: ApiCustomer, call: CallFacts, order_taker: OrderTaker, state: str) -> None:
    answer = customer.request("PUT", url(customer, call.call_id, "/recording"), {"state": state})
    assert (answer.status_code, answer.content) == (200, b"")
    assert order_taker.taken[0].details == {"state": state}
    order_taker.outcome = Outcome.IDLE
    answer = customer.request("PUT", url(customer, call.call_id, "/recording"), {"state": state})
    assert problem(answer) == (404, "validation", f"Call {call.call_id} has no recording in progress")


@pytest.mark.parametrize(
    ("body", "description"),
    [
        ({}, "Invalid redirectUrl: Required when state is active."),
        ({"state": "active"}, "Invalid redirectUrl: Required when state is active."),
        ({"state": "active", "redirectUrl": None}, "Invalid redirectUrl: This field may not be null."),
        ({"redirectUrl": "ftp://h/"}, "Invalid redirectUrl: Must be an absolute URL; only http and https are allowed."),
        ({"redirectUrl": "/relative"}, "Invalid redirectUrl: Must be an absolute URL; only http and https are allowed."),
        (ACTIVE | {"redirectMethod": "PUT"}, 'Invalid redirectMethod: "PUT" is not a valid choice.'),
        (ACTIVE | {"redirectFallbackUrl": "x"}, "Invalid redirectFallbackUrl: Must be an absolute URL; only http and https are allowed."),
        (ACTIVE | {"tag": "t" * 4097}, "Invalid tag: Ensure this field has no more than 4096 characters."),
        (ACTIVE | {"username": 7}, "Invalid username: Must be a string."),
        (ACTIVE | {"callbackUrl": "https://h/"}, "Invalid callbackUrl: No such field."),
        ({"state": "paused"}, 'Invalid state: "paused" is not a valid choice.'),
        ({"state": "completed", "tag": "t"}, "Invalid tag: Not allowed when state is completed."),
        ({"state": "completed", **ACTIVE}, "Invalid redirectUrl: Not allowed when state is completed."),
    ],
)
def test_bad_updates_name_the_field_and_the_rule(customer: ApiCustomer, call: CallFacts, body: dict[str, object], description: str) -> None:
    assert problem(update(customer, call, body)) == (400, "validation", description)


@pytest.mark.parametrize(
    ("document", "description"),
    [
        ("", "Invalid BXML: The document is empty; a document that only hangs up is <Response/>."),
        ("invalid", "Invalid BXML: Line 1: Not well-formed XML: Start tag expected, '<' not found."),
        ("<Bxml><Dance/></Bxml>", "Invalid BXML: Line 1: <Dance> is not a verb of this system; it knows SpeakSentence"),
    ],
)
def test_bad_documents_name_the_line_and_the_rule(customer: ApiCustomer, call: CallFacts, document: str, description: str) -> None:
    status, kind, said = problem(put_document(customer, call.call_id, document))
    assert (status, kind) == (400, "validation")
    assert said.startswith(description)


def test_other_bodies_are_415(customer: ApiCustomer, call: CallFacts) -> None:
    assert problem(put_document(customer, call.call_id, "{}", "application/json"))[:2] == (415, "validation")
    headers = {"Authorization": f"Bearer {customer.token}"}
    answer = customer.http.post(url(customer, call.call_id), "<x/>", content_type="application/xml", headers=headers)
    assert problem(answer)[:2] == (415, "validation")


def test_an_unknown_call_is_404_and_an_ended_one_409(customer: ApiCustomer, call: CallFacts, order_taker: OrderTaker) -> None:
    assert problem(put_document(customer, NOBODY, DOCUMENT)) == (404, "validation", f"Call {NOBODY} not found")
    answer = customer.request("POST", url(customer, NOBODY), {"state": "completed"})
    assert problem(answer) == (404, "validation", f"Call {NOBODY} not found")
    end(call)
    over = 409, "validation", f"Call {call.call_id} cannot be modified in its current state"
    assert problem(update(customer, call, {"state": "completed"})) == over
    assert problem(put_document(customer, call.call_id, DOCUMENT)) == over
    assert order_taker.taken == []


def test_a_call_that_is_known_a_moment_later_is_waited_for(
    customer: ApiCustomer, order_taker: OrderTaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = facts(customer.account_id)
    order_taker.when_slept = lambda: write_reports([CallAdmitted(call, "proxy"), CallForwarded(call.call_id, NODE, "b1")])
    assert update(customer, call, {"state": "completed"}).status_code == 200
    monkeypatch.setattr(call_orders, "_waiters", BoundedSemaphore(1))
    assert call_orders._waiters.acquire()
    slept = order_taker.slept
    assert update(customer, facts(customer.account_id, 7), {"state": "completed"}).status_code == 404
    assert order_taker.slept == slept


def test_a_call_that_ends_in_the_same_moment_is_409(customer: ApiCustomer, call: CallFacts, order_taker: OrderTaker) -> None:
    order_taker.outcome = Outcome.OVER
    assert update(customer, call, {"state": "completed"}).status_code == 409
    assert not CallOrder.objects.exists()


def test_a_node_that_does_not_answer_is_503_and_does_nothing_later(customer: ApiCustomer, call: CallFacts, order_taker: OrderTaker) -> None:
    order_taker.is_there = False
    answer = update(customer, call, {"state": "completed"})
    assert problem(answer)[:2] == (503, "system-overloaded")
    assert answer["Retry-After"] == "1"
    assert not CallOrder.objects.exists()


def test_a_new_call_is_waited_for_until_its_node_is_known(customer: ApiCustomer, order_taker: OrderTaker) -> None:
    call = place(customer.account_id)
    answer = update(customer, call, {"state": "completed"})
    assert problem(answer)[:2] == (503, "system-overloaded")
    assert order_taker.taken == []


def test_http_basic_is_as_good_as_a_token(customer: ApiCustomer, stranger: ApiCustomer, call: CallFacts, order_taker: OrderTaker) -> None:
    def ask(who: ApiCustomer, method: str = "POST", secret: str | None = None) -> Any:
        basic = base64.b64encode(f"{who.client_id}:{secret or who.secret}".encode()).decode()
        return customer.http.generic(
            method,
            url(customer, call.call_id),
            '{"state": "completed"}',
            content_type="application/json",
            headers={"Authorization": f"Basic {basic}"},
        )

    assert ask(customer, "GET").json()["callId"] == call.call_id
    assert ask(customer).status_code == 200
    assert problem(ask(stranger))[:2] == (403, "authorization-error")
    ApiClient.objects.filter(client_id=customer.client_id).update(scopes=["calls:read"])
    assert ask(customer, "GET").status_code == 200
    assert problem(ask(customer))[:2] == (403, "authorization-error")
    wrong = ask(customer, secret="wrong")
    assert problem(wrong) == (401, "authentication-error", "The credentials provided were invalid.")
    assert 'Basic realm="sipuri"' in wrong["WWW-Authenticate"]
    challenge = customer.http.get(url(customer, call.call_id))["WWW-Authenticate"]
    assert challenge == 'Bearer realm="sipuri", Basic realm="sipuri", charset="UTF-8"'
    for _ in range(throttles.MAX_FAILURES):
        ask(customer, secret="wrong")
    assert problem(ask(customer))[:2] == (429, "error")
    assert len(order_taker.taken) == 1


def test_basic_is_for_call_control_alone(customer: ApiCustomer) -> None:
    basic = base64.b64encode(f"{customer.client_id}:{customer.secret}".encode()).decode()
    answer = customer.http.get(customer.base, headers={"Authorization": f"Basic {basic}"})
    assert answer.status_code == 401


def test_statistics(customer: ApiCustomer, call: CallFacts) -> None:
    place(customer.account_id, 2)
    path = f"/api/v2/accounts/{customer.account_id}/statistics"
    assert customer.request("GET", path).json() == {"currentCallQueueSize": 2, "maxCallQueueSize": 100}
    end(call)
    assert customer.request("GET", path).json()["currentCallQueueSize"] == 1
