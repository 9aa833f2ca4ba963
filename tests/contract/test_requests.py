"""Requests at the edge of what HTTP and JSON allow, each answered in its endpoint's own shape."""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager
from typing import Any

import pytest
from django.db import InterfaceError, OperationalError, ProgrammingError, connection
from django.test import Client

from sipuri_project.web.requests import BAD_BODY
from tests.support.api import ApiCustomer
from tests.support.calls import AUDIO, place, record
from voiceapps.api import health
from voiceapps.api.wire.body import MAX_DEPTH

TOKEN = "/api/v1/oauth2/token"  # noqa: S105  # a path


def described(answer: Any) -> str:
    """Return the sentence of an error in whichever shape its path has."""
    body = answer.json()
    if "errors" in body:
        assert (body["links"], body["data"]) == ([], None)
        return str(body["errors"][0]["description"])
    return str(body.get("error_description") or body["description"])


class TestJson:
    @pytest.mark.parametrize("depth", [MAX_DEPTH + 1, 3_000, 30_000])
    @pytest.mark.parametrize(("opened", "closed"), [("[", "]"), ('{"a":', "}")])
    def test_deep_nesting_is_refused(self, customer: ApiCustomer, depth: int, opened: str, closed: str) -> None:
        body = '{"applicationName":' + opened * depth + "1" + closed * depth + "}"
        answer = customer.http.generic("POST", customer.base, body[: 64 * 1024], "application/json", headers=bearer(customer))
        assert (answer.status_code, "errors" in answer.json()) == (400, True)

    @pytest.mark.parametrize(
        "body", ['{"\\ud800":1}', '{"applicationName":"\\udfff"}', '{"callbackCreds":{"userId":["\\ud800"]}}', '"\\ud800"']
    )
    @pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "k"}])
    def test_half_a_character_is_refused(self, customer: ApiCustomer, body: str, headers: dict[str, str]) -> None:
        answer = customer.http.generic("POST", customer.base, body, "application/json", headers=bearer(customer) | headers)
        assert (answer.status_code, described(answer)) == (400, "JSON: a text holds half of a surrogate pair.")

    def test_a_whole_character_is_taken(self, customer: ApiCustomer) -> None:
        assert customer.create(applicationName="\U0001f600")["applicationName"] == "\U0001f600"

    @pytest.mark.parametrize("name", ["callbackCreds", "callInitiatedFallbackCreds"])
    def test_an_unknown_nested_field_is_named(self, customer: ApiCustomer, name: str) -> None:
        body = {name: {"userId": "u", "password": "p", "foo": 1}}
        errors = customer.patch(customer.create()["applicationId"], body).json()["errors"]
        assert [(error["source"], error["description"]) for error in errors] == [({"field": f"{name}.foo"}, "No such field.")]


class TestScopes:
    @pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
    @pytest.mark.parametrize("path", ["voice-applications", "audit-entries", "webhook-deliveries"])
    def test_what_shows_a_resource_needs_its_scope(self, customer: ApiCustomer, method: str, path: str) -> None:
        token = customer.ask_token(scope="recordings:read").json()["access_token"]
        address = f"/v2/accounts/{customer.account_id}/{path}"
        assert customer.http.generic(method, address, headers={"Authorization": f"Bearer {token}"}).status_code == 403
        assert customer.http.generic(method, address).status_code == 401


class TestIds:
    def test_ids_are_found_in_upper_case(self, customer: ApiCustomer) -> None:
        application_id = customer.create()["applicationId"]
        assert customer.get(application_id.upper()).json()["data"]["applicationId"] == application_id
        call = place(customer.account_id, application_id=application_id)
        path = f"/api/v2/accounts/{customer.account_id}/calls/{call.call_id.upper()}"
        assert customer.request("GET", path).json()["callId"] == call.call_id
        recording_id = record(call)
        assert customer.request("GET", f"{path}/recordings/{recording_id.upper()}").json()["recordingId"] == recording_id
        assert customer.get(application_id[:-1]).status_code == 404


class TestRange:
    @pytest.fixture
    def media(self, customer: ApiCustomer) -> str:
        call = place(customer.account_id)
        return f"/api/v2/accounts/{customer.account_id}/calls/{call.call_id}/recordings/{record(call)}/media"

    @pytest.mark.parametrize(
        ("wanted", "first", "last"),
        [("bytes=0-3", 0, 3), ("bytes=4-", 4, 11), ("bytes=-4", 8, 11), ("bytes=-99", 0, 11), ("Bytes=5-5", 5, 5), ("bytes=11-99", 11, 11)],
    )
    def test_a_range(self, customer: ApiCustomer, media: str, wanted: str, first: int, last: int) -> None:
        answer = customer.request("GET", media, Range=wanted)
        assert (answer.status_code, answer["Content-Range"]) == (206, f"bytes {first}-{last}/{len(AUDIO)}")
        assert answer["Content-Length"] == str(last - first + 1)
        assert b"".join(answer.streaming_content) == AUDIO[first : last + 1]

    @pytest.mark.parametrize("wanted", ["bytes=12-", "bytes=99-100", "bytes=-0"])
    def test_a_range_behind_the_end(self, customer: ApiCustomer, media: str, wanted: str) -> None:
        answer = customer.request("GET", media, Range=wanted)
        assert (answer.status_code, answer["Content-Range"], answer.json()["type"]) == (416, "bytes */12", "validation")

    @pytest.mark.parametrize("wanted", ["bytes=3-1", "bytes=-", "lines=1-2", "bytes=0-1,3-4", "bytes=a-b", "bytes 0-1"])
    def test_what_is_no_range_of_ours_brings_the_whole(self, customer: ApiCustomer, media: str, wanted: str) -> None:
        answer = customer.request("GET", media, Range=wanted)
        assert (answer.status_code, answer["Accept-Ranges"], b"".join(answer.streaming_content)) == (200, "bytes", AUDIO)

    def test_if_range(self, customer: ApiCustomer, media: str) -> None:
        tag = customer.request("GET", media)["ETag"]
        assert customer.request("GET", media, Range="bytes=0-0", If_Range=tag).status_code == 206
        for other in ('"another"', f"W/{tag}", "Wed, 21 Oct 2026 07:28:00 GMT"):
            assert customer.request("GET", media, Range="bytes=0-0", If_Range=other).status_code == 200

    def test_head_shows_the_whole(self, customer: ApiCustomer, media: str) -> None:
        answer = customer.request("HEAD", media, Range="bytes=0-3")
        assert (answer.status_code, answer["Content-Length"]) == (200, "12")


