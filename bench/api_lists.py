"""Fill a database with accounts and time their lists."""

from __future__ import annotations

import random
import statistics
import time
import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, TypeVar

import django
from django.core.management import call_command
from django.db import connection, models
from django.test import Client
from django.test.utils import CaptureQueriesContext, setup_test_environment

django.setup()

from bench.machine import machine  # noqa: E402  # models need Django set up
from voiceapps.api.wire.paging import Keyset  # noqa: E402
from voiceapps.models import Account, Call, RefusedAttempt, VoiceApplication, WebhookDelivery  # noqa: E402
from voiceapps.services import accounts, clients  # noqa: E402
from voiceapps.services.audit import Actor  # noqa: E402

ROUNDS, REQUESTS = 5, 60
BATCH = 5_000
SMALLEST = 100
START = datetime(2026, 1, 1, tzinfo=UTC)
ACTOR = Actor("bench")
SECRET = "a-secret-for-the-bench-alone-0123"  # noqa: S105  # of a database that lives as long as the bench

PATHS = {
    "voice applications": "/v2/accounts/{account}/voice-applications?limit=100",
    "calls": "/api/v2/accounts/{account}/calls?pageSize=100",
    "webhook deliveries": "/v2/accounts/{account}/webhook-deliveries?limit=100",
    "refused attempts": "/v2/accounts/{account}/voice-applications/{application}/refused-attempts?limit=100",
}
CURSORS: dict[str, tuple[str, type[models.Model], Keyset]] = {
    "voice applications": ("afterCursor", VoiceApplication, Keyset(("name", "application_id"))),
    "calls": ("pageToken", Call, Keyset(("started_at", "call_id"))),
    "webhook deliveries": ("afterCursor", WebhookDelivery, Keyset(("created_at", "delivery_id"), descending=True)),
}
T = TypeVar("T")


class Lists:
    """A migrated database with an API client that sees every account."""

    def __init__(self) -> None:
        setup_test_environment()
        call_command("migrate", verbosity=0)
        self._http = Client()
        self._applications: dict[str, str] = {}
        self._cursors: dict[tuple[str, str], list[str]] = {}
        self._token = ""

    def fill(self, account_id: str, *, applications: int, calls: int) -> None:
        """Create an account with this many applications, calls, deliveries and refusals."""
        account = accounts.ensure_account(account_id, actor=ACTOR)
        clients.ensure_client("bench", SECRET, account, actor=ACTOR)
        rows = [
            VoiceApplication(account=account, name=f"Application {n:07}", initiated_url="https://a.example/") for n in range(applications)
        ]
        _store(VoiceApplication, iter(rows))
        self._applications[account_id] = str(rows[0].pk)
        _store(Call, (_call(account, rows[n % len(rows)], n) for n in range(calls)))
        names = Call.objects.filter(account=account).values_list("call_id", flat=True)
        others = max(SMALLEST, calls // 10)
        _store(WebhookDelivery, (_delivery(account, name, n) for n, name in enumerate(names[:others].iterator())))
        _store(RefusedAttempt, (_refusal(rows[0], n) for n in range(others)))
        connection.cursor().execute("ANALYZE")
        self._remember_places(account_id)

    def measure(self, *, small: str, huge: str) -> dict[str, object]:
        """Return the 95th percentiles in milliseconds of both accounts, their ratios round by round, and the queries."""
        ours: dict[str, object] = {}
        peer: dict[str, object] = {}
        ratios: dict[str, object] = {}
        for name in PATHS:
            of_huge, of_small = [], []
            for _ in range(ROUNDS):
                taken = [(self._timed(name, huge), self._timed(name, small)) for _ in range(REQUESTS)]
                of_huge.append(_p95([pair[0] for pair in taken]))
                of_small.append(_p95([pair[1] for pair in taken]))
            ours[name], peer[name] = _spread(of_huge), _spread(of_small)
            ratios[name] = _spread([a / b for a, b in zip(of_huge, of_small, strict=True)])
        queries = {name: {"huge": self._queries(name, huge), "small": self._queries(name, small)} for name in PATHS}
        return {"ours": ours, "peer": peer, "ratios": ratios, "queries": queries, "database": connection.vendor, "machine": machine()}

    def _remember_places(self, account_id: str) -> None:
        """Take cursors from random places in each list."""
        for name, (_, model, keyset) in CURSORS.items():
            rows: Any = model._default_manager.filter(account_id=account_id)
            step = max(1, rows.count() // 50)
            last = keyset.fields[-1]
            some = rows.order_by(last).values_list("pk", flat=True)[::step]
            self._cursors[name, account_id] = [keyset.cursor(row) for row in rows.filter(pk__in=list(some))]

    def _request(self, name: str, account_id: str) -> str:
        path = PATHS[name].format(account=account_id, application=self._applications[account_id])
        if name in CURSORS and len(self._cursors[name, account_id]) > 50 and random.random() < 0.9:
            path += f"&{CURSORS[name][0]}={random.choice(self._cursors[name, account_id])}"
        return path

    def _timed(self, name: str, account_id: str) -> float:
        path = self._request(name, account_id)
        headers = {"Authorization": f"Bearer {self._sign_in()}"}
        began = time.perf_counter()
        answer = self._http.get(path, headers=headers)
        taken = time.perf_counter() - began
        if answer.status_code != 200:
            raise RuntimeError(f"{path}: {answer.status_code} {answer.content!r}")
        return taken * 1000

    def _queries(self, name: str, account_id: str) -> int:
        with CaptureQueriesContext(connection) as seen:
            self._timed(name, account_id)
        return len(seen)

    def _sign_in(self) -> str:
        if not self._token:
            form = f"grant_type=client_credentials&client_id=bench&client_secret={SECRET}"
            answer = self._http.post("/api/v1/oauth2/token", form, content_type="application/x-www-form-urlencoded")
            self._token = answer.json()["access_token"]
        return self._token


def _store(model: Any, rows: Iterator[T]) -> None:
    while batch := list(islice(rows, BATCH)):
        model.objects.bulk_create(batch)


def _call(account: Account, application: VoiceApplication, number: int) -> Call:
    at = START + timedelta(seconds=number)
    return Call(
        call_id=f"c-{account.pk}-{uuid.uuid4()}",
        account=account,
        application=application,
        state="disconnected",
        sip_call_id=f"{number}@pbx.example",
        from_uri="sip:desk@pbx.example",
        to_uri=f"sip:{application.pk}@sip-uri.example",
        source_ip="203.0.113.9",
        source_port=5060,
        country="US",
        started_at=at,
        answered_at=at,
        ended_at=at + timedelta(seconds=60),
        end_class="success",
        end_reason="caller_hangup",
        sip_status=200,
    )


def _delivery(account: Account, call_id: str, number: int) -> WebhookDelivery:
    at = START + timedelta(seconds=number)
    return WebhookDelivery(
        account=account,
        call_id=call_id,
        event_type="disconnect",
        url="https://a.example/",
        method="POST",
        body={"eventType": "disconnect"},
        state="delivered",
        created_at=at,
    )


def _refusal(application: VoiceApplication, number: int) -> RefusedAttempt:
    at = START + timedelta(seconds=number)
    return RefusedAttempt(
        application=application, source_ip="203.0.113.9", reason="digest_wrong", status=401, count=1, first_at=at, last_at=at, trace=[]
    )


def _p95(values: Sequence[float]) -> float:
    return statistics.quantiles(values, n=20)[-1]


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {"median": round(statistics.median(values), 3), "min": round(min(values), 3), "max": round(max(values), 3)}
