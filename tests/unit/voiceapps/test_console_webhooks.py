"""The console's button that sends a webhook again."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from tests.unit.voiceapps.builders import application, attempted, ended, facts
from voiceapps.models import AuditEntry, WebhookDelivery
from voiceapps.rules.http.outbound import OutboundAnswer
from voiceapps.services.reports import write_reports

pytestmark = pytest.mark.django_db

BUTTON = "Send again"


@pytest.fixture
def delivery() -> WebhookDelivery:
    write_reports([ended(facts(application()))])
    delivery = WebhookDelivery.objects.get()
    attempted(delivery, OutboundAnswer(410, b"", "", 1, None))
    return delivery


def console(*permissions: str, superuser: bool = False) -> Client:
    user = User.objects.create(username="op", is_staff=True, is_superuser=superuser)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def page(client: Client, delivery: WebhookDelivery) -> str:
    return client.get(reverse("admin:voiceapps_webhookdelivery_change", args=[delivery.pk])).content.decode()


def press(client: Client, delivery: WebhookDelivery) -> int:
    return client.post(reverse("admin:voiceapps_replay_delivery", args=[delivery.pk])).status_code


def test_the_button_sends_it_again_in_the_operators_name(delivery: WebhookDelivery) -> None:
    client = console(superuser=True)
    assert BUTTON in page(client, delivery)
    assert press(client, delivery) == 302
    delivery.refresh_from_db()
    assert delivery.state == "pending"
    assert AuditEntry.objects.get(action="webhook.replay").actor == "operator op"
    assert BUTTON not in page(client, delivery)


def test_pressing_it_twice_shows_an_error(delivery: WebhookDelivery) -> None:
    client = console(superuser=True)
    press(client, delivery)
    press(client, delivery)
    assert "still being tried" in page(client, delivery)
    assert AuditEntry.objects.filter(action="webhook.replay").count() == 1


def test_a_synchronous_delivery_has_no_button(delivery: WebhookDelivery) -> None:
    WebhookDelivery.objects.update(synchronous=True)
    assert BUTTON not in page(console(superuser=True), delivery)


def test_view_permission_alone_allows_no_replay(delivery: WebhookDelivery) -> None:
    client = console("view_webhookdelivery")
    assert BUTTON not in page(client, delivery)
    assert press(client, delivery) == 403
    delivery.refresh_from_db()
    assert delivery.state == "failed"


def test_a_get_request_sends_nothing(delivery: WebhookDelivery) -> None:
    answer = console(superuser=True).get(reverse("admin:voiceapps_replay_delivery", args=[delivery.pk]))
    assert answer.status_code == 403


@pytest.mark.parametrize("name", ["nothing", "00000000-0000-4000-8000-000000000000"])
def test_an_unknown_delivery_is_404(name: str) -> None:
    answer = console(superuser=True).get(reverse("admin:voiceapps_webhookdelivery_change", args=[name]))
    assert answer.status_code == 302
