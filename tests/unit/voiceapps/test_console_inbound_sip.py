"""The console's buttons for inbound SIP: a new password is shown in one answer only."""

from __future__ import annotations

import hashlib
import json
import re

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.test import Client
from django.urls import reverse

from tests.unit.voiceapps.builders import ACTOR, application
from voiceapps.models import AuditEntry, SipCredential, VoiceApplication
from voiceapps.rules.inbound_sip import InboundSipPatch
from voiceapps.services import applications

pytestmark = pytest.mark.django_db

BY_RANGE = InboundSipPatch(enabled=True, password_auth=False, source_ips=("203.0.113.0/24",))
BY_PASSWORD = InboundSipPatch(enabled=True, password_auth=True)


@pytest.fixture
def console() -> Client:
    client = Client()
    client.force_login(
        User.objects.create(username="op", is_staff=True, is_superuser=True), backend="django.contrib.auth.backends.ModelBackend"
    )
    return client


def button(row: VoiceApplication, verb: str) -> str:
    return reverse("admin:voiceapps_inbound_sip", args=[row.pk, verb])


def page(console: Client, row: VoiceApplication) -> str:
    return console.get(reverse("admin:voiceapps_voiceapplication_change", args=[row.pk])).content.decode()


def shown(page: str) -> list[str]:
    return re.findall(r'<code class="sipuri-secret">([\w-]+)</code>', page)


@pytest.mark.parametrize(
    ("before", "verb", "form"),
    [
        (InboundSipPatch(), "change", {"password_auth": "on"}),
        (BY_RANGE, "change", {"password_auth": "on", "source_ips": "203.0.113.0/24"}),
        (BY_RANGE, "rotate", {}),
        (BY_PASSWORD, "rotate", {}),
    ],
)
def test_the_answer_shows_the_password_that_works(console: Client, before: InboundSipPatch, verb: str, form: dict[str, str]) -> None:
    row = application()
    applications.update(row, {}, before, actor=ACTOR)
    answer = console.post(button(row, verb), form).content.decode()
    (password,) = shown(answer)
    ha1 = hashlib.md5(f"{row.pk}:{settings.SIP_REALM}:{password}".encode()).hexdigest()
    assert [str(row.pk), "MD5", ha1] in json.loads(SipCredential.objects.get(application=row).secrets)
    row.refresh_from_db()
    assert row.sip_uri is not None
    assert row.sip_uri in answer


def test_the_password_is_shown_nowhere_else(console: Client) -> None:
    row = application()
    answer = console.post(button(row, "change"), {"password_auth": "on"})
    (password,) = shown(answer.content.decode())
    assert "no-store" in answer["Cache-Control"]
    assert password not in page(console, row)
    kept = [*(session.get_decoded() for session in Session.objects.all()), *AuditEntry.objects.values_list("changes", flat=True)]
    assert password not in json.dumps(kept)
    assert all(password not in morsel.OutputString() for morsel in console.cookies.values())


def test_a_change_that_makes_no_password_says_so(console: Client) -> None:
    row = application()
    applications.update(row, {}, BY_PASSWORD, actor=ACTOR)
    assert console.post(button(row, "change"), {"password_auth": "on", "regions": "US"}).status_code == 302
    assert "The SIP settings are changed." in page(console, row)
