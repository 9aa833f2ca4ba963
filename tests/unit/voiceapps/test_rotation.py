"""`manage.py rotatekeys`: everything under the first key, after which the others can go."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest
from cryptography.fernet import Fernet
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db.models import TextField, Value
from django.test import override_settings

from voiceapps import fields
from voiceapps.models import Account, ApiClient, AuditChain, AuditEntry, IdempotentAnswer, KeyCheck, SipCredential, VoiceApplication
from voiceapps.services import audit, key_check, rotation
from voiceapps.services.audit import Actor
from voiceapps.services.key_check import KeysDiffer

pytestmark = pytest.mark.django_db
NEW = Fernet.generate_key().decode()
ROWS = 7


@pytest.fixture(autouse=True)
def old_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of several batches, encrypted with the key that is to be replaced."""
    monkeypatch.setattr(rotation, "BATCH_ROWS", 3)
    key_check.ensure()
    account = Account.objects.create(account_id="1")
    client = ApiClient.objects.create(client_id="c", name="c")
    for number in range(ROWS):
        application = VoiceApplication.objects.create(
            account=account, name="a", initiated_url="http://a", callback_password=f"c{number}" if number % 2 else ""
        )
        SipCredential.objects.create(application=application, realm="r", secrets=f"[{number}]")
        IdempotentAnswer.objects.create(client=client, key=str(number), fingerprint="f", status=201, document=f"{number}", headers={})


@pytest.fixture
def both_keys() -> Iterator[None]:
    with override_settings(SIPURI_FIELD_KEYS=(NEW, *settings.SIPURI_FIELD_KEYS)):
        yield


def tokens() -> list[str]:
    """Return everything that is stored encrypted."""
    found: list[str] = []
    for model, name in key_check.encrypted_fields():
        found += key_check.stored_tokens(model, name).values_list("stored_token", flat=True)
    return found


def run(*options: str) -> str:
    out = io.StringIO()
    call_command("rotatekeys", *options, stdout=out)
    return out.getvalue()


def test_everything_is_rewritten_and_the_old_key_can_go(both_keys: None) -> None:
    said = run()
    assert "SipCredential.secrets                    7 rewritten, 0 current, 0 unreadable" in said
    assert "VoiceApplication.callback_password       3 rewritten" in said
    assert all(map(fields.is_current, tokens()))
    with override_settings(SIPURI_FIELD_KEYS=(NEW,)):
        key_check.ensure()
        assert sorted(row.secrets for row in SipCredential.objects.all()) == [f"[{number}]" for number in range(ROWS)]
        assert sorted(row.document for row in IdempotentAnswer.objects.all()) == [f"{number}" for number in range(ROWS)]
    assert AuditEntry.objects.get(action="keys.rotate").changes["SipCredential.secrets"] == ROWS


def test_the_old_key_cannot_go_before(both_keys: None) -> None:
    with override_settings(SIPURI_FIELD_KEYS=(NEW,)), pytest.raises(KeysDiffer, match="SIPURI_FIELD_KEYS"):
        key_check.ensure()


def test_a_dry_run_changes_nothing(both_keys: None) -> None:
    before = tokens()
    assert "7 to rewrite, 0 current" in run("--dry-run")
    assert tokens() == before
    assert not AuditEntry.objects.exists()


def test_a_run_that_was_interrupted_goes_on(both_keys: None, monkeypatch: pytest.MonkeyPatch) -> None:
    rewritten, count = fields.rewritten, iter(range(5))
    monkeypatch.setattr(fields, "rewritten", lambda token: rewritten(token) if next(count, None) is not None else 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run()
    monkeypatch.undo()
    assert not fields.is_current(key_check.stored_tokens(KeyCheck, "sentinel").values_list("stored_token", flat=True)[0])
    said = run()
    assert "IdempotentAnswer.document                4 rewritten, 3 current" in said
    assert all(map(fields.is_current, tokens()))
    assert run().count(" 0 rewritten") == len(list(key_check.encrypted_fields())) + len(["AuditChain.signature"])


def test_what_is_written_meanwhile_is_not_overwritten(both_keys: None, monkeypatch: pytest.MonkeyPatch) -> None:
    rewritten = fields.rewritten
    concerned = set(key_check.stored_tokens(SipCredential, "secrets").values_list("stored_token", flat=True))

    def overtaken(token: str) -> str:
        if token in concerned:
            with override_settings(SIPURI_FIELD_KEYS=settings.SIPURI_FIELD_KEYS[1:]):
                SipCredential.objects.filter(realm="r").update(secrets="[new]", realm="r2")
        return rewritten(token)

    monkeypatch.setattr(fields, "rewritten", overtaken)
    with pytest.raises(CommandError, match="were written meanwhile: run the command again"):
        run()
    monkeypatch.undo()
    assert {row.secrets for row in SipCredential.objects.all()} == {"[new]"}
    with override_settings(SIPURI_FIELD_KEYS=(NEW,)), pytest.raises(KeysDiffer):
        key_check.ensure()
    run()
    assert all(map(fields.is_current, tokens()))


def test_what_no_key_opens_is_told_and_stays(both_keys: None) -> None:
    lost = Fernet(Fernet.generate_key()).encrypt(b"x").decode()
    row = SipCredential.objects.filter(pk=SipCredential.objects.values_list("pk", flat=True)[0])
    row.update(secrets=Value(lost, output_field=TextField()))
    with pytest.raises(CommandError, match="1 values are opened or signed by no key of SIPURI_FIELD_KEYS"):
        run()
    assert [token for token in tokens() if not fields.is_current(token)] == [lost]


def test_audit_chains_are_signed_by_the_new_key() -> None:
    for account in ("1", "2"):
        audit.record(Actor("test"), "x", "y", {}, account=account)
    AuditChain.objects.filter(chain="2").update(signature="0" * 64)
    with override_settings(SIPURI_FIELD_KEYS=(NEW, *settings.SIPURI_FIELD_KEYS)):
        out = io.StringIO()
        with pytest.raises(CommandError, match="1 values are opened or signed by no key"):
            call_command("rotatekeys", stdout=out)
    # The number of chains is signed, too.
    assert "AuditChain.signature                     2 rewritten, 0 current, 1 unreadable" in out.getvalue()
    with override_settings(SIPURI_FIELD_KEYS=(NEW,)):
        assert [line.partition(":")[0] for line in audit.faults()] == ["2"]


def test_nothing_is_rewritten_by_lost_keys() -> None:
    before = tokens()
    with override_settings(SIPURI_FIELD_KEYS=(NEW,)), pytest.raises(KeysDiffer):
        run()
    assert tokens() == before
