"""The page of health shows what the examination finds, the worst first."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from pytest_django.fixtures import Settings

from voiceapps.rules.diagnosis.findings import Finding, bad, doubtful, good

pytestmark = pytest.mark.django_db

FOUND = [good("Disk", "There is room."), doubtful("Clock", "It drifts.", "Run NTP."), bad("Ports", "<b>dead\u202e</b>", "Start it.")]


def examine() -> list[Finding]:
    return FOUND


@pytest.fixture
def page(settings: Settings) -> Settings:
    settings.EXAMINATION = f"{__name__}.examine"
    return settings


def test_the_worst_comes_first_with_what_mends_it(page: Settings, admin_client: Client) -> None:
    text = admin_client.get(reverse("console:health")).content.decode()
    assert "2 of 3 need a look" in text
    assert text.index("Start it.") < text.index("Run NTP.") < text.index("There is room.")
    assert "<b>dead" not in text
    assert "\u202e" not in text


def test_it_is_closed_to_who_may_not_see_nodes(page: Settings, client: Client) -> None:
    client.force_login(User.objects.create_user("viewer", is_staff=True))
    assert client.get(reverse("console:health")).status_code == 403
    client.logout()
    assert client.get(reverse("console:health")).status_code == 302
