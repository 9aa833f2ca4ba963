"""Simulated calls by the API: ordered, run by the worker's runner against a real backend, and read."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from sipuri_project.supplied.simulations import simulate
from tests.contract.test_simulated_calls import MENU, backend
from tests.support.api import ApiCustomer
from tests.support.backend import TestBackend
from voiceapps.api.resources import call_simulations
from voiceapps.models import AuditEntry, CallSimulation, WebhookDelivery
from voiceapps.rules.trials.call_simulation import SimulatedCall
from voiceapps.services import webhooks
from voiceapps.services.trials import simulations
from voiceapps.services.trials.simulations import MAX_OPEN, Planned

__all__ = ["backend"]


@pytest.fixture
def path(customer: ApiCustomer, backend: TestBackend) -> str:
    application = customer.create(callInitiatedCallbackUrl=f"{backend.url}/start")
    return f"{customer.base}/{application['applicationId']}/call-simulations"


def run_waiting() -> None:
    """Run what waits, as a worker does."""
    for planned in simulations.claim(8):
        simulations.store(planned.simulation_id, asyncio.run(_run(planned)))


async def _run(planned: Planned) -> SimulatedCall:
    client = webhooks.new_client()
    try:
        return await simulate(planned, client, 10.0)
    finally:
        await client.close()


def ordered(customer: ApiCustomer, path: str, script: object, status: int = 202, key: str = "") -> Any:
    answer = customer.request("POST", path, script, **({"Idempotency-Key": key} if key else {}))
    assert answer.status_code == status, answer.content
    return answer.json()


def read(customer: ApiCustomer, path: str, number: str) -> Any:
    answer = customer.request("GET", f"{path}/{number}")
    assert answer.status_code == 200, answer.content
    return answer.json()["data"]


def test_a_script_is_run_and_its_transcript_read(customer: ApiCustomer, path: str, backend: TestBackend) -> None:
    order = ordered(customer, path, {"from": "sip:bob@example.org", "turns": [{"digits": "1"}], "hangUpAt": 60})["data"]
    assert (order["state"], order["problem"], order["startedTime"], order["endedTime"]) == ("waiting", None, None, None)
    waiting = read(customer, path, order["simulationId"])
    assert (waiting["state"], waiting["transcript"]) == ("waiting", [])
    run_waiting()
    ended = read(customer, path, order["simulationId"])
    assert (ended["state"], ended["problem"]) == ("ended", None)
    assert ended["createdTime"] <= ended["startedTime"] <= ended["endedTime"]
    assert ended["script"] == {"from": "sip:bob@example.org", "turns": [{"words": "", "seconds": 0.0, "digits": "1"}], "hangUpAt": 60.0}
    assert [(line["what"], line["text"]) for line in ended["transcript"]] == [
        ("arrived", "from sip:bob@example.org"),
        ("webhook", f"initiate to {backend.url}/start"),
        ("webhookAnswered", f"200, {len(MENU)} octets"),
        ("answered", ""),
        ("verb", "<Gather>, line 1"),
        ("says", "Press one (female, en_US)"),
        ("callerPresses", "1"),
        ("webhook", f"gather to {backend.url}/choice"),
        ("webhookAnswered", "200, 53 octets"),
        ("verb", "<SpeakSentence>, line 1"),
        ("says", "1 (female, en_US)"),
        ("hungUp", ""),
        ("ended", "hangup"),
    ]
    assert backend.simulated == 2
    assert not WebhookDelivery.objects.exists()


def test_a_call_that_fails_says_why(customer: ApiCustomer, path: str, backend: TestBackend) -> None:
    backend.documents["/start"] = 500
    number = ordered(customer, path, {})["data"]["simulationId"]
    run_waiting()
    ended = read(customer, path, number)
    assert ended["state"] == "ended"
    assert ended["problem"].startswith("callback-error: ")


def test_the_newest_come_first(customer: ApiCustomer, path: str) -> None:
    numbers = [ordered(customer, path, {})["data"]["simulationId"] for _ in range(3)]
    rows = customer.request("GET", path).json()["data"]
    assert [row["simulationId"] for row in rows] == numbers[::-1]
    assert "transcript" not in rows[0]


@pytest.mark.parametrize(
    ("script", "field", "sentence"),
    [
        ([], "", "Invalid data"),
        ({"to": "x"}, "to", "No such field."),
        ({"from": 7}, "from", "Must be a string."),
        ({"turns": {}}, "turns", "Expected a list"),
        ({"turns": [{}] * 101}, "turns", "no more than 100"),
        ({"turns": [{"press": "1"}]}, "turns", "No such field."),
        ({"turns": [{"digits": "1x"}]}, "turns", "does not match"),
        ({"turns": [{"seconds": True}]}, "turns", "Must be a number of seconds."),
        ({"turns": [{"seconds": 601}]}, "turns", "600"),
        ({"hangUpAt": -1}, "hangUpAt", "greater than or equal to 0"),
    ],
)
def test_a_script_that_breaks_a_rule_is_named(customer: ApiCustomer, path: str, script: object, field: str, sentence: str) -> None:
    answer = ordered(customer, path, script, 400)
    assert sentence in str(answer["errors"])
    assert field in str(answer["errors"])
    assert not CallSimulation.objects.exists()


def test_an_account_that_orders_too_many_waits(customer: ApiCustomer, path: str) -> None:
    for _ in range(MAX_OPEN):
        ordered(customer, path, {})
    answer = customer.request("POST", path, {})
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "5")


def test_a_minute_has_a_limit(customer: ApiCustomer, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call_simulations, "MAX_A_MINUTE", 1)
    ordered(customer, path, {})
    ordered(customer, path, {}, 429)


def test_an_order_that_is_repeated_is_one(customer: ApiCustomer, path: str) -> None:
    first, second = (ordered(customer, path, {"hangUpAt": 3}, key="one") for _ in range(2))
    assert first["data"] == second["data"]
    assert CallSimulation.objects.count() == 1


def test_another_application_has_none_of_it(customer: ApiCustomer, path: str, backend: TestBackend) -> None:
    number = ordered(customer, path, {})["data"]["simulationId"]
    other = customer.create(callInitiatedCallbackUrl=f"{backend.url}/start")["applicationId"]
    assert customer.request("GET", f"{customer.base}/{other}/call-simulations/{number}").status_code == 404
    assert AuditEntry.objects.get(action="application.simulate_call").subject in path
