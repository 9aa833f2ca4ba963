from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.db import IntegrityError
from pytest_django import DjangoAssertNumQueries

from tests.unit.voiceapps.builders import application, ended, facts
from voiceapps.daemon.bulk import BulkInsert, BulkUpdate
from voiceapps.models import Call, CallEvent, RefusedAttempt
from voiceapps.rules.reports import CallAdmitted
from voiceapps.services.call_rows import call_row
from voiceapps.services.reports import write_reports

pytestmark = pytest.mark.django_db


def test_a_missing_column_gets_its_default() -> None:
    row = application()
    BulkInsert(Call, key=("call_id",)).write([call_row(facts(row))])
    call = Call.objects.get()
    assert (call.state, call.proxy_node, call.answered_at, call.sip_status) == ("initiated", "", None, None)
    assert call.application == row
    assert call.facts() == facts(row)


def test_an_existing_key_updates_the_named_columns_only() -> None:
    insert = BulkInsert(Call, key=("call_id",), update=("proxy_node",))
    row = call_row(facts(application()))
    insert.write([row | {"proxy_node": "a"}])
    insert.write([row | {"proxy_node": "c"}, row | {"proxy_node": "b", "country": "DE"}])
    assert Call.objects.values_list("proxy_node", "country").get() == ("b", "US")


def test_an_existing_key_is_added_to() -> None:
    insert = BulkInsert(RefusedAttempt, key=("key",), update=("last_at",), add=("count",))
    first, last = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)
    row = {"key": b"k", "source_ip": "198.51.100.1", "reason": "disabled", "status": 401, "first_at": first, "last_at": first, "trace": []}
    insert.write([row | {"count": 2}])
    insert.write([row | {"count": 3, "status": 403}, row | {"count": 4, "last_at": last}])
    assert RefusedAttempt.objects.values_list("count", "last_at", "status").get() == (9, last, 401)


@pytest.mark.parametrize("count", [1, 2, 63, 64, 65, 200])
def test_rows_that_are_written_together_are_those_of_a_loop(count: int) -> None:
    row = application()
    # Ports of different sizes, as numbers, are one type to the database.
    rows = [call_row(facts(row, number)) | {"source_port": 40_000 if number % 3 else 80} for number in range(count)]
    insert = BulkInsert(Call, key=("call_id",), update=("proxy_node",))
    insert.write(rows[::2])
    insert.write([one | {"proxy_node": f"p{number}"} for number, one in enumerate(rows)])
    found = Call.objects.order_by("call_id").values_list("call_id", "source_port", "proxy_node")
    assert list(found) == [(one["call_id"], one["source_port"], f"p{number}") for number, one in enumerate(rows)]


def test_an_update_changes_the_named_columns_of_the_named_rows() -> None:
    row = application()
    BulkInsert(Call).write([call_row(facts(row, number)) for number in range(3)])
    first, second, _ = (facts(row, number).call_id for number in range(3))
    BulkUpdate(Call, update=("tag", "sip_status")).write({first: {"tag": "a", "sip_status": 200, "country": "DE"}, second: {"tag": "b"}})
    found = Call.objects.order_by("call_id").values_list("tag", "sip_status", "country")
    assert list(found) == [("a", 200, "US"), ("b", None, "US"), ("", None, "US")]


def test_without_a_key_a_duplicate_is_an_error() -> None:
    row = call_row(facts(application()))
    with pytest.raises(IntegrityError):
        BulkInsert(Call).write([row, row])


def test_no_rows_cost_no_query(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    with django_assert_num_queries(0):
        BulkInsert(CallEvent).write([])


def test_a_batch_of_ends_costs_a_handful_of_queries(django_assert_max_num_queries: DjangoAssertNumQueries) -> None:
    row = application(status_url="")
    calls = [facts(row, number) for number in range(1, 21)]
    write_reports([CallAdmitted(call, "p") for call in calls])
    with django_assert_max_num_queries(6):
        write_reports([ended(call) for call in calls])
    assert set(Call.objects.values_list("state", flat=True)) == {"disconnected"}
