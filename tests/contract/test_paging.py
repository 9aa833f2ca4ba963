"""Lists in pages: nothing shown twice, nothing left out, invalid cursors refused."""

from __future__ import annotations

import base64
import json
from urllib.parse import urlsplit

import pytest

from tests.support.api import ApiCustomer
from voiceapps.models import Account, VoiceApplication


def fill(customer: ApiCustomer, names: list[str]) -> None:
    account = Account.objects.get(pk=customer.account_id)
    VoiceApplication.objects.bulk_create(VoiceApplication(account=account, name=name, initiated_url="https://a.example/") for name in names)


def walk(customer: ApiCustomer, path: str) -> list[list[str]]:
    pages: list[list[str]] = []
    while path:
        body = customer.request("GET", path).json()
        pages.append([entry["applicationName"] for entry in body["data"]])
        links = {link["rel"]: link for link in body["links"]}
        assert links["self"]["method"] == "GET"
        url = urlsplit(links["next"]["href"]) if "next" in links else None
        path = f"{url.path}?{url.query}" if url else ""
    return pages


def test_pages_hold_every_entry_once_in_order(customer: ApiCustomer) -> None:
    fill(customer, ["b", "a", "same", "same", "same", "c", "Ü"])
    assert walk(customer, f"{customer.base}?limit=2") == [["a", "b"], ["c", "same"], ["same", "same"], ["Ü"]]


def test_the_last_page_has_no_next(customer: ApiCustomer) -> None:
    fill(customer, ["a", "b"])
    assert walk(customer, f"{customer.base}?limit=2") == [["a", "b"]]
    assert walk(customer, customer.base) == [["a", "b"]]


def test_changes_between_pages_shift_nothing(customer: ApiCustomer) -> None:
    fill(customer, list("abcdef"))
    first = customer.request("GET", f"{customer.base}?limit=3").json()
    VoiceApplication.objects.filter(name="b").delete()
    fill(customer, ["aa"])
    url = urlsplit(first["links"][1]["href"])
    assert walk(customer, f"{url.path}?{url.query}") == [["d", "e", "f"]]


def test_the_next_link_keeps_the_filter(customer: ApiCustomer) -> None:
    fill(customer, ["Sales", "Presales", "Support"])
    assert walk(customer, f"{customer.base}?applicationName=SALES&limit=1") == [["Presales"], ["Sales"]]


def test_a_cursor_reveals_nothing_of_another_account(customer: ApiCustomer, stranger: ApiCustomer) -> None:
    fill(customer, ["a", "b"])
    fill(stranger, ["z"])
    url = urlsplit(customer.request("GET", f"{customer.base}?limit=1").json()["links"][1]["href"])
    assert walk(stranger, f"{stranger.base}?{url.query}") == [["z"]]


def cursor(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode()


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "!!!",
        "%00",
        "a" * 1025,
        cursor([]),
        cursor(["a"]),
        cursor(["a", "no-uuid"]),
        cursor(["a\0", "x"]),
        cursor({}),
        cursor([None, 1]),
    ],
)
def test_an_invalid_cursor_is_refused_by_name(customer: ApiCustomer, text: str) -> None:
    answer = customer.request("GET", f"{customer.base}?afterCursor={text}")
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["source"] == {"parameter": "afterCursor"}


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=x", "limit=", "limt=5", "limit=1&limit=2"])
def test_a_bad_parameter_is_named(customer: ApiCustomer, query: str) -> None:
    answer = customer.request("GET", f"{customer.base}?{query}")
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["source"]["parameter"] in query
