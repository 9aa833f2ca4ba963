"""What the charset of a request's Content-Type may and may not do."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client, RequestFactory

from sipuri_project.http_request import Utf8Handler, Utf8Request
from tests.support.api import ApiCustomer

NO_CHARSETS = ["zlib", "rot13", "bz2", "hex", "uu", "idna", "undefined"]
TEXT = '{"applicationName":"é"}'


def bearer(customer: ApiCustomer) -> dict[str, str]:
    return {"Authorization": f"Bearer {customer.token}"}


def ask(method: str, path: str, kind: str, body: bytes = b"", token: str = "") -> Any:
    """Return the answer of the web role's own way from the wire, which Django's test client does not take."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    environ = RequestFactory().generic(method, path, body, kind, headers=headers).environ
    return Utf8Handler().get_response(Utf8Request(environ))


@pytest.mark.parametrize("charset", [*NO_CHARSETS, "utf-16", "nonsense"])
@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v2/accounts/{}/voice-applications", 400),
        ("/api/v2/accounts/{}/calls", 400),
        ("/console/login/", 200),
        ("/openapi.json", 200),
        ("/nothing", 404),
    ],
)
def test_a_query_is_utf_8_whatever_the_body_is(customer: ApiCustomer, charset: str, path: str, status: int) -> None:
    address = f"{path.format(customer.account_id)}?%C3%A4=1"
    answer = ask("GET", address, f"application/json; charset={charset}", token=customer.token)
    assert answer.status_code == status
    assert status != 400 or "ä" in answer.content.decode()


@pytest.mark.parametrize("charset", NO_CHARSETS)
def test_a_form_is_utf_8(customer: ApiCustomer, charset: str) -> None:
    form = urlencode({"grant_type": "client_credentials", "client_id": customer.client_id, "client_secret": customer.secret})
    answer = ask("POST", "/api/v1/oauth2/token", f"application/x-www-form-urlencoded; charset={charset}", form.encode())
    assert answer.status_code == 200


@pytest.mark.parametrize("charset", [*NO_CHARSETS, "nonsense"])
def test_what_is_no_character_set_is_refused_by_name(customer: ApiCustomer, charset: str) -> None:
    answer = customer.http.generic("POST", customer.base, "{}", f"application/json; charset={charset}", headers=bearer(customer))
    description = answer.json()["errors"][0]["description"]
    assert (answer.status_code, description) == (400, f"JSON: The Content-Type names the character set '{charset}', which is unknown.")


@pytest.mark.parametrize(
    ("encoding", "charset"),
    [("utf-8", ""), ("utf-8", '"UTF-8"'), ("utf-8-sig", ""), ("utf-8-sig", "ISO-8859-1"), ("iso-8859-1", "ISO-8859-1"), ("utf-16", "")],
)
def test_json_is_read_by_its_mark_or_its_charset(customer: ApiCustomer, encoding: str, charset: str) -> None:
    address = f"{customer.base}/{customer.create()['applicationId']}"
    kind = "application/json" + (f"; charset={charset}" if charset else "")
    answer = customer.http.generic("PATCH", address, TEXT.encode(encoding), kind, headers=bearer(customer))
    assert answer.json()["data"]["applicationName"] == "é"


@pytest.mark.parametrize("body", [TEXT.encode("iso-8859-1"), b'{"a":\xff}', b"{", b'{"a":NaN}', b'{"a":' + b"9" * 5000 + b"}"])
def test_what_is_no_json_in_utf_8_is_refused(customer: ApiCustomer, body: bytes) -> None:
    answer = customer.http.generic("POST", customer.base, body, "application/json", headers=bearer(customer))
    assert (answer.status_code, answer.json()["errors"][0]["description"][:6]) == (400, "JSON: ")


@pytest.mark.parametrize("page", ["/docs/api", "/docs/redoc"])
def test_a_page_takes_no_other_method(client: Client, page: str) -> None:
    assert client.options(page).status_code == 405
    assert client.head(page).status_code == 200
