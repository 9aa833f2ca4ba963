"""BXML checks: the parser's result over HTTP."""

from __future__ import annotations

from typing import Any

import pytest
from bandwidth.models.bxml import Hangup, Response, SpeakSentence

from callflow.bxml.limits import MAX_DOCUMENT_BYTES
from tests.support.api import ApiCustomer

PATH = "/v2/bxml-checks"


def check(customer: ApiCustomer, document: str | bytes, media_type: str = "application/xml") -> Any:
    headers = {"Authorization": f"Bearer {customer.token}"}
    return customer.http.generic("POST", PATH, document, content_type=media_type, headers=headers)


@pytest.mark.parametrize("media_type", ["application/xml", "text/xml", "application/xml; charset=utf-8"])
def test_the_vendors_document_is_valid(customer: ApiCustomer, media_type: str) -> None:
    answer = check(customer, Response([SpeakSentence("Hello.", voice="julie"), Hangup()]).to_bxml(), media_type)
    assert answer.status_code == 200
    assert answer.json()["data"] == {
        "valid": True,
        "verbs": [
            {"name": "SpeakSentence", "line": 2, "attributes": {"voice": "julie"}},
            {"name": "Hangup", "line": 2, "attributes": {}},
        ],
        "errors": [],
    }


def test_a_broken_document_is_answered_with_200(customer: ApiCustomer) -> None:
    answer = check(customer, '<Response>\n<Pause lenght="2"/>\n<Dance/>\n</Response>')
    assert answer.status_code == 200
    data = answer.json()["data"]
    assert (data["valid"], data["verbs"]) == (False, [])
    assert data["errors"][0] == {"line": 2, "description": "<Pause> has no attribute 'lenght'."}
    assert data["errors"][1]["line"] == 3


def test_the_character_set_is_that_of_the_content_type(customer: ApiCustomer) -> None:
    document = "<Response><SpeakSentence>café</SpeakSentence></Response>".encode("iso-8859-1")
    assert check(customer, document, "text/xml;charset=ISO-8859-1").json()["data"]["valid"] is True
    assert check(customer, document, "text/xml; charset=utf-8").json()["data"]["valid"] is False


@pytest.mark.parametrize("document", [b"", b"no xml", b"\x00", b"\xff\xfe", b"<Response>"])
def test_any_bytes_are_checked(customer: ApiCustomer, document: bytes) -> None:
    answer = check(customer, document)
    assert (answer.status_code, answer.json()["data"]["valid"]) == (200, False)


def test_64_kb_are_the_limit(customer: ApiCustomer) -> None:
    frame = "<Response></Response>"
    assert check(customer, frame.replace("><", f">{' ' * (MAX_DOCUMENT_BYTES - len(frame))}<")).json()["data"]["valid"] is True
    answer = check(customer, " " * (MAX_DOCUMENT_BYTES + 1))
    assert (answer.status_code, answer.json()["errors"][0]["type"]) == (413, "payload_too_large")


def test_another_media_type_is_415(customer: ApiCustomer) -> None:
    assert check(customer, "{}", "application/json").status_code == 415


def test_it_needs_a_token_but_no_scope(customer: ApiCustomer) -> None:
    customer._token = customer.ask_token(scope="recordings:read").json()["access_token"]
    assert check(customer, "<Response/>").status_code == 200
    assert customer.http.generic("POST", PATH, "<Response/>", content_type="application/xml").status_code == 401
