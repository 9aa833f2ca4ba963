"""The audit chain: every later change of it is detected, also by somebody who writes a new one into the database."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import transaction
from django.test import override_settings
from django.utils import timezone
from structlog.testing import capture_logs

from voiceapps.models import Account, AuditChain, AuditEntry, Node
from voiceapps.services import audit, key_check
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
    [
        ("actor", "client two"),
        ("changes", {"name": "x"}),
        ("before", {"name": "x"}),
        ("source_ip", None),
        ("request_id", ""),
        ("subject", "b"),
        ("action", "x"),
    ],
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


def test_an_entry_behind_the_end_is_detected_unless_it_was_written_meanwhile(chain: str, monkeypatch: pytest.MonkeyPatch) -> None:
    first_break = audit.first_break

    def slowly(entries: Iterable[AuditEntry], count: int, last_digest: str) -> str | None:
        audit.record(ACTOR, "x", "y", {}, account=chain)
        return first_break(entries, count, last_digest)

    monkeypatch.setattr(audit, "first_break", slowly)
    assert audit.verify(chain) is None
    monkeypatch.undo()
    AuditEntry.objects.filter(number=5).update(number=6)
    AuditChain.objects.filter(chain=chain).update(number=4, digest=AuditEntry.objects.get(number=4).digest)
    assert audit.verify(chain) == CUT
    AuditChain.objects.filter(chain=chain).update(signature=audit._signatures(AuditChain.objects.get(chain=chain))[0])
    assert audit.verify(chain) == "The chain has 6 entries, 4 were written."


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


# Somebody who writes to the database without our keys.

CUT = "Its end is not the one that was signed: entries were cut off, or it was written anew."


def put_end(chain: str) -> None:
    """Have the row of a chain's end say what its last entry is, as far as that goes without our keys."""
    last = AuditEntry.objects.filter(chain=chain).order_by("number").last()
    assert last is not None
    AuditChain.objects.filter(chain=chain).update(number=last.number, digest=last.digest)


def write_anew(chain: str) -> None:
    """Write a chain anew with another actor, each digest right."""
    digest = ""
    for entry in AuditEntry.objects.filter(chain=chain).order_by("number"):
        entry.actor, entry.previous_digest = "nobody", digest
        entry.digest = digest = audit.digest_of(entry)
        entry.save()
    put_end(chain)


def test_a_chain_that_was_written_anew_is_detected(chain: str) -> None:
    write_anew(chain)
    assert audit.verify(chain) == CUT


def test_a_chain_whose_end_was_cut_off_is_detected(chain: str) -> None:
    AuditEntry.objects.filter(number__gt=2).delete()
    put_end(chain)
    assert audit.verify(chain) == CUT
    AuditChain.objects.filter(chain=chain).update(signature="")
    assert audit.verify(chain) == "Its end has no signature."


def test_another_chain_cannot_take_its_place(chain: str) -> None:
    audit.record(ACTOR, "x", "y", {}, account="2")
    AuditEntry.objects.filter(chain=chain).delete()
    AuditEntry.objects.filter(chain="2").update(chain=chain)
    end = AuditChain.objects.get(chain="2")
    AuditChain.objects.filter(chain=chain).update(number=end.number, digest=end.digest, signature=end.signature)
    assert audit.verify(chain) == CUT


def test_the_next_entry_does_not_hide_it(chain: str) -> None:
    AuditEntry.objects.filter(number=4).delete()
    put_end(chain)
    with capture_logs() as lines:
        audit.record(ACTOR, "x", "y", {}, account=chain)
        audit.record(ACTOR, "x", "y", {}, account=chain)
    assert audit.verify(chain) == "Its end has no signature."
    assert [(line["event"], line["chain"], line["number"]) for line in lines] == [
        ("audit_end_not_signed", chain, 3),
        ("audit_end_not_signed", chain, 4),
    ]


