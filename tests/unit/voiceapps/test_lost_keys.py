"""A row that no key opens: it fails by itself, and says why; what others do goes on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from cryptography.fernet import Fernet, InvalidToken
from django.contrib.auth.models import User
from django.test import Client, override_settings
from django.urls import reverse

from sipuri_project.checks import credentials_of_another_realm
from tests.support.api import ApiCustomer
from tests.unit.voiceapps.builders import ACTOR, STARTED, application, attempted, ended, facts
from voiceapps.daemon.admission_reads import admission_snapshots
from voiceapps.models import Call, VoiceApplication, WebhookDelivery
from voiceapps.reads.call_report import call_report
from voiceapps.rules.admission import Reason
from voiceapps.rules.http.outbound import OutboundAnswer
from voiceapps.rules.inbound_sip import InboundSipPatch
from voiceapps.rules.reports import CallAdmitted, RefusalSeen
from voiceapps.services import applications, calls, webhooks
from voiceapps.services.delivery import claims
from voiceapps.services.delivery.pacing import Room
from voiceapps.services.reports import write_reports

pytestmark = pytest.mark.django_db
OTHER = Fernet.generate_key().decode()


@contextmanager
def other_key() -> Iterator[None]:
    """Write with a key that is removed later."""
    with override_settings(SIPURI_FIELD_KEYS=(OTHER,)):
        yield


def unreadable_application(account_id: str = "9900001") -> VoiceApplication:
    with other_key():
        row = application(account_id, callback_username="u", callback_password="p", fallback_password="f", max_calls=9)
        applications.update(row, {}, InboundSipPatch(enabled=True, password_auth=True, regions=("US",)), actor=ACTOR)
    return row


@pytest.fixture
def deliveries() -> tuple[WebhookDelivery, WebhookDelivery]:
    """An older delivery that no key opens, and one of another account."""
    with other_key():
        write_reports([ended(facts(application("9900001", callback_username="u", callback_password="p")))])
    lost = WebhookDelivery.without_secrets().get()
    write_reports([ended(facts(application(), 2))])
    return lost, WebhookDelivery.without_secrets().exclude(pk=lost.pk).get()


class TestDeliveries:
    def test_only_the_unreadable_one_fails(self, deliveries: tuple[WebhookDelivery, WebhookDelivery]) -> None:
        lost, other = deliveries
        assert [one.delivery_id for one in claims.claim(Room())] == [other.pk]
        assert claims.claim(Room()) == []
        assert state(lost) == "failed"
        assert "SIPURI_FIELD_KEYS" in lost.attempts.get().error

    def test_one_whose_url_is_unreadable_fails_too(self) -> None:
        with other_key():
            write_reports([ended(facts(application(status_url="https://u:p@a.example/")))])
        assert claims.claim(Room()) == []
        assert state(WebhookDelivery.without_secrets().get()) == "failed"

    def test_it_takes_no_room(self, deliveries: tuple[WebhookDelivery, WebhookDelivery]) -> None:
        room = Room()
        assert len(claims.claim(room)) == 1

    def test_answers_of_others_are_stored_beside_it(self, deliveries: tuple[WebhookDelivery, WebhookDelivery]) -> None:
        for row in deliveries:
            attempted(row, OutboundAnswer(200, b"", "", 1, None))
        assert [state(row) for row in deliveries] == ["delivered", "delivered"]

    def test_it_is_sent_again_when_the_key_is_back(self, deliveries: tuple[WebhookDelivery, WebhookDelivery]) -> None:
        lost, _ = deliveries
        claims.claim(Room())
        webhooks.replay(lost.pk, actor=ACTOR)
        with other_key():
            assert [one.request.password for one in claims.claim(Room()) if one.delivery_id == lost.pk] == ["p"]


class TestCalls:
    def test_a_call_ends_although_its_callback_password_is_unreadable(self) -> None:
        call, other = facts(unreadable_application()), facts(application(), 2)
        write_reports([ended(call), ended(other)])
        assert set(Call.objects.values_list("state", flat=True)) == {"disconnected"}
        assert [one.request.account_id for one in claims.claim(Room())] == [other.account_id]

    def test_the_sweep_ends_it_beside_others(self) -> None:
        write_reports([CallAdmitted(facts(unreadable_application()), "gone"), CallAdmitted(facts(application(), 2), "gone")])
        assert calls.sweep() == 2

    def test_a_password_is_handed_on_under_the_first_key(self) -> None:
        new = Fernet.generate_key().decode()
        row = unreadable_application()
        with override_settings(SIPURI_FIELD_KEYS=(new, OTHER)):
            write_reports([ended(facts(row))])
        with override_settings(SIPURI_FIELD_KEYS=(new,)):
            assert WebhookDelivery.objects.get().password == "p"

    def test_no_password_stays_none(self) -> None:
        write_reports([ended(facts(application()))])
        assert WebhookDelivery.objects.get().password == ""

    def test_the_report_of_its_call_is_shown(self, deliveries: tuple[WebhookDelivery, WebhookDelivery]) -> None:
        report = call_report(deliveries[0].call_id)
        assert report is not None
        assert [line.event_type for line in report.webhooks] == ["disconnect"]


class TestAdmission:
    def test_only_the_unreadable_application_is_marked(self) -> None:
        lost, other = unreadable_application(), application()
        found = admission_snapshots([str(lost.pk), str(other.pk)], asking=None)
        assert {user: snapshot.unreadable for user, snapshot in found.items()} == {str(lost.pk): True, str(other.pk): False}

    def test_without_password_authentication_its_callers_are_known_by_their_addresses(self) -> None:
        lost = unreadable_application()
        VoiceApplication.objects.filter(pk=lost.pk).update(password_auth_enabled=False)
        assert not admission_snapshots([str(lost.pk)], asking=None)[str(lost.pk)].unreadable


class TestLists:
    def test_lists_of_the_console_are_shown(self, deliveries: tuple[WebhookDelivery, WebhookDelivery]) -> None:
        row = unreadable_application()
        write_reports(
            [RefusalSeen(str(row.pk), "198.51.100.1", Reason.DIGEST_WRONG, 403, 1, STARTED, STARTED, "US", "user", "call@pbx", "PBX", ())]
        )
        client = Client()
        client.force_login(User.objects.create(username="op", is_staff=True, is_superuser=True))
        for name in ("console:apps", "console:webhooks", "console:calls", "console:refused"):
            assert client.get(reverse(name)).status_code == 200
        assert client.get(reverse("console:webhook", args=[deliveries[0].pk])).status_code == 200

    def test_an_account_sees_its_applications(self, customer: ApiCustomer) -> None:
        unreadable_application(customer.account_id)
        assert customer.request("GET", customer.base).status_code == 200


def test_the_check_of_realms_reads_no_secret() -> None:
    unreadable_application()
    with override_settings(SIP_REALM="another"):
        assert len(credentials_of_another_realm(["default"])) == 1


def test_the_error_names_the_setting(deliveries: tuple[WebhookDelivery, WebhookDelivery]) -> None:
    with pytest.raises(InvalidToken, match="SIPURI_FIELD_KEYS"):
        WebhookDelivery.objects.get(pk=deliveries[0].pk)


def state(row: WebhookDelivery) -> str:
    return WebhookDelivery.without_secrets().get(pk=row.pk).state
