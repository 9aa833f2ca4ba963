"""The audit chain: every later change of it is detected."""

from __future__ import annotations

import io
import json
from datetime import datetime
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import transaction

from voiceapps.models import AuditChain, AuditEntry
from voiceapps.services import audit
from voiceapps.services.audit import Actor

ACTOR = Actor("client one", "203.0.113.9", "6f0f4e0e-4b4e-4a43-9f4c-6b1f5c1a9d10")

pytestmark = pytest.mark.django_db


@pytest.fixture
def chain() -> str:
    for number in range(4):
        audit.record(ACTOR, "application.update", "app", {"name": f"n{number}", "timeout": 1.5}, account="9900000")
    return "9900000"


def test_an_untouched_chain_verifies(chain: str) -> None:
    assert audit.verify(chain) is None
    assert list(AuditEntry.objects.order_by("number").values_list("number", flat=True)) == [1, 2, 3, 4]


def test_each_account_has_its_own_chain(chain: str) -> None:
    audit.record(ACTOR, "operator.ensure", "admin", {})
    assert AuditEntry.objects.get(chain=audit.SYSTEM).number == 1
    assert audit.verify(audit.SYSTEM) is None


@pytest.mark.parametrize(
    ("field", "value"),
    [("actor", "client two"), ("changes", {"name": "x"}), ("source_ip", None), ("request_id", ""), ("subject", "b"), ("action", "x")],
)
def test_an_altered_entry_is_detected(chain: str, field: str, value: Any) -> None:
    AuditEntry.objects.filter(number=2).update(**{field: value})
    assert audit.verify(chain) == "Entry 2 is not as it was written."


def test_an_altered_entry_with_a_new_digest_breaks_the_next_one(chain: str) -> None:
    entry = AuditEntry.objects.get(number=2)
    entry.actor = "nobody"
    entry.digest = audit.digest_of(entry)
    entry.save()
    assert audit.verify(chain) == "Entry 3 is not as it was written."


def test_a_removed_entry_is_detected_at_any_position(chain: str) -> None:
    AuditEntry.objects.filter(number=4).delete()
    assert audit.verify(chain) == "The chain has 3 entries, 4 were written."
    AuditEntry.objects.filter(number=2).delete()
    assert audit.verify(chain) == "Entry 2 is missing."


def test_a_rolled_back_change_leaves_neither_entry_nor_gap(chain: str) -> None:
    with pytest.raises(RuntimeError), transaction.atomic():
        audit.record(ACTOR, "x", "y", {}, account=chain)
        raise RuntimeError
    audit.record(ACTOR, "x", "y", {}, account=chain)
    assert audit.verify(chain) is None


def test_the_command_names_the_broken_chain(chain: str) -> None:
    out = io.StringIO()
    call_command("audit", "verify", stdout=out)
    assert "1 chains" in out.getvalue()
    AuditEntry.objects.filter(number=3).delete()
    with pytest.raises(CommandError, match="9900000: Entry 3 is missing"):
        call_command("audit", "verify")
    AuditChain.objects.all().delete()
    with pytest.raises(CommandError, match="9900000"):
        call_command("audit", "verify")


def test_an_export_can_be_checked_without_the_database(chain: str) -> None:
    out = io.StringIO()
    call_command("audit", "export", "--account", chain, stdout=out)
    entries = [AuditEntry(**_columns(json.loads(line))) for line in out.getvalue().splitlines()]
    assert audit.first_break(entries, 4, entries[-1].digest) is None


def _columns(line: dict[str, Any]) -> dict[str, Any]:
    names = {"sourceIp": "source_ip", "requestId": "request_id", "previousDigest": "previous_digest", "time": "at"}
    columns = {names.get(name, name): value for name, value in line.items()}
    return columns | {"at": datetime.fromisoformat(line["time"])}
