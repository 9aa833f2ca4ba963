"""Lists of recordings, transcriptions and simulated calls: the newest by an index, any other by its id, and nothing is counted."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from tests.support.plans import plans_here
from tests.unit.voiceapps.builders import application
from tests.unit.voiceapps.people import logged_in, made
from voiceapps.console import newest
from voiceapps.models import Call, CallSimulation, Recording, Transcription
from voiceapps.rules.people.roles import Role

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
MODELS = ("recording", "transcription", "callsimulation")
OWN, OTHER = "9900000", "9911111"


@pytest.fixture
def rows() -> None:
    """Sixty of each, the newest first; every third is of another account."""
    own, other = application(OWN), application(OTHER)
    for number in range(60):
        row = other if number % 3 == 2 else own
        at = NOW - timedelta(minutes=number)
        source = {"sip_call_id": "x", "source_ip": "203.0.113.9", "source_port": 1}
        call = Call.objects.create(call_id=call_id(number), account=row.account, application=row, started_at=at, **source)
        held = Recording.objects.create(
            recording_id=f"r-{number}", call=call, account_id=row.account_id, file_format="wav", channels=1, started_at=at
        )
        Transcription.objects.create(transcription_id=f"t-{number}", recording=held, account=row.account, ordered_at=at, status="available")
        CallSimulation.objects.create(
            simulation_id=UUID(int=number + 1), account=row.account, application=row, state="ended", script="{}", created_at=at
        )


def call_id(number: int) -> str:
    return f"c-{number:036d}"


@pytest.fixture
def client() -> Client:
    return logged_in(made("op", Role.ADMIN))


def listed(client: Client, model: str, query: str = "") -> list[str]:
    answer = client.get(reverse(f"admin:voiceapps_{model}_changelist") + query)
    assert answer.status_code == 200, answer
    keys = re.findall(rf'href="/console/voiceapps/{model}/([^/"]+)/change/', answer.content.decode())
    return list(dict.fromkeys(keys))


KEYS = {"recording": "r-{}", "transcription": "t-{}", "callsimulation": "00000000-0000-0000-0000-{:012x}"}


def key(model: str, number: int) -> str:
    return KEYS[model].format(number + 1 if model == "callsimulation" else number)


@pytest.mark.parametrize("model", MODELS)
def test_the_newest_are_listed_page_by_page(rows: None, client: Client, model: str) -> None:
    assert listed(client, model) == [key(model, number) for number in range(50)]
    assert listed(client, model, "?p=2") == [key(model, number) for number in range(50, 60)]


@pytest.mark.parametrize("model", MODELS)
def test_so_many_are_listed_and_others_are_found(rows: None, client: Client, model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(newest, "MAX_LISTED", 4)
    assert listed(client, model) == [key(model, number) for number in range(4)]
    assert listed(client, model, f"?q={key(model, 40)}") == [key(model, 40)]
    assert listed(client, model, f"?q={key(model, 40)[:-1]}x") == []
    bound = logged_in(made("bound", Role.ADMIN, OTHER))
    assert listed(bound, model) == [key(model, number) for number in (2, 5, 8, 11)]
    assert listed(bound, model, f"?q={key(model, 40)}") == []
    assert listed(bound, model, f"?q={key(model, 41)}") == [key(model, 41)]


def test_what_belongs_to_a_call_is_found_by_it(rows: None, client: Client) -> None:
    assert listed(client, "recording", f"?q={call_id(7)}") == ["r-7"]
    assert listed(client, "transcription", f"?q={call_id(7)}") == ["t-7"]
    assert listed(client, "transcription", "?q=r-7") == ["t-7"]
    assert len(listed(client, "callsimulation", f"?q={CallSimulation.objects.get(pk=UUID(int=3)).application_id}")) == 20


@pytest.mark.parametrize("model", MODELS)
def test_nothing_is_counted(rows: None, client: Client, model: str) -> None:
    with CaptureQueriesContext(
        connection,
    ) as queries:
        listed(client, model)
        listed(client, model, "?p=2")
        listed(client, model, "?status__exact=available" if model == "transcription" else "?o=2")
    assert [query["sql"] for query in queries if "COUNT(" in query["sql"]] == []


# Plans


@pytest.fixture
def many(rows: None) -> Iterator[None]:
    """On PostgreSQL, whose plans depend on the rows, 24,000 more of each."""
    if connection.vendor == "postgresql":
        new = {
            "call_id": "call_id || '-' || n",
            "recording_id": "recording_id || '-' || n",
            "transcription_id": "transcription_id || '-' || n",
            "simulation_id": "gen_random_uuid()",
            **{time: f"{time} - n * interval '1 hour'" for time in ("started_at", "ordered_at", "created_at")},
        }
        with connection.cursor() as cursor:
            for model in (Call, Recording, Transcription, CallSimulation):
                table, columns = model._meta.db_table, [str(field.column) for field in model._meta.concrete_fields]
                values = ", ".join(new.get(name, name) for name in columns)
                cursor.execute(f"INSERT INTO {table} ({', '.join(columns)}) SELECT {values} FROM {table}, generate_series(1, 400) n")  # noqa: S608
                cursor.execute(f"ANALYZE {table}")
    yield


_BIG = "voiceapps_(recording|transcription|callsimulation|call|callverdict)"
_SCANS = re.compile(rf"SCAN {_BIG}\b(?! USING (COVERING )?INDEX)|Seq Scan on {_BIG}\b")
INDEX = {"recording": "recording_by_time", "transcription": "transcription_by_time", "callsimulation": "simulation_by_time"}


@pytest.mark.parametrize("model", MODELS)
def test_no_list_scans(many: None, client: Client, model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(newest, "MAX_LISTED", 20)
    bound = logged_in(made("bound", Role.ADMIN, OTHER))
    queries = ("", "?p=1", "?o=-2", f"?q={key(model, 3)}", "?q=nothing", f"?q={call_id(3)}")
    for who in (client, bound):
        for query in queries:
            with plans_here() as plans:
                listed(who, model, query)
            assert [plan for plan in plans if _SCANS.search(plan)] == [], query
    with plans_here() as plans:
        listed(client, model)
    assert any(INDEX[model] in plan for plan in plans)
