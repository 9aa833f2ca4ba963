from __future__ import annotations

import pytest
from django.core.checks import CheckMessage
from django.test import override_settings

from sipuri_project import checks
from voiceapps.models import Account, SipCredential, VoiceApplication


def ids(messages: list[CheckMessage]) -> set[str | None]:
    return {message.id for message in messages}


@override_settings(SIPURI_ENV="production", WEBHOOK_ALLOW_PRIVATE=True, MEDIA_ALLOW_PRIVATE=True)
def test_a_lab_in_production_is_named() -> None:
    assert ids(checks.unsafe_in_production()) == {"sipuri.E001", "sipuri.E002", "sipuri.E003", "sipuri.W001"}


@override_settings(SIPURI_NONCE_KEY=b"short")
def test_short_keys_are_named() -> None:
    assert "SIPURI_NONCE_KEY" in str(checks.short_keys()[0].msg)


@override_settings(SIPURI_TOKEN_KEYS='{"keys": []}')
def test_keys_that_sign_no_tokens_are_named() -> None:
    (message,) = checks.bad_token_keys()
    assert (message.id, message.msg) == ("sipuri.E006", "SIPURI_TOKEN_KEYS: a JWK Set without keys.")


def test_the_generated_keys_are_good() -> None:
    assert checks.bad_token_keys() == []


@override_settings(RTP_PORTS=(30000, 40010), RTP_INTERNAL_PORTS=(40002, 60000))
def test_overlapping_pools_are_named() -> None:
    assert ids(checks.port_pools()) == {"sipuri.E005"}


@pytest.mark.django_db
def test_credentials_of_another_realm_are_named() -> None:

    application = VoiceApplication.objects.create(account=Account.objects.create(account_id="1"), name="a", initiated_url="http://a")
    SipCredential.objects.create(application=application, realm="old.example", secrets="[]")
    messages = checks.credentials_of_another_realm(databases=["default"])
    assert "old.example" in str(messages[0].msg)
