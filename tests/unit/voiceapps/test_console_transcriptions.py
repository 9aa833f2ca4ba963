"""The console's table of transcriptions: what became of them, and nothing of what was said."""

from __future__ import annotations

import pytest
from cryptography.fernet import Fernet
from django.urls import reverse
from pytest_django.fixtures import Settings

from tests.unit.voiceapps.test_console_webhooks import console
from tests.unit.voiceapps.test_transcriptions import SAID, claimed, recorded
from voiceapps.models import Transcription
from voiceapps.services.transcriptions import claims

pytestmark = pytest.mark.django_db


def pages() -> list[str]:
    client = console(superuser=True)
    number = Transcription.objects.values_list("pk", flat=True).get()
    paths = reverse("admin:voiceapps_transcription_changelist"), reverse("admin:voiceapps_transcription_change", args=[number])
    answers = [client.get(path) for path in paths]
    assert [answer.status_code for answer in answers] == [200, 200]
    return [answer.content.decode() for answer in answers]


def test_its_state_is_shown_and_neither_words_nor_secrets() -> None:
    recording_id = recorded(wanted="https://user:url-secret@a.example/written")
    claims.store(claimed(), SAID)
    for page in pages():
        assert recording_id in page
        assert "available" in page
        assert "call me back" not in page
        assert "url-secret" not in page


def test_a_row_that_no_key_opens_spoils_no_page(settings: Settings) -> None:
    recorded(wanted="https://user:url-secret@a.example/written")
    settings.SIPURI_FIELD_KEYS = (Fernet.generate_key().decode(),)
    assert all("none" in page for page in pages())