def test_a_chain_that_was_removed_is_missed_also_when_it_begins_again(chain: str) -> None:
    Account.objects.create(account_id=chain)
    audit.record(ACTOR, "x", "y", {}, account="2")
    AuditEntry.objects.filter(chain=chain).delete()
    AuditChain.objects.filter(chain=chain).delete()
    assert list(audit.faults()) == [f"2 chains were begun, 1 are there. Accounts without one: {chain}."]
    audit.record(ACTOR, "x", "y", {}, account=chain)
    assert list(audit.faults()) == ["3 chains were begun, 2 are there."]
    AuditChain.objects.filter(chain=audit.REGISTER).update(number=2)
    assert list(audit.faults()) == [f"number of chains: {CUT}"]
    AuditChain.objects.filter(chain=audit.REGISTER).delete()
    assert list(audit.faults()) == ["0 chains were begun, 2 are there."]


def test_an_operator_accepts_what_is_there_and_an_entry_tells_it(chain: str) -> None:
    AuditEntry.objects.filter(number__gt=2).delete()
    AuditChain.objects.filter(chain=audit.REGISTER).update(number=7)
    with pytest.raises(CommandError, match="2 entries, 4 were written"):
        call_command("audit", "verify")
    call_command("audit", "accept", "--account", chain)
    call_command("audit", "verify", stdout=io.StringIO())
    entry = AuditEntry.objects.get(number=3)
    assert (entry.actor, entry.action) == ("command audit", "audit.accept")
    assert entry.changes == {"entries": 2, "entries_before": 4, "chains_before": 7}
    audit.record(ACTOR, "x", "y", {}, account=chain)
    assert audit.verify(chain) is None


def test_a_chain_of_which_nothing_is_left_can_be_accepted(chain: str) -> None:
    Account.objects.create(pk=chain)
    AuditEntry.objects.all().delete()
    AuditChain.objects.filter(chain=chain).delete()
    call_command("audit", "accept", "--account", chain)
    assert list(audit.faults()) == []


def test_an_account_that_nobody_has_gets_no_chain() -> None:
    with pytest.raises(CommandError, match="There is no account 99"):
        call_command("audit", "accept", "--account", "99")
    assert not AuditChain.objects.exists()


@pytest.mark.parametrize("command", [("audit", "verify"), ("audit", "accept"), ("node", "callflow-one", "drain")])
def test_a_command_with_foreign_keys_is_refused(chain: str, command: tuple[str, ...]) -> None:
    key_check.ensure()
    Node.objects.create(name="callflow-one", role="callflow", state="up", seen_at=timezone.now())
    with override_settings(SIPURI_FIELD_KEYS=(Fernet.generate_key().decode(),)), pytest.raises(key_check.KeysDiffer):
        call_command(*command)
    assert list(audit.faults()) == []
    assert AuditEntry.objects.count() == 4


def test_an_altered_entry_cannot_be_accepted(chain: str) -> None:
    AuditEntry.objects.filter(number=2).update(actor="nobody")
    call_command("audit", "accept", "--account", chain)
    assert audit.verify(chain) == "Entry 2 is not as it was written."


def test_the_key_is_one_of_the_field_keys(chain: str) -> None:
    new = Fernet.generate_key().decode()
    with override_settings(SIPURI_FIELD_KEYS=(new,)):
        assert audit.verify(chain) == CUT
    with override_settings(SIPURI_FIELD_KEYS=(new, *settings.SIPURI_FIELD_KEYS)):
        assert audit.verify(chain) is None
        assert (audit.sign_anew(chain, dry_run=True), audit.sign_anew(chain, dry_run=False)) == (True, True)
        assert audit.sign_anew(chain, dry_run=False) is False
    with override_settings(SIPURI_FIELD_KEYS=(new,)):
        assert audit.verify(chain) is None


def test_a_wrong_signature_is_not_signed_anew(chain: str) -> None:
    write_anew(chain)
    assert audit.sign_anew(chain, dry_run=False) is None
    assert audit.verify(chain) == CUT


def test_an_export_can_be_checked_without_the_database(chain: str) -> None:
    out = io.StringIO()
    call_command("audit", "export", "--account", chain, stdout=out)
    entries = [AuditEntry(**_columns(json.loads(line))) for line in out.getvalue().splitlines()]
    assert audit.first_break(entries, 4, entries[-1].digest) is None


def _columns(line: dict[str, Any]) -> dict[str, Any]:
    names = {"sourceIp": "source_ip", "requestId": "request_id", "previousDigest": "previous_digest", "time": "at"}
    columns = {names.get(name, name): value for name, value in line.items()}
    return columns | {"at": datetime.fromisoformat(line["time"])}
