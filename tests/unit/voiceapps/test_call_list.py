"""The list of calls: any filter, both ways, by an index, on either database."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from django.db import connection
from pytest_django import DjangoAssertNumQueries

from tests.support.plans import plans_here
from tests.unit.voiceapps.builders import application
from voiceapps.models import Call, CallVerdict
from voiceapps.paging import call_list
from voiceapps.paging.call_list import AT_ONCE, MAX_FEW, PAGE, WALKS, CallPage, Search, page, parts
from voiceapps.rules.diagnosis.call_filters import CallFilter
from voiceapps.rules.diagnosis.filter_fields import Place
from voiceapps.rules.diagnosis.verdicts import VerdictCode

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
CODES = (VerdictCode.HEARD, VerdictCode.NO_AUDIO, VerdictCode.CALLER_UNHEARD, VerdictCode.SHORT)
BAD = tuple(code for code in VerdictCode if code.level == "bad")
WEEK = CallFilter(since=NOW - timedelta(days=7), until=NOW)


def narrowed(**fields: object) -> CallFilter:
    return CallFilter(**{"since": WEEK.since, "until": WEEK.until} | fields)  # type: ignore[arg-type]  # its fields


@pytest.fixture
def applications() -> list[UUID]:
    return [application(account).pk for account in ("9900000", "9900000", "9911111")]


@pytest.fixture
def calls(applications: list[UUID]) -> list[Call]:
    """120 calls, the newest first; three begin at the same time, the newest one goes on, and each sort of call is one in so many."""
    rows = [
        Call(
            call_id=f"c-{900 - number:08x}",
            account_id="9911111" if number % 3 == 2 else "9900000",
            application_id=applications[number % 3],
            state="disconnected" if number else "answered",
            end_reason="caller_hangup" if number else "",
            sip_call_id=f"{number // 2}@caller",
            from_uri=f"sip:+49170{number % 10}@x",
            from_number=f"49170{number % 10}",
            source_ip=f"203.0.113.{number % 5}",
            source_port=5060,
            country="DE",
            started_at=NOW - timedelta(seconds=1 + number // 3),
        )
        for number in range(120)
    ]
    Call.objects.bulk_create(rows)
    CallVerdict.objects.bulk_create(
        CallVerdict(
            call=row, code=CODES[number % 4], account_id=row.account_id, application_id=row.application_id, started_at=row.started_at
        )
        for number, row in enumerate(rows)
        if number
    )
    return rows


def ids(found: CallPage) -> list[str]:
    return [call.call_id for call in found.calls]


def test_it_is_walked_both_ways_with_equal_times(calls: list[Call]) -> None:
    everything = [call.call_id for call in calls]
    first = page(WEEK)
    assert (ids(first), first.newer, first.is_cut) == (everything[:PAGE], None, False)
    second = page(WEEK, first.older)
    third = page(WEEK, second.older)
    assert ids(second) + ids(third) == everything[PAGE:]
    assert third.older is None
    back = page(WEEK, third.newer, newer=True)
    assert ids(back) == ids(second)
    again = page(WEEK, back.newer, newer=True)
    assert (ids(again), again.newer) == (ids(first), None)
    assert ids(page(WEEK, again.older)) == ids(second)


EVERY_WAY = [
    ("call_id", lambda call, _: {"call_id": call.call_id}),
    ("sip_call_id", lambda call, _: {"sip_call_id": call.sip_call_id}),
    ("number", lambda call, _: {"number": call.from_number}),
    ("ip", lambda call, _: {"source_ip": call.source_ip}),
    ("application", lambda call, _: {"application_id": call.application_id}),
    ("account", lambda call, _: {"account_id": call.account_id}),
    ("code", lambda _, code: {"codes": (code,)}),
    ("application and code", lambda call, code: {"application_id": call.application_id, "codes": (code,)}),
    ("account and code", lambda call, code: {"account_id": call.account_id, "codes": (code,)}),
    ("prefix", lambda _call, _: {"prefix": "491704"}),
    ("prefix and code", lambda _call, code: {"prefix": "491704", "codes": (code,)}),
    ("prefix and application", lambda call, _: {"prefix": "491704", "application_id": call.application_id}),
    ("ip and number and code", lambda call, code: {"source_ip": call.source_ip, "number": call.from_number, "codes": (code,)}),
    ("ip and application", lambda call, _: {"source_ip": call.source_ip, "application_id": call.application_id}),
    ("application and account", lambda call, _: {"account_id": call.account_id, "application_id": call.application_id}),
    ("application and another account", lambda call, _: {"account_id": "9922222", "application_id": call.application_id}),
    (
        "application, account, code",
        lambda call, code: {"account_id": call.account_id, "application_id": call.application_id, "codes": (code,)},
    ),
    ("level", lambda _call, _: {"codes": BAD}),
    ("account and level", lambda call, _: {"account_id": call.account_id, "codes": BAD}),
    ("id and ip", lambda call, _: {"call_id": call.call_id, "source_ip": "198.51.100.1"}),
    ("span", lambda _call, _: {"since": NOW - timedelta(seconds=20), "until": NOW - timedelta(seconds=9)}),
]


@pytest.mark.parametrize("few", [0, 1_000], ids=["each looked at", "few sorted"])
@pytest.mark.parametrize("asked", [ask for _, ask in EVERY_WAY], ids=[name for name, _ in EVERY_WAY])
def test_any_combination_finds_what_fits(calls: list[Call], monkeypatch: pytest.MonkeyPatch, asked: object, few: int) -> None:
    monkeypatch.setattr(call_list, "MAX_FEW", few)
    wanted = narrowed(**asked(calls[5], CODES[1]))  # type: ignore[operator]  # a function
    codes = dict(CallVerdict.objects.values_list("call_id", "code"))
    fitting = [call.call_id for call in calls if fits(call, codes.get(call.call_id, ""), wanted)]
    shown = [place.key for part in parts(wanted) for place in part]
    assert shown == fitting
    found = page(wanted)
    assert ids(found) == fitting[:PAGE]
    if found.older:
        rest = page(wanted, found.older)
        assert ids(rest) == fitting[PAGE : 2 * PAGE]
        assert ids(page(wanted, rest.newer, newer=True)) == fitting[:PAGE]


def fits(call: Call, code: str, asked: CallFilter) -> bool:
    exact = (
        (asked.call_id, call.call_id),
        (asked.sip_call_id, call.sip_call_id),
        (asked.number, call.from_number),
        (asked.source_ip, call.source_ip),
        (asked.application_id, call.application_id),
        (asked.account_id, call.account_id),
    )
    assert asked.since
    assert asked.until
    timely = asked.since <= call.started_at < asked.until
    return (
        timely
        and all(value == seen for value, seen in exact if value)
        and (not asked.codes or code in asked.codes)
        and call.from_number.startswith(asked.prefix)
    )


def test_few_that_are_sorted_are_walked_both_ways(calls: list[Call], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call_list, "PAGE", 5)
    wanted = narrowed(prefix="491704")
    fitting = [call.call_id for number, call in enumerate(calls) if number % 10 == 4]
    first = page(wanted)
    second = page(wanted, first.older)
    third = page(wanted, second.older)
    assert [ids(found) for found in (first, second, third)] == [fitting[:5], fitting[5:10], fitting[10:]]
    back = page(wanted, third.newer, newer=True)
    assert (ids(back), ids(page(wanted, back.newer, newer=True))) == (fitting[5:10], fitting[:5])


def test_where_the_look_is_cut_the_page_leads_on(calls: list[Call], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call_list, "AT_ONCE", 7)
    wanted = narrowed(application_id=calls[0].application_id, prefix="491704")
    monkeypatch.setattr(call_list, "MAX_FEW", 0)
    monkeypatch.setattr(call_list, "MAX_LOOKED_AT", 10)
    shown: list[str] = []
    cuts: list[bool] = []
    place: Place | None = None
    while not cuts or place:
        found = page(wanted, place)
        shown, place, cuts = shown + ids(found), found.older, [*cuts, found.is_cut]
    assert shown == [call.call_id for number, call in enumerate(calls) if number % 3 == 0 and number % 10 == 4]
    assert cuts == [True, True, True, True, False]


def test_a_line_has_what_is_shown(calls: list[Call]) -> None:
    going_on, second = page(WEEK).calls[:2]
    assert (going_on.verdict, second.verdict) == (VerdictCode.GOING_ON, VerdictCode.NO_AUDIO)
    assert (second.application_name, second.country, second.end_reason) == ("App", "DE", "caller_hangup")
    CallVerdict.objects.all().delete()
    assert page(WEEK).calls[1].verdict is None


def test_a_call_whose_application_is_gone_is_listed(calls: list[Call]) -> None:
    Call.objects.update(application=None)
    assert page(WEEK).calls[1].application_name == ""


def test_a_page_costs_two_queries(
    calls: list[Call], monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for asked in (WEEK, narrowed(codes=BAD), narrowed(source_ip="203.0.113.1", codes=BAD)):
        with django_assert_num_queries(2):
            page(asked)
    with django_assert_num_queries(2):
        page(narrowed(prefix="49"))
    monkeypatch.setattr(call_list, "MAX_FEW", 1)
    with django_assert_num_queries(3):
        page(narrowed(prefix="49"))


# Plans


@pytest.fixture
def many(calls: list[Call]) -> Iterator[None]:
    """On PostgreSQL, whose plans depend on the rows, 48,000 calls more."""
    if connection.vendor == "postgresql":
        names = {model: [str(field.column) for field in model._meta.concrete_fields] for model in (Call, CallVerdict)}
        new = {"call_id": "call_id || '-' || n", "started_at": "started_at - n * interval '1 minute'", "from_number": "from_number || n"}
        with connection.cursor() as cursor:
            for model, columns in names.items():
                table, values = model._meta.db_table, ", ".join(new.get(column, column) for column in columns)
                cursor.execute(
                    f"INSERT INTO {table} ({', '.join(columns)}) SELECT {values} FROM {table}, generate_series(1, 400) AS n"  # noqa: S608
                )
                cursor.execute(f"ANALYZE {table}")
    yield


FILTERS = {
    "voiceapps_call_pkey": narrowed(call_id="c-384"),
    "call_by_sip_call_id": narrowed(sip_call_id="3@caller"),
    "call_by_number": narrowed(number="491703"),
    "call_by_source": narrowed(source_ip="203.0.113.3"),
    "call_page": narrowed(account_id="9911111"),
    "call_by_time": WEEK,
    "verdict_page": narrowed(codes=BAD),
    "verdict_of_account": narrowed(account_id="9911111", codes=BAD),
}
OF_APPLICATION = {"call_of_application": (), "verdict_of_application": BAD}
_SCANS = re.compile(r"SCAN (?!CONSTANT)|Seq Scan on (?:voiceapps_call|voiceapps_callverdict)\b|USE TEMP B-TREE FOR ORDER BY")
_ALIKE = {"voiceapps_call_pkey": ("sqlite_autoindex_voiceapps_call_1", "voiceapps_call_call_id_")}
_SORTED = re.compile(r"Sort  \(cost=[\d.]+ rows=(\d+)")


def assert_walked(asked: CallFilter, index: str, place: Place | None = None, *, newer: bool = False) -> None:
    with plans_here() as plans:
        page(asked, place, newer=newer)
    if not (connection.vendor == "postgresql" and asked.since == NOW):  # where it knows that the span is empty, any index does
        assert any(name in plans[0] for name in (index, *_ALIKE.get(index, ()))), plans[0]
    assert [plan for plan in plans if _SCANS.search(plan)] == []
    # PostgreSQL sorts where it expects few rows, and it guesses.
    assert [plan for plan in plans for rows in _SORTED.findall(plan) if int(rows) > MAX_FEW + AT_ONCE] == []


@pytest.mark.parametrize("empty", [False, True], ids=["found", "nothing"])
def test_each_walk_is_by_its_index(many: None, calls: list[Call], applications: list[UUID], empty: bool) -> None:
    filters = dict(FILTERS)
    for index, codes in OF_APPLICATION.items():
        filters[index] = narrowed(application_id=applications[0], codes=codes)
    assert {walk.index for walk in WALKS} == filters.keys()
    for index, asked in filters.items():
        wanted = replace(asked, since=NOW, until=NOW + timedelta(days=1)) if empty else asked
        assert Search(wanted).walk.index == index
        middle = Place(calls[60].started_at, calls[60].call_id)
        for place, newer in ((None, False), (middle, False), (middle, True)):
            assert_walked(wanted, index, place, newer=newer)


def test_what_nobody_has_is_found_missing_by_the_index(many: None) -> None:
    nobody = UUID("00000000-0000-4000-8000-000000000000")
    for asked, index in (
        (narrowed(source_ip="198.51.100.1"), "call_by_source"),
        (narrowed(number="999"), "call_by_number"),
        (narrowed(sip_call_id="nothing"), "call_by_sip_call_id"),
        (narrowed(application_id=nobody, codes=BAD), "verdict_of_application"),
        (narrowed(application_id=nobody), "call_of_application"),
        (narrowed(account_id="404", codes=(VerdictCode.SHORT,)), "verdict_of_account"),
        (narrowed(account_id="404"), "call_page"),
        (narrowed(codes=(VerdictCode.NODE_LOST,)), "verdict_page"),
    ):
        assert_walked(asked, index)


def test_a_prefix_is_read_from_the_index_of_numbers(many: None) -> None:
    assert_walked(narrowed(prefix="491703"), "call_by_number")
    assert_walked(narrowed(prefix="999"), "call_by_number")
