"""Every page of the console over many rows: as many queries as over few, and none that reads a whole table.

Rows and questions are those of the bench. On PostgreSQL, which tells what it reads, there are more of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django import DjangoDbBlocker

from bench.console.questions import Question, questions
from bench.console.rows.filling import fill
from bench.console.rows.known import known
from bench.console.rows.sizes import Sizes
from tests.support.plans import plan_of, rows_read
from tests.unit.voiceapps.builders import ACTOR
from voiceapps import models
from voiceapps.paging.call_list import AT_ONCE, MAX_FEW
from voiceapps.services.people import operators

# The first test of each database waits for the rows.
pytestmark = [pytest.mark.django_db, pytest.mark.timeout(600)]

ASKED = {question.name: question for question in questions() if not question.path.startswith("health")}
"""All but the one page that looks at the machine, too."""
FEW = Sizes(
    *(400, 400, 200, 400, 100, 20),
    live=5,
    media=20,
    heavy_events=500,
    heavy_deliveries=250,
    accounts=5,
    applications=10,
    clients=5,
    people=5,
    trials=20,
    hosts=5,
    exports=2,
    nodes=2,
    bans=5,
    ranges=2,
)
MANY = Sizes(
    *((80_000, 160_000, 80_000, 200_000, 20_000, 40_000) if connection.vendor == "postgresql" else (1_000, 2_000, 600, 2_000, 1_000, 400)),
    media=400,
    heavy_events=1_000,
)
MOST_READ = MAX_FEW + AT_ONCE
"""Rows that a statement reads where it looks at more than an index knows."""
LARGE = {
    model._meta.db_table
    for model in (
        models.Call,
        models.CallVerdict,
        models.CallEvent,
        models.MediaLeg,
        models.WebhookDelivery,
        models.WebhookAttempt,
        models.RefusedAttempt,
        models.AuditEntry,
        models.Recording,
        models.Transcription,
    )
}
_ALIAS = re.compile(r'"(\w+)" (\w+\d+)\b')
_SCAN = re.compile(r"SCAN (\w+)")


@dataclass
class Seen:
    """What was asked of the database for each page."""

    queries: dict[str, list[str]] = field(default_factory=dict)
    scans: dict[str, list[str]] = field(default_factory=dict)
    """Statements that scan a large table without a bound; on PostgreSQL what reads too much of one."""


@contextmanager
def filled(sizes: Sizes) -> Iterator[dict[str, str]]:
    """Fill the database, and take everything back in the end."""
    with transaction.atomic():
        operators.ensure_operator("operator", actor=ACTOR)
        fill(sizes)
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("ANALYZE")
        yield known()
        transaction.set_rollback(True)


def ask(about: dict[str, str]) -> Seen:
    """Ask for every page."""
    seen, clients = Seen(), {user.username: Client() for user in User.objects.filter(username__in=["admin", "bound", "viewer"])}
    for name, client in clients.items():
        client.force_login(User.objects.get(username=name))
        client.get("/console/")
    for name, question in ASKED.items():
        with CaptureQueriesContext(connection) as queries:
            get(clients[question.who], question, about)
        seen.queries[name] = [query["sql"] for query in queries.captured_queries if query["sql"].startswith(("SELECT", "(SELECT"))]
        if connection.vendor == "sqlite":
            seen.scans[name] = [sql for sql in seen.queries[name] if scans(sql)]
            continue
        with rows_read() as reads:
            get(clients[question.who], question, about)
        seen.scans[name] = [f"{read.rows} of {read.table}: {read.sql}" for read in reads if read.table in LARGE and read.rows > MOST_READ]
    return seen


def scans(sql: str) -> bool:
    """Return whether SQLite scans a large table for a statement that does not say how many rows it wants."""
    tables = {alias: table for table, alias in _ALIAS.findall(sql)}
    scanned = {tables.get(alias, alias) for alias in _SCAN.findall(plan_of(sql, None))}
    # Along an index it reads as many rows as it was asked for.
    return bool(scanned & LARGE) and " LIMIT " not in sql


def get(client: Client, question: Question, about: dict[str, str]) -> None:
    headers = {"HX-Request": "true"} if question.is_live else {}
    answer = client.get(question.url(about), headers=headers)
    assert answer.status_code == 200, (question, answer.status_code)


@pytest.fixture(scope="module")
def few(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Seen:
    with django_db_blocker.unblock(), filled(FEW) as about:
        return ask(about)


@pytest.fixture(scope="module")
def many(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Seen:
    with django_db_blocker.unblock(), filled(MANY) as about:
        return ask(about)


@pytest.mark.parametrize("name", ASKED)
@pytest.mark.skipif(connection.vendor == "postgresql", reason="There are so many rows that some are looked at in parts.")
def test_a_page_over_many_rows_costs_no_more_queries(few: Seen, many: Seen, name: str) -> None:
    assert len(many.queries[name]) == len(few.queries[name]), "\n\n".join(many.queries[name])


@pytest.mark.parametrize("name", ASKED)
def test_no_page_scans_a_large_table(many: Seen, name: str) -> None:
    assert many.scans[name] == []
