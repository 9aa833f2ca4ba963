from __future__ import annotations

import pytest

from sipuri_project import checks
from voiceapps.models import Account, SipCredential, VoiceApplication


@pytest.mark.django_db
def test_credentials_of_another_realm_are_named() -> None:

    application = VoiceApplication.objects.create(account=Account.objects.create(account_id="1"), name="a", initiated_url="http://a")
    SipCredential.objects.create(application=application, realm="old.example", secrets="[]")
    messages = checks.credentials_of_another_realm(databases=["default"])
    assert "old.example" in str(messages[0].msg)
