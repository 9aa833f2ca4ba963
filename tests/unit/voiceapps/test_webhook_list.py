"""The list of webhooks: any filter, both ways, by an index, on either database; and each with its newest answer."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from tests.support.plans import plans_here
from tests.unit.voiceapps.builders import application
from voiceapps.models import Call, FailingHost, WebhookAttempt, WebhookDelivery
from voiceapps.reads import webhook_list
from voiceapps.reads.webhook_list import MAX_HOSTS, PAGE, WALKS, DeliveryPage, Search, failing_hosts, page
from voiceapps.rules.diagnosis.filter_fields import Place
from voiceapps.rules.diagnosis.webhook_filters import WebhookFilter

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
STATES = ("delivered", "delivered", "failed", "delivered", "pending")
HOSTS = ("a.example:443", "b.example:8443", "")


@pytest.fixture
def applications() -> list[UUID]:
    return [application(account).pk for account in ("9900000", "9900000", "9911111")]


@pytest.fixture
def deliveries(applications: list[UUID]) -> list[WebhookDelivery]:
    """120 webhooks of ten calls, the newest first; three are written at the same time, and each sort is one in so many."""
    calls = [
        Call(
            call_id=f"c-{number}",
            account_id="9911111" if number % 3 == 2 else "9900000",
            application_id=applications[number % 3],
            sip_call_id="x",
            source_ip="203.0.113.9",
            source_port=5060,
            started_at=NOW,
        )
        for number in range(10)
    ]
    Call.objects.bulk_create(calls)
    rows = [
        WebhookDelivery(
            delivery_id=UUID(int=900 - number),
            call=calls[number % 10],
            account_id=calls[number % 10].account_id,
            event_type=("initiate", "disconnect", "gather")[number % 3] if number < 10 else "gather",
            synchronous=number % 2 == 0,
            url=f"https://{HOSTS[number % 3] or 'c.example'}/x",
            host=HOSTS[number % 3],
            method="POST",
            body={},
            state=STATES[number % 5],
            created_at=NOW - timedelta(seconds=1 + number // 3),
            next_attempt_at=NOW if STATES[number % 5] == "pending" else None,
        )
        for number in range(120)
    ]
    return WebhookDelivery.objects.bulk_create(rows)


def ids(found: DeliveryPage) -> list[UUID]:
    return [one.delivery_id for one in found.deliveries]


def test_it_is_walked_both_ways_with_equal_times(deliveries: list[WebhookDelivery]) -> None:
    everything = [row.pk for row in deliveries]
    first = page(WebhookFilter())
    assert (ids(first), first.newer, first.is_cut) == (everything[:PAGE], None, False)
    second = page(WebhookFilter(), first.older)
    third = page(WebhookFilter(), second.older)
    assert ids(second) + ids(third) == everything[PAGE:]
    assert third.older is None
    back = page(WebhookFilter(), third.newer, newer=True)
    assert ids(back) == ids(second)
    again = page(WebhookFilter(), back.newer, newer=True)
    assert (ids(again), again.newer) == (ids(first), None)


Ask = Callable[[WebhookDelivery], dict[str, Any]]
EVERY_WAY: dict[str, Ask] = {
    "call": lambda row: {"call_id": row.call_id},
    "failed": lambda _: {"state": "failed"},
    "pending": lambda _: {"state": "pending"},
    "delivered": lambda _: {"state": "delivered"},
    "account": lambda row: {"account_id": row.account_id},
    "account and failed": lambda row: {"account_id": row.account_id, "state": "failed"},
    "account and pending": lambda row: {"account_id": row.account_id, "state": "pending"},
    "account and delivered": lambda row: {"account_id": row.account_id, "state": "delivered"},
    "call of another account": lambda row: {"account_id": "404", "call_id": row.call_id},
    "application": lambda row: {"application_id": row.call.application_id},
    "application of another account": lambda row: {"application_id": row.call.application_id, "account_id": "404"},
    "application and failed": lambda row: {"application_id": row.call.application_id, "state": "failed"},
    "no application": lambda _: {"application_id": UUID(int=5)},
    "event": lambda row: {"event_type": "disconnect"},
    "host": lambda _: {"host": "b.example"},
    "host and port": lambda _: {"host": "b.example:8443"},
    "another port": lambda _: {"host": "b.example:443"},
    "host of older rows": lambda _: {"host": "c.example:443"},
    "host and state": lambda _: {"host": "a.example", "state": "failed"},
    "span": lambda _: {"since": NOW - timedelta(seconds=20), "until": NOW - timedelta(seconds=9)},
}


@pytest.mark.parametrize("ask", EVERY_WAY.values(), ids=EVERY_WAY.keys())
def test_any_combination_finds_what_fits(deliveries: list[WebhookDelivery], ask: Ask) -> None:
    asked = WebhookFilter(**ask(deliveries[3]))
    fitting = [row.pk for row in deliveries if fits(row, asked)]
    found = page(asked)
    assert ids(found) == fitting[:PAGE]
    if found.older:
        rest = page(asked, found.older)
        assert ids(rest) == fitting[PAGE : 2 * PAGE]
        assert ids(page(asked, rest.newer, newer=True)) == fitting[:PAGE]


def fits(row: WebhookDelivery, asked: WebhookFilter) -> bool:
    exact = (
        (asked.state, row.state),
        (asked.event_type, row.event_type),
        (asked.account_id, row.account_id),
        (asked.application_id, row.call.application_id),
        (asked.call_id, row.call_id),
    )
    host = row.host or "c.example:443"
    timely = (asked.since is None or asked.since <= row.created_at) and (asked.until is None or row.created_at < asked.until)
    return timely and all(value == seen for value, seen in exact if value) and (not asked.host or asked.host in (host, host.split(":")[0]))


def test_where_the_look_is_cut_the_page_leads_on(deliveries: list[WebhookDelivery], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook_list, "AT_ONCE", 7)
    monkeypatch.setattr(webhook_list, "MAX_LOOKED_AT", 50)
    asked, place = WebhookFilter(event_type="initiate"), None
    shown: list[object] = []
    cuts: list[bool] = []
    while not cuts or place:
        found = page(asked, place)
        shown, place, cuts = shown + ids(found), found.older, [*cuts, found.is_cut]
    assert shown == [row.pk for row in deliveries if row.event_type == "initiate"]
    assert cuts == [True, True, False]


def test_a_line_has_its_newest_answer_and_the_number_of_tries(deliveries: list[WebhookDelivery]) -> None:
    row = deliveries[0]
    for number, (status, error) in enumerate(((500, ""), (None, "It could not be reached."), (204, ""))):
        at = NOW + timedelta(seconds=9 if number == 2 else number)
        WebhookAttempt.objects.create(delivery=row, at=at, url=row.url, status=status, latency_ms=number, error=error)
    # One of the same time that was stored later is the newer one.
    WebhookAttempt.objects.create(delivery=row, at=NOW + timedelta(seconds=9), url=row.url, status=200, latency_ms=77)
    first, second = page(WebhookFilter()).deliveries[:2]
    assert (first.tries, first.status, first.latency_ms, first.error) == (4, 200, 77, "")
    assert (second.tries, second.status, second.latency_ms, second.error) == (0, None, None, "")
    assert (first.application_name, first.call_id, first.host) == ("App", "c-0", "a.example:443")
    assert page(WebhookFilter()).deliveries[2].host == "c.example:443"


def test_a_webhook_whose_application_is_gone_is_listed(deliveries: list[WebhookDelivery]) -> None:
    Call.objects.update(application=None)
    first = page(WebhookFilter()).deliveries[0]
    assert (first.application_id, first.application_name) == (None, "")


def test_a_page_costs_three_queries(deliveries: list[WebhookDelivery], django_assert_num_queries: DjangoAssertNumQueries) -> None:
    for asked in (WebhookFilter(), WebhookFilter(state="failed"), WebhookFilter(account_id="9900000", host="a.example")):
        with django_assert_num_queries(3):
            page(asked)
    # And one that finds the application's account.
    with django_assert_num_queries(4):
        page(WebhookFilter(application_id=deliveries[0].call.application_id))


# Hosts


def test_hosts_that_fail_are_told_the_last_one_first(applications: list[UUID]) -> None:
    now = timezone.now()
    for number, rests_until in enumerate((None, now - timedelta(seconds=1), now + timedelta(seconds=20))):
        FailingHost.objects.create(
            account_id="9911111" if number else "9900000",
            host=f"h{number}:443",
            failures=number + 1,
            since=now,
            last_at=now + timedelta(seconds=number),
            error="x",
            rests_until=rests_until,
        )
    told = [(line.host, line.rests_until is not None, line.is_slowed) for line in failing_hosts(None)]
    assert told == [("h2:443", True, True), ("h1:443", False, True), ("h0:443", False, False)]
    assert [line.host for line in failing_hosts("9900000")] == ["h0:443"]
    FailingHost.objects.bulk_create(
        FailingHost(account_id="9900000", host=f"x{number}", failures=1, since=now, last_at=now, error="") for number in range(MAX_HOSTS)
    )
    assert len(failing_hosts(None)) == MAX_HOSTS + 1


# Plans


ATTEMPTS = """
INSERT INTO voiceapps_webhookattempt (delivery_id, at, url, status, response_body, latency_ms, error)
SELECT delivery_id, created_at, '', 200, '', 1, '' FROM voiceapps_webhookdelivery"""


@pytest.fixture
def many(deliveries: list[WebhookDelivery]) -> Iterator[None]:
    """On PostgreSQL, whose plans depend on the rows, 48,000 webhooks more with their attempts, most of them delivered."""
    if connection.vendor == "postgresql":
        table, names = WebhookDelivery._meta.db_table, [str(field.column) for field in WebhookDelivery._meta.concrete_fields]
        new = {
            "delivery_id": "gen_random_uuid()",
            "created_at": "created_at - n * interval '1 minute'",
            "state": "CASE WHEN n % 20 > 0 THEN 'delivered' ELSE state END",
            "event_type": "'gather'",
        }
        values = ", ".join(new.get(name, name) for name in names)
        with connection.cursor() as cursor:
            cursor.execute(f"INSERT INTO {table} ({', '.join(names)}) SELECT {values} FROM {table}, generate_series(1, 400) AS n")  # noqa: S608
            cursor.execute(ATTEMPTS)
            for name in (table, "voiceapps_webhookattempt", "voiceapps_call"):
                cursor.execute(f"ANALYZE {name}")
    yield


FILTERS: dict[str, dict[str, Any]] = {
    "delivery_of_call": {"call_id": "c-3"},
    "delivery_pending": {"state": "pending"},
    "delivery_failed_of": {"account_id": "9911111", "state": "failed"},
    "delivery_failed": {"state": "failed"},
    "delivery_page": {"account_id": "9911111"},
    "delivery_by_time": {},
}
# Along an index it reads as many rows as it was asked for.
_SCANS = re.compile(r"SCAN (?!\S+ USING (COVERING )?INDEX delivery_)|Seq Scan|USE TEMP B-TREE FOR ORDER BY")
_SORTED = re.compile(r"Sort  \(cost=[\d.]+ rows=(\d+)")


@pytest.mark.parametrize("empty", [False, True], ids=["found", "nothing"])
def test_each_walk_is_by_its_index(many: None, deliveries: list[WebhookDelivery], empty: bool) -> None:
    assert {walk.index for walk in WALKS} == FILTERS.keys()
    middle = Place(deliveries[60].created_at, str(deliveries[60].pk))
    for index, fields in FILTERS.items():
        asked = WebhookFilter(**fields)
        if empty:
            asked = replace(asked, since=NOW, until=NOW + timedelta(days=1))
        assert Search(asked).walk.index == index
        for place, newer in ((None, False), (middle, False), (middle, True)):
            assert_walked(asked, index, place, newer=newer)


def test_what_nobody_has_is_found_missing_by_the_index(many: None) -> None:
    assert_walked(WebhookFilter(call_id="c-nothing"), "delivery_of_call")
    assert_walked(WebhookFilter(account_id="404"), "delivery_page")
    assert_walked(WebhookFilter(account_id="404", state="failed"), "delivery_failed_of")
    WebhookDelivery.objects.filter(state="pending").update(state="delivered")
    assert_walked(WebhookFilter(state="pending"), "delivery_pending")


def test_what_is_looked_at_is_read_along_an_index(many: None) -> None:
    assert_walked(WebhookFilter(host="nowhere.example", event_type="initiate"), "delivery_by_time")
    assert_walked(WebhookFilter(account_id="9900000", state="pending"), "delivery_pending")


def test_no_index_is_kept_that_nobody_uses_and_none_is_lost() -> None:
    with connection.cursor() as cursor:
        found = connection.introspection.get_constraints(cursor, WebhookDelivery._meta.db_table)
    names = {name for name, about in found.items() if about["index"] or (about["unique"] and not about["primary_key"])}
    assert names == {*FILTERS, "delivery_due", "one_disconnect_per_call"}


def assert_walked(asked: WebhookFilter, index: str, place: Place | None = None, *, newer: bool = False) -> None:
    with plans_here() as plans:
        page(asked, place, newer=newer)
    sorts = [int(rows) for rows in _SORTED.findall(plans[0])]
    # Where PostgreSQL knows that the span is empty, it may take any index; and it sorts where it expects no more than are asked for.
    if not (connection.vendor == "postgresql" and (asked.since == NOW or sorts)):
        assert index in plans[0], plans[0]
    assert not sorts or max(sorts) <= webhook_list.AT_ONCE
    assert _SCANS.search(plans[0]) is None, plans[0]
    attempts = [plan for plan in plans[1:] if re.search(r"Seq Scan on voiceapps_webhook|SCAN (voiceapps|U0)", plan)]
    assert attempts == []
