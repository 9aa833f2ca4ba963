"""Filters of webhooks: a link is read, and told by its field where it is wrong."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiceapps.rules.diagnosis.filter_fields import Asked, Place
from voiceapps.rules.diagnosis.webhook_filters import FIELDS, WebhookFilter, is_of_host, place, read

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
APP = "15f99d57-f823-4718-80cc-5d95d5b83e59"
CALL = "c-2f9d1b6a-7c1e4d5f-0a3b-4c6d-9e8f-1a2b3c4d5e6f"


def test_each_field_is_read() -> None:
    query = {"state": "failed", "event": "disconnect", "account": "9900000", "app": APP, "host": "Backend.example:8443", "call": CALL}
    found = read({**query, "since": "7d", "until": "2026-11-30T10:00"}, NOW).found
    assert found == WebhookFilter(
        state="failed",
        event_type="disconnect",
        account_id="9900000",
        application_id=UUID(APP),
        host="backend.example:8443",
        call_id=CALL,
        since=NOW - timedelta(days=7),
        until=NOW - timedelta(hours=2),
    )


def test_what_is_not_given_is_not_asked() -> None:
    assert read({"state": " ", "page": "3"}, NOW) == Asked({}, WebhookFilter())


@pytest.mark.parametrize(
    ("query", "field", "part"),
    [
        ({"state": "lost"}, "state", "failed, pending, delivered"),
        ({"event": "a b"}, "event", "disconnect"),
        ({"event": "x" * 33}, "event", "disconnect"),
        ({"account": "12a"}, "account", "16 digits"),
        ({"app": "x"}, "app", "15f99d57"),
        ({"host": "https://a.example/"}, "host", "port"),
        ({"call": "abc@caller"}, "call", "c- and 45"),
        ({"since": "yesterday"}, "since", "2026-11-30T10:05"),
        ({"since": "1h", "until": "2h"}, "since", "before the end"),
        ({"since": "2026-12-01T00:00:00Z"}, "since", "before the end"),
    ],
)
def test_what_is_wrong_is_told_by_its_field(query: dict[str, str], field: str, part: str) -> None:
    found = read(query, NOW)
    assert found.found is None
    assert part in found.errors[field]
    assert found.given == query


@given(st.dictionaries(st.sampled_from(FIELDS), st.text()))
def test_whatever_is_typed_is_a_filter_or_an_error_and_stays_the_same(query: dict[str, str]) -> None:
    found = read(query, NOW)
    assert (found.found is None) == bool(found.errors)
    assert read(dict(parse_qsl(found.query())), NOW) == found


@pytest.mark.parametrize(
    ("host", "asked", "is_it"),
    [
        ("a.example:443", "a.example", True),
        ("a.example:443", "a.example:443", True),
        ("a.example:443", "a.example:80", False),
        ("b.a.example:443", "a.example", False),
        ("", "a.example", False),
    ],
)
def test_a_host_is_known_by_its_name_or_by_its_port_too(host: str, asked: str, is_it: bool) -> None:
    assert is_of_host(host, asked) is is_it


def test_a_place_names_a_delivery() -> None:
    there = Place(NOW, APP)
    assert place(str(there)) == there
    for text in ("", "x", f"{APP}", str(Place(NOW, "c-1")), f"1.{APP}\0"):
        with pytest.raises(ValueError, match="Not a place"):
            place(text)
