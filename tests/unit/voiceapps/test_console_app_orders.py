"""What cannot be taken back: each order names whom it hits and asks; a new password is shown once, by the page that follows."""

from __future__ import annotations

import hashlib
import html
import json
import re
import time

import pytest
from cryptography.fernet import Fernet
from django.conf import settings
from django.contrib.sessions.models import Session
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries
from pytest_django.fixtures import Settings

from tests.unit.voiceapps.builders import ACTOR, application
from tests.unit.voiceapps.forms import form_of
from tests.unit.voiceapps.people import logged_in, made
from voiceapps.console.access import once
from voiceapps.models import AuditEntry, CallMinute, OpenCall, PlacedCall, RefusalMinute, SipCredential, VoiceApplication
from voiceapps.rules.inbound_sip import InboundSipPatch
from voiceapps.rules.people.roles import Role
from voiceapps.services import applications
from voiceapps.services.accounts import ensure_account

pytestmark = pytest.mark.django_db

BY_RANGE = InboundSipPatch(enabled=True, password_auth=False, source_ips=("203.0.113.0/24",))
BY_PASSWORD = InboundSipPatch(enabled=True, password_auth=True)


@pytest.fixture
def console() -> Client:
    return logged_in(made("op", Role.ADMIN))


def taking_calls(sip: InboundSipPatch = BY_PASSWORD) -> VoiceApplication:
    return applications.update(application(), {}, sip, actor=ACTOR).application


def path(row: VoiceApplication, verb: str) -> str:
    return reverse("console:app_order", args=[row.pk, verb])


def page(console: Client, row: VoiceApplication) -> str:
    return console.get(reverse("console:app", args=[row.pk])).content.decode()


def shown(page: str) -> list[str]:
    return re.findall(r'<code class="sipuri-secret"[^>]*>([\w-]+)</code>', page)


def save(console: Client, row: VoiceApplication, **typed: str) -> str:
    """Save the form after that was typed, and return where it leads."""
    answer = console.post(reverse("console:app", args=[row.pk]), {**form_of(page(console, row), "Save"), **typed})
    assert answer.status_code == 302
    return str(answer["Location"])


def press(console: Client, row: VoiceApplication, verb: str, button: str) -> str:
    """Ask for an order, confirm it, and return where that leads."""
    asked = console.get(path(row, verb)).content.decode()
    answer = console.post(path(row, verb), form_of(asked, button))
    assert answer.status_code == 302
    return str(answer["Location"])


def works(row: VoiceApplication, password: str) -> bool:
    ha1 = hashlib.md5(f"{row.pk}:{settings.SIP_REALM}:{password}".encode()).hexdigest()
    return [str(row.pk), "MD5", ha1] in json.loads(SipCredential.objects.get(application=row).secrets)