@pytest.mark.parametrize("path", ["/v2/accounts/1/voice-applications", "/api/v2/accounts/1/calls", TOKEN, "/v2/nowhere"])
def test_a_wrong_host_is_answered_in_the_endpoints_shape(path: str) -> None:
    answer = Client().get(path, headers={"Host": "evil.example"})
    assert (answer.status_code, described(answer)) == (400, "The Host header names no host of this system.")


def failing(error: Exception) -> AbstractContextManager[None]:
    """Let every query fail."""

    def execute(*_args: object) -> None:
        raise error

    return connection.execute_wrapper(execute)


@pytest.mark.parametrize("error", [OperationalError("database is locked"), InterfaceError("connection already closed")])
class TestDatabaseAway:
    @pytest.mark.parametrize(
        ("method", "path", "shape"),
        [
            ("PATCH", "/v2/accounts/9900000/voice-applications/15f99d57-f823-4718-80cc-5d95d5b83e59", "errors"),
            ("GET", "/v2/accounts/9900000/voice-applications", "errors"),
            ("GET", "/api/v2/accounts/9900000/calls", "type"),
        ],
    )
    def test_it_is_503_and_says_when_to_come_back(
        self, customer: ApiCustomer, error: Exception, method: str, path: str, shape: str
    ) -> None:
        assert customer.token
        with failing(error):
            answer = customer.request(method, path, {} if method == "PATCH" else None)
        assert (answer.status_code, answer["Retry-After"]) == (503, "5")
        assert shape in answer.json()

    def test_the_token_endpoint_keeps_its_shape(self, customer: ApiCustomer, error: Exception) -> None:
        with failing(error):
            answer = customer.ask_token()
        assert (answer.status_code, answer["Retry-After"], answer["Cache-Control"]) == (503, "5", "no-store")
        assert answer.json()["error"] == "temporarily_unavailable"

    def test_the_console_too(self, customer: ApiCustomer, error: Exception) -> None:
        customer.http.raise_request_exception = False
        customer.http.cookies["sessionid"] = "x" * 32
        with failing(error):
            answer = customer.http.get("/console/")
        assert (answer.status_code, answer["Retry-After"]) == (503, "5")


class TestHealth:
    def test_any_error_of_the_database_is_told_in_its_own_shape(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(_role: str) -> None:
            raise ProgrammingError("no such table")

        monkeypatch.setattr(health, "live_nodes", fail)
        assert self._ask() == (503, "5", "away")

    def test_a_database_that_does_not_answer_is_not_waited_for(self, monkeypatch: pytest.MonkeyPatch) -> None:
        answers = threading.Event()
        asked: list[str] = []

        def hang(role: str) -> tuple[()]:
            asked.append(role)
            assert answers.wait(60)
            return ()

        monkeypatch.setattr(health, "live_nodes", hang)
        monkeypatch.setattr(health, "ANSWER_SECONDS", 0.01)
        assert [self._ask(), self._ask()] == [(503, "5", "away")] * 2
        assert len(asked) == 1, "whoever asks meanwhile waits for the same answer"
        answers.set()
        monkeypatch.setattr(health, "ANSWER_SECONDS", 60)
        assert self._ask() == (503, None, None)

    def _ask(self) -> tuple[int, str | None, str | None]:
        answer = Client().get("/healthz")
        body = answer.json()
        assert (body["status"], body["roles"]["web"]) == ("degraded", "ok")
        return answer.status_code, answer.get("Retry-After"), body.get("database")


BAD_BODIES = [
    ({"CONTENT_LENGTH": "65537"}, 413, "A body has at most 65536 bytes."),
    ({BAD_BODY: True}, 400, "The body does not end as its header fields say."),
]


@pytest.mark.parametrize(("about", "status", "sentence"), BAD_BODIES)
@pytest.mark.parametrize("path", ["/v2/accounts/1/voice-applications", "/api/v2/accounts/1/calls", TOKEN, "/v2/bxml-checks", "/v2/nowhere"])
def test_a_body_that_cannot_be_taken_is_refused_in_each_shape(path: str, about: dict[str, Any], status: int, sentence: str) -> None:
    answer = Client().post(path, **about)
    assert (answer.status_code, described(answer)) == (status, sentence)
    assert answer["X-Request-Id"]


@pytest.mark.parametrize(("about", "status", "sentence"), BAD_BODIES)
def test_the_console_refuses_it_by_a_sentence(about: dict[str, Any], status: int, sentence: str) -> None:
    answer = Client().post("/console/login/", **about)
    assert (answer.status_code, answer.content.decode()) == (status, f"{sentence}\n")


def bearer(customer: ApiCustomer) -> dict[str, str]:
    return {"Authorization": f"Bearer {customer.token}"}
