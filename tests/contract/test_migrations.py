"""Databases out there have run the first migration: a change of it would reach none of them, and the later ones meet their rows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.state import StateApps
from django.utils import timezone

from voiceapps.models import (
    Call,
    CallMinute,
    CallVerdict,
    IdempotentAnswer,
    KeyCheck,
    OpenCall,
    Recording,
    RefusedAttempt,
    TouchedMinute,
    VoiceApplication,
    WebhookAttempt,
    WebhookDelivery,
)
from voiceapps.models.figures import NO_APPLICATION
from voiceapps.rules.admission import Reason
from voiceapps.rules.reports import RefusalSeen
from voiceapps.services import audit, key_check
from voiceapps.services.audit import Actor
from voiceapps.services.figures import minutes
from voiceapps.services.reports import write_reports

FIRST = Path(__file__).parents[2] / "voiceapps" / "migrations" / "0001_initial.py"
DIGEST = "a13b948038f058e0242298458e4797240f0a2b25152276378a7e6861bb478a37"


def test_the_first_migration_is_the_one_that_was_released() -> None:
    assert sha256(FIRST.read_bytes()).hexdigest() == DIGEST, (
        "the first migration never changes; add a new one (CONTRIBUTING.md, 'change a model')"
    )


NOW = datetime(2026, 11, 28, tzinfo=UTC)
SECRET_URL = "http://user:secret-1@a.example/down?sig=secret-2"
DOCUMENT = "<Response><PlayAudio>http://a.example/x.wav?Signature=secret-3</PlayAudio></Response>"
SENTENCE = "http://user:secret-4@a.example/ answered 500."


def migrate(name: str | None) -> StateApps:
    """Bring the database to one migration of ours, or to the newest one."""
    executor = MigrationExecutor(connection)
    newest = [node for node in executor.loader.graph.leaf_nodes() if node[0] == "voiceapps"]
    executor.migrate(newest if name is None else [("voiceapps", name)])
    return MigrationExecutor(connection).loader.project_state([("voiceapps", name)] if name else newest).apps


@pytest.fixture
def first_release(transactional_db: None) -> Iterator[StateApps]:
    """A database as the first migration makes it."""
    yield migrate("0001_initial")
    migrate(None)


def old_rows(apps: StateApps) -> None:
    """Write an application, a call and its webhooks as the first release did."""
    account = apps.get_model("voiceapps", "Account").objects.create(account_id="9900000")
    application = apps.get_model("voiceapps", "VoiceApplication").objects.create(
        account=account, name="Old", initiated_url=SECRET_URL, status_url="https://a.example/status"
    )
    client = apps.get_model("voiceapps", "ApiClient").objects.create(client_id="c", name="Old")
    answers = apps.get_model("voiceapps", "IdempotentAnswer").objects
    answers.create(client=client, key="k", fingerprint="f", status=201, body={"callInitiatedCallbackUrl": SECRET_URL}, headers={})
    call = apps.get_model("voiceapps", "Call").objects.create(
        call_id="c-1",
        account=account,
        application=application,
        error_message=SENTENCE,
        source_ip="203.0.113.9",
        source_port=5060,
        started_at=NOW,
    )
    deliveries = apps.get_model("voiceapps", "WebhookDelivery").objects
    attempts = apps.get_model("voiceapps", "WebhookAttempt").objects
    for event_type, body in (("initiate", {}), ("disconnect", {"errorMessage": SENTENCE, "cause": "error"})):
        delivery = deliveries.create(
            account=account, call=call, event_type=event_type, url=SECRET_URL, method="POST", body=body, created_at=NOW
        )
        attempts.create(delivery=delivery, at=NOW, url=SECRET_URL, status=200, response_body=DOCUMENT, latency_ms=1)


TRACE = [
    {"rule": "host", "verdict": "passed", "expected": "a name or address of this service", "seen": "a.example"},
    {"rule": "source_ip", "verdict": "failed", "expected": "203.0.113.0/24", "seen": "198.51.100.1"},
    {"rule": "region", "verdict": "skipped", "expected": "", "seen": ""},
]


def old_refusals(apps: StateApps) -> None:
    """Write refused attempts as the first release did, more than one batch of the migration."""
    model = apps.get_model("voiceapps", "RefusedAttempt")
    fields = {"source_ip": "198.51.100.1", "reason": "ip_not_allowed", "status": 401, "count": 3, "first_at": NOW, "last_at": NOW}
    owners = (apps.get_model("voiceapps", "VoiceApplication").objects.get(), None)
    model.objects.bulk_create(model(application=owners[n % 2], trace=TRACE, **fields) for n in range(1_200))


@pytest.mark.long
def test_refused_attempts_live_on_and_new_ones_join_them(first_release: StateApps) -> None:
    old_rows(first_release)
    old_refusals(first_release)
    migrate(None)
    application = VoiceApplication.objects.get()
    assert RefusedAttempt.objects.filter(application=application, key=None, count=3).count() == 600
    assert all(row.trace == TRACE for row in RefusedAttempt.objects.all())
    owned = RefusedAttempt.objects.filter(account_id="9900000").values_list("application", flat=True)
    assert list(owned) == [application.pk] * 600
    seen = RefusalSeen(
        str(application.pk), "198.51.100.1", Reason.IP_NOT_ALLOWED, 401, 3, NOW.timestamp(), NOW.timestamp(), None, "", "", "", ()
    )
    write_reports([seen, seen])
    assert RefusedAttempt.objects.exclude(key=None).get().count == 6
    before = migrate("0005_encrypt_idempotent_answers").get_model("voiceapps", "RefusedAttempt")
    assert before.objects.filter(trace=TRACE).count() == 1_200


def old_audit(apps: StateApps) -> None:
    """Write two audit chains as the first release did."""
    for chain in ("", "9900000"):
        end = apps.get_model("voiceapps", "AuditChain")(chain=chain)
        for number in (1, 2):
            entry = apps.get_model("voiceapps", "AuditEntry")(
                chain=chain, number=number, at=NOW, actor="test", action="x", subject="y", changes={}, previous_digest=end.digest
            )
            entry.before = {}
            entry.digest = audit.digest_of(entry)
            entry.save()
            end.number, end.digest = number, entry.digest
        end.save()


@pytest.mark.long
def test_audit_chains_of_the_first_release_are_signed(first_release: StateApps) -> None:
    old_audit(first_release)
    migrate(None)
    assert list(audit.faults()) == []
    audit.record(Actor("test"), "x", "y", {}, account="9900000")
    audit.record(Actor("test"), "x", "y", {}, account="9900001")
    assert list(audit.faults()) == []
    migrate("0010_webhook_pacing")
    migrate(None)
    assert list(audit.faults()) == []
    assert audit.names() == ["", "9900000", "9900001"]


def old_calls(apps: StateApps) -> None:
    """Write calls as the first release did, more than one batch of the migration: even ones were not heard, every third goes on."""
    model, legs = apps.get_model("voiceapps", "Call"), apps.get_model("voiceapps", "MediaLeg")
    numbers = range(10_000, 11_100)
    fields = {"account_id": "9900000", "source_ip": "203.0.113.9", "source_port": 5060, "started_at": NOW}
    end = {"end_reason": "caller_hangup", "answered_at": NOW, "ended_at": NOW + timedelta(seconds=9)}
    model.objects.bulk_create(
        model(call_id=f"c-{n}", from_uri=f"sip:+1 {n}@x", **fields, **(end if n % 3 else {"end_reason": ""})) for n in numbers
    )
    figures = {"node": "n", "at": NOW, "bytes_in": 0, "packets_out": 1, "lost": 0, "jitter_ms": 0, "ssrc_changes": 0, "final": True}
    sides = (("external", 0), ("internal", 9))
    legs.objects.bulk_create(
        legs(call_id=f"c-{n}", leg=leg, packets_in=packets, **figures) for n in numbers for leg, packets in sides if n % 2 == 0
    )


@pytest.mark.long
def test_calls_of_the_first_release_get_their_numbers_and_verdicts(first_release: StateApps) -> None:
    old_rows(first_release)
    old_calls(first_release)
    migrate(None)
    found = dict(CallVerdict.objects.values_list("call_id", "code"))
    wanted = {f"c-{n}": "unmeasured" if n % 2 else "caller_unheard" for n in range(10_000, 11_100) if n % 3}
    assert found == wanted
    assert Call.objects.exclude(from_number="").count() == 1_100
    assert Call.objects.get(pk="c-10500").from_number == "110500"
    row = CallVerdict.objects.get(pk="c-11098")
    assert (row.account_id, row.application_id, row.started_at) == ("9900000", None, NOW)


def stored_text(*tables: str) -> str:
    """Return everything that these tables hold, as the database has it."""
    with connection.cursor() as cursor:
        rows = []
        for table in tables:
            cursor.execute(f"SELECT * FROM {table}")  # noqa: S608  # our own names
            rows += cursor.fetchall()
    return str(rows)


def test_rows_of_the_first_release_live_on(first_release: StateApps) -> None:
    old_rows(first_release)
    assert "secret-1" in stored_text("voiceapps_webhookdelivery")
    migrate(None)
    application = VoiceApplication.objects.get()
    # A new account has limits, theirs has none, as before.
    assert (application.account.max_calls, application.account.max_calls_per_second) == (None, None)
    assert (application.media_learning, application.media_source_ips, application.media_timeout) == ("strict", [], 30)
    assert json.loads(IdempotentAnswer.objects.get().document) == {"callInitiatedCallbackUrl": SECRET_URL}
    key_check.ensure()
    assert KeyCheck.objects.count() == 1
    assert "secret" not in stored_text(
        "voiceapps_idempotentanswer", "voiceapps_call", "voiceapps_webhookdelivery", "voiceapps_webhookattempt"
    )
    first, last = WebhookDelivery.objects.order_by("-event_type")
    # It is sent to where it was to be sent.
    assert (first.url, first.target) == ("http://***@a.example/down?sig=***", SECRET_URL)
    assert last.body == {"errorMessage": "http://***@a.example/ answered 500.", "cause": "error"}
    assert Call.objects.get().error_message == last.body["errorMessage"]
    assert [(held.call_id, held.account_id, held.application_id) for held in OpenCall.objects.all()] == [("c-1", "9900000", application.pk)]
    attempt = WebhookAttempt.objects.all()[0]
    assert (attempt.url, attempt.response_body) == (first.url, DOCUMENT.replace("secret-3", "***"))


@pytest.mark.long
def test_the_last_day_of_an_installation_is_counted(transactional_db: None) -> None:
    before = migrate("0023_capabilities")
    account = before.get_model("voiceapps", "Account").objects.create(account_id="9900000")
    for number, hours in enumerate((1, 30)):
        started_at = timezone.now() - timedelta(hours=hours)
        before.get_model("voiceapps", "Call").objects.create(
            call_id=f"c-{number}", account=account, source_ip="203.0.113.9", source_port=5060, started_at=started_at
        )
    migrate(None)
    while minutes.roll_up():
        pass
    assert CallMinute.objects.get(account_id="9900000", application_id=NO_APPLICATION).calls == 1
    assert not TouchedMinute.objects.exists()


def test_recordings_get_the_account_of_their_call(transactional_db: None) -> None:
    before = migrate("0034_placed_calls")
    for number, account_id in enumerate(("9900000", "9900001")):
        account = before.get_model("voiceapps", "Account").objects.create(account_id=account_id)
        call = before.get_model("voiceapps", "Call").objects.create(
            call_id=f"c-{number}", account=account, source_ip="203.0.113.9", source_port=5060, started_at=NOW
        )
        before.get_model("voiceapps", "Recording").objects.create(
            recording_id=f"r-{number}", call=call, file_format="wav", channels=1, started_at=NOW
        )
    migrate(None)
    assert list(Recording.objects.order_by("pk").values_list("account_id", flat=True)) == ["9900000", "9900001"]