class TestPassword:
    def test_enabling_shows_the_password_that_works(self, console: Client) -> None:
        row = application()
        answer = console.get(save(console, row, enabled="on")).content.decode()
        (password,) = shown(answer)
        row.refresh_from_db()
        assert works(row, password)
        assert row.sip_uri is not None
        assert row.sip_uri in answer

    @pytest.mark.parametrize("before", [BY_RANGE, BY_PASSWORD])
    def test_a_new_one_is_made_by_the_order(self, console: Client, before: InboundSipPatch) -> None:
        row = taking_calls(before)
        (password,) = shown(console.get(press(console, row, "rotate", "Make the new password")).content.decode())
        assert works(row, password)

    def test_a_test_call_is_placed_from_where_it_is_shown(self, console: Client) -> None:
        row = taking_calls()
        reveal = press(console, row, "rotate", "Make the new password")
        form = form_of(console.get(reveal).content.decode(), "I stored it: place a test call")
        assert console.post(reverse("console:place_call", args=[row.pk]), form).status_code == 302
        assert PlacedCall.objects.get().application_id == row.pk

    def test_ticking_it_beside_ranges_makes_one(self, console: Client) -> None:
        row = taking_calls(BY_RANGE)
        (password,) = shown(console.get(save(console, row, password_auth="on")).content.decode())
        assert works(row, password)

    def test_it_is_shown_nowhere_else(self, console: Client) -> None:
        row = application()
        reveal = save(console, row, enabled="on")
        stored = [session.get_decoded() for session in Session.objects.all()]
        answer = console.get(reveal)
        (password,) = shown(answer.content.decode())
        assert password not in json.dumps(stored)
        assert "no-store" in answer["Cache-Control"]
        assert password not in page(console, row)
        kept = [*(session.get_decoded() for session in Session.objects.all()), *AuditEntry.objects.values_list("changes", flat=True)]
        assert password not in json.dumps(kept)
        assert all(password not in morsel.OutputString() for morsel in console.cookies.values())

    def test_the_texts_for_programs_have_it_once(self, console: Client) -> None:
        row = application()
        reveal = save(console, row, enabled="on")
        text = console.get(reveal).content.decode()
        (password,) = shown(text)
        assert f"password = {password}" in text
        assert "PASSWORD" not in text
        assert "PASSWORD" in console.get(reverse("console:app", args=[row.pk]), {"tab": "setup"}).content.decode()

    def test_loading_it_again_shows_nothing_and_rotates_nothing(self, console: Client) -> None:
        row = application()
        reveal = save(console, row, enabled="on")
        assert len(shown(console.get(reveal).content.decode())) == 1
        kept = SipCredential.objects.get(application=row).secrets
        again = console.get(reveal).content.decode()
        assert shown(again) == []
        assert "this one was" in again
        assert SipCredential.objects.get(application=row).secrets == kept

    def test_nobody_reads_it_after_five_minutes(self, console: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        reveal = save(console, application(), enabled="on")
        monkeypatch.setattr(once, "SECONDS", -1)
        assert shown(console.get(reveal).content.decode()) == []

    def test_a_change_that_makes_none_says_so(self, console: Client) -> None:
        row = taking_calls()
        assert save(console, row, regions="US") == reverse("console:app", args=[row.pk])
        assert "The changes are saved." in page(console, row)


class TestOrders:
    def minutes(self, row: VoiceApplication, ago: int, calls: int, refusals: int) -> None:
        minute = int(time.time()) // 60 - ago
        owner = {"account_id": row.account_id, "application_id": row.pk, "minute": minute}
        CallMinute.objects.create(**owner, end_reason="caller_hangup", calls=calls, answered=0, talked=0, talk_ms=0)
        RefusalMinute.objects.create(**owner, reason="digest_wrong", attempts=refusals)

    def up(self, row: VoiceApplication, number: int = 1) -> None:
        OpenCall.objects.create(call_id=f"c-{number}", account_id=row.account_id, application_id=row.pk, started_at=timezone.now())

    @pytest.mark.parametrize("verb", ["rotate", "disable", "delete"])
    def test_each_names_what_it_hits(self, console: Client, verb: str, django_assert_num_queries: DjangoAssertNumQueries) -> None:
        row, other = taking_calls(), taking_calls()
        self.minutes(row, 10, calls=3, refusals=4)
        self.minutes(row, 90, calls=50, refusals=60)
        self.minutes(other, 10, calls=500, refusals=600)
        self.up(row, 1)
        self.up(row, 2)
        self.up(other, 3)
        console.get(path(row, verb))
        with django_assert_num_queries(4):  # session, user, permissions, application
            asked = console.get(path(row, verb)).content.decode()
        assert "<strong>2</strong>: they go on" in asked
        assert "<strong>7</strong> (3 calls, 4 refused)" in asked
        assert row.sip_uri is not None
        assert row.sip_uri in asked
        assert SipCredential.objects.count() == 2

    def test_asking_does_nothing(self, console: Client) -> None:
        row = taking_calls()
        kept = SipCredential.objects.get().secrets
        for verb in ("rotate", "disable", "delete"):
            assert console.get(path(row, verb)).status_code == 200
        row.refresh_from_db()
        assert (row.inbound_sip_enabled, SipCredential.objects.get().secrets) == (True, kept)

    def test_disabling_takes_the_uri_away(self, console: Client) -> None:
        row = taking_calls()
        press(console, row, "disable", "Disable it")
        row.refresh_from_db()
        assert (row.sip_uri, SipCredential.objects.count()) == (None, 0)
        assert "takes no SIP calls any more" in html.unescape(page(console, row))

    @pytest.mark.parametrize("verb", ["rotate", "disable"])
    def test_where_there_is_no_uri_there_is_nothing_to_order(self, console: Client, verb: str) -> None:
        row = application()
        assert console.post(path(row, verb), {"version": "1"}).status_code == 302
        row.refresh_from_db()
        assert (row.version, SipCredential.objects.count()) == (1, 0)

    def test_deleting_leads_to_the_list(self, console: Client) -> None:
        row = taking_calls()
        assert press(console, row, "delete", "Delete it") == reverse("console:apps")
        assert not VoiceApplication.objects.exists()
        assert AuditEntry.objects.filter(action="application.delete", actor="operator op").count() == 1

    def test_calls_that_are_up_have_to_be_accepted(self, console: Client) -> None:
        row = taking_calls()
        self.up(row)
        press(console, row, "delete", "Delete it all the same: 1 call without it")
        assert not VoiceApplication.objects.exists()

    def test_calls_that_began_since_it_was_asked_stop_it(self, console: Client) -> None:
        row = taking_calls()
        form = form_of(console.get(path(row, "delete")).content.decode(), "Delete it")
        self.up(row)
        answer = console.post(path(row, "delete"), form)
        assert "Calls have begun meanwhile" in answer.content.decode()
        assert VoiceApplication.objects.exists()
        form = form_of(answer.content.decode(), "Delete it all the same: 1 call without it")
        assert console.post(path(row, "delete"), form).status_code == 302
        assert not VoiceApplication.objects.exists()

    @pytest.mark.parametrize("verb", ["rotate", "disable", "delete"])
    @pytest.mark.parametrize("version", ["2", "", "x", "1" * 30])
    def test_what_was_asked_of_another_version_is_not_done(self, console: Client, verb: str, version: str) -> None:
        row = taking_calls()
        kept = SipCredential.objects.get().secrets
        applications.update(row, {"name": "Theirs"}, InboundSipPatch(), actor=ACTOR)
        assert console.post(path(row, verb), {"version": version}).status_code == 302
        assert "has changed meanwhile" in page(console, row)
        assert SipCredential.objects.get().secrets == kept

    def test_another_order_is_not_found(self, console: Client) -> None:
        assert console.get(path(application(), "paint")).status_code == 404
        assert console.post(path(application(), "paint")).status_code == 404

    def test_without_the_key_of_its_passwords_it_says_so(self, settings: Settings) -> None:
        row = applications.update(application(callback_username="u", callback_password="p"), {}, BY_PASSWORD, actor=ACTOR).application
        settings.SIPURI_FIELD_KEYS = (Fernet.generate_key().decode(),)
        client = logged_in(made("second", Role.ADMIN))
        press(client, row, "rotate", "Make the new password")
        assert "No key in SIPURI_FIELD_KEYS" in page(client, row)


class TestNew:
    def make(self, console: Client, **typed: str) -> tuple[int, str]:
        form = {**form_of(console.get(reverse("console:app_new")).content.decode(), "Make it"), **typed}
        answer = console.post(reverse("console:app_new"), form, follow=True)
        return answer.status_code, html.unescape(answer.content.decode())

    def test_a_customer_is_set_up_on_one_page(self, console: Client) -> None:
        ensure_account("9900000", actor=ACTOR)
        _, answer = self.make(console, account="9900000", name="First", initiated_url="https://a.example/initiate")
        (password,) = shown(answer)
        row = VoiceApplication.objects.get()
        assert (row.name, row.account_id, row.callback_timeout) == ("First", "9900000", 15.0)
        assert works(row, password)

    def test_what_is_wrong_is_named_and_nothing_is_lost(self, console: Client) -> None:
        ensure_account("9900000", actor=ACTOR)
        status, answer = self.make(console, account="9900000", name="First", initiated_url="javascript:alert(1)", regions="DE")
        assert status == 200
        assert "only http and https are allowed" in answer
        assert form_of(answer, "Make it")["regions"] == ["DE"]
        assert not VoiceApplication.objects.exists()

    @pytest.mark.parametrize("account", ["", "9911111", "٣"])
    def test_an_account_that_is_none_is_told(self, console: Client, account: str) -> None:
        _, answer = self.make(console, account=account, name="First", initiated_url="https://a.example/initiate")
        assert "There is no such account." in answer
        assert form_of(answer, "Make it")["name"] == ["First"]

    def test_the_accounts_limit_is_told(self, console: Client) -> None:
        account = ensure_account("9900000", actor=ACTOR)
        account.max_applications = 0
        account.save()
        _, answer = self.make(console, account="9900000", name="First", initiated_url="https://a.example/initiate")
        assert "may have 0 voice applications" in answer
