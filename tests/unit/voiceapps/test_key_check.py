"""Keys that are not those of the database stop a process, by name."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.conf import settings
from django.core.management import call_command
from django.db import connection
from django.test import override_settings

from voiceapps.api.access import token_keys
from voiceapps.models import Account, AuditEntry, KeyCheck, SipCredential, VoiceApplication
from voiceapps.services import key_check
from voiceapps.services.key_check import KeysDiffer

pytestmark = pytest.mark.django_db
OTHER = Fernet.generate_key().decode()
ONE_TEXT: dict[str, dict[str, Any]] = {
    "SIPURI_SECRET_KEY": {"SECRET_KEY": "another-key-of-thirty-two-or-more-characters"},
    "SIPURI_NONCE_KEY": {"SIPURI_NONCE_KEY": b"another-key-of-thirty-two-or-more-characters"},
    "SIPURI_ROUTE_KEY": {"ROUTE_KEYS": (b"another-key-of-thirty-two-or-more-characters",)},
    "SIPURI_WEBHOOK_KEY": {"SIPURI_WEBHOOK_KEY": b"another-key-of-thirty-two-or-more-characters"},
    "SIPURI_TOKEN_KEYS": {"SIPURI_TOKEN_KEYS": token_keys.new_set()},
}


@pytest.fixture(autouse=True)
def checked() -> None:
    """Have the database know our keys: `migrate` does so, but a test before may have emptied it."""
    key_check.ensure()


def credential() -> SipCredential:
    application = VoiceApplication.objects.create(account=Account.objects.create(account_id="1"), name="a", initiated_url="http://a")
    return SipCredential.objects.create(application=application, realm="r", secrets="[1]")


def test_migrate_leaves_one_row_that_holds_no_key() -> None:
    assert KeyCheck.objects.get().sentinel == "sipuri"
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM voiceapps_keycheck")
        stored = str(cursor.fetchall())
    keys = [settings.SECRET_KEY, *settings.SIPURI_FIELD_KEYS, settings.SIPURI_NONCE_KEY.decode(), settings.ROUTE_KEYS[0].decode()]
    assert not any(key in stored for key in [*keys, token_keys.current().keys[0]["d"]])


@pytest.mark.parametrize("variable", ONE_TEXT)
def test_another_key_is_refused_by_name(variable: str) -> None:
    with override_settings(**ONE_TEXT[variable]), pytest.raises(KeysDiffer) as refused:
        key_check.ensure()
    (sentence,) = str(refused.value).splitlines()
    assert sentence.startswith(f"{variable} ")


def test_lost_field_keys_are_refused_by_name_and_a_new_one_beside_the_old_is_not() -> None:
    with override_settings(SIPURI_FIELD_KEYS=(OTHER,)), pytest.raises(KeysDiffer, match=r"^SIPURI_FIELD_KEYS has no key that opens"):
        key_check.ensure()
    with override_settings(SIPURI_FIELD_KEYS=(OTHER, *settings.SIPURI_FIELD_KEYS)):
        key_check.ensure()


def test_a_database_of_an_earlier_release_is_not_taken_with_lost_keys() -> None:
    row = credential()
    KeyCheck.objects.all().delete()
    with override_settings(SIPURI_FIELD_KEYS=(OTHER,)), pytest.raises(KeysDiffer, match=r"It cannot read SipCredential\.secrets\."):
        key_check.ensure()
    assert not KeyCheck.objects.exists()
    key_check.ensure()
    assert (KeyCheck.objects.count(), SipCredential.objects.get().secrets) == (1, row.secrets)


def test_token_keys_may_change_one_by_one() -> None:
    second = token_keys.current().with_new([])
    third = second.with_new([second.keys[1]["kid"]])
    with override_settings(SIPURI_TOKEN_KEYS=second.as_text()):
        key_check.ensure()
    # A node that was not restarted yet.
    key_check.ensure()
    with override_settings(SIPURI_TOKEN_KEYS=second.as_text()):
        key_check.ensure()
    with override_settings(SIPURI_TOKEN_KEYS=third.as_text()):
        key_check.ensure()
    with pytest.raises(KeysDiffer, match="SIPURI_TOKEN_KEYS shares no key"):
        key_check.ensure()


def with_route_keys(*keys: bytes) -> override_settings:
    return override_settings(ROUTE_KEYS=keys)


def test_route_keys_may_change_one_by_one() -> None:
    old, new = settings.ROUTE_KEYS[0], b"a-new-key-of-thirty-two-or-more-characters"
    steps: list[list[tuple[bytes, ...]]] = [[(old,), (old, new)], [(old, new), (new, old)], [(new, old), (new,)]]
    for step in steps:
        for keys in (*step, *step, step[1]):
            with with_route_keys(*keys):
                key_check.ensure()
    with pytest.raises(KeysDiffer, match="SIPURI_ROUTE_KEY does not fit"):
        key_check.ensure()


def test_a_route_key_that_others_do_not_verify_yet_must_not_write() -> None:
    old, new = settings.ROUTE_KEYS[0], b"a-new-key-of-thirty-two-or-more-characters"
    with with_route_keys(new, old), pytest.raises(KeysDiffer, match="SIPURI_ROUTE_KEY does not fit"):
        key_check.ensure()
    for keys in ((old, new), (new, old)):
        with with_route_keys(*keys):
            key_check.ensure()
    # What others write by now, a process that was left behind does not verify.
    with pytest.raises(KeysDiffer, match="SIPURI_ROUTE_KEY does not fit"):
        key_check.ensure()


def test_the_order_of_a_key_s_members_is_no_difference() -> None:
    turned = [dict(reversed(key.items())) for key in json.loads(settings.SIPURI_TOKEN_KEYS)["keys"]]
    with override_settings(SIPURI_TOKEN_KEYS=json.dumps({"keys": turned})):
        key_check.ensure()


@pytest.mark.parametrize("variable", ONE_TEXT)
def test_a_key_can_be_replaced_by_name(variable: str) -> None:
    with override_settings(**ONE_TEXT[variable]):
        call_command("rotatekeys", "--dry-run", "--replace", variable, verbosity=0)
        with pytest.raises(KeysDiffer):
            key_check.ensure()
        call_command("rotatekeys", "--replace", variable, verbosity=0)
        key_check.ensure()
    with pytest.raises(KeysDiffer, match=variable):
        key_check.ensure()
    assert AuditEntry.objects.filter(action="keys.rotate").count() == 1
