"""The console's bench: a call that nobody places, ordered by a form and read as a page."""

from __future__ import annotations

import html

import pytest
from cryptography.fernet import Fernet
from django.test import Client
from django.urls import reverse
from pytest_django.fixtures import Settings

from tests.unit.voiceapps.builders import application
from tests.unit.voiceapps.test_console_webhooks import console
from voiceapps.models import CallSimulation, VoiceApplication
from voiceapps.rules.call_simulation import Line, LineKind, SimulatedCall
from voiceapps.services.trials import simulations
from voiceapps.services.trials.simulations import UNREADABLE

pytestmark = pytest.mark.django_db


@pytest.fixture
def row() -> VoiceApplication:
    return application()


def order(client: Client, row: VoiceApplication, **fields: str) -> str:
    return client.post(reverse("admin:voiceapps_simulate_call", args=[row.pk]), fields, follow=True).content.decode()


def story(client: Client) -> str:
    (number,) = CallSimulation.objects.values_list("pk", flat=True)
    return client.get(reverse("admin:voiceapps_callsimulation_change", args=[number])).content.decode()


def test_each_line_of_the_form_is_a_turn(row: VoiceApplication) -> None:
    client = console(superuser=True)
    page = client.get(reverse("admin:voiceapps_voiceapplication_change", args=[row.pk])).content.decode()
    assert "Simulate a call" in page
    assert "looks again" in order(client, row, turns="1\n\ncall me back\n4a#", caller="sip:bob@example.org", hang_up_at="90")
    script = simulations.script_of(CallSimulation.objects.get())
    assert [(turn.digits, turn.words) for turn in script.turns] == [("1", ""), ("", ""), ("", "call me back"), ("4A#", "")]
    assert (script.caller, script.hangs_up_at) == ("sip:bob@example.org", 90.0)


def test_the_page_shows_what_a_caller_would_have_met(row: VoiceApplication) -> None:
    client = console(superuser=True)
    order(client, row)
    (planned,) = simulations.claim(1)
    lines = Line(0.0, LineKind.ANSWERED), Line(2.25, LineKind.CALLER_SAYS, "<script>alert(1)</script>")
    simulations.store(planned.simulation_id, SimulatedCall(lines, "callback-error: It answered 500."))
    page = story(client)
    assert all(text in page for text in ("2.250", "caller says", "&lt;script&gt;alert(1)", "It answered 500.", "failed"))
    assert "<script>alert(1)" not in page
    assert "failed" in client.get(reverse("admin:voiceapps_callsimulation_changelist")).content.decode()


def test_a_call_that_goes_on_is_looked_at_again(row: VoiceApplication) -> None:
    client = console(superuser=True)
    order(client, row)
    path = reverse("admin:voiceapps_callsimulation_change", args=[CallSimulation.objects.get().pk])
    assert client.get(path).headers["Refresh"] == "1"
    (planned,) = simulations.claim(1)
    simulations.store(planned.simulation_id, SimulatedCall((), None))
    answer = client.get(path)
    assert "Refresh" not in answer.headers
    assert "ended well" in answer.content.decode()


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"hang_up_at": "soon"}, "The second at which the caller hangs up must be a number."),
        ({"hang_up_at": "-1"}, "hangUpAt: Must be a number of seconds from 0 to 36000."),
        ({"turns": "\n" * 200}, "turns: Must be an array of at most 100."),
    ],
)
def test_a_script_that_breaks_a_rule_is_told(row: VoiceApplication, fields: dict[str, str], sentence: str) -> None:
    assert sentence in order(console(superuser=True), row, **fields)
    assert not CallSimulation.objects.exists()


def test_who_may_not_change_applications_simulates_none(row: VoiceApplication) -> None:
    client = console("view_voiceapplication", "view_callsimulation")
    assert client.post(reverse("admin:voiceapps_simulate_call", args=[row.pk])).status_code == 403
    assert client.get(reverse("admin:voiceapps_simulate_call", args=[row.pk])).status_code == 403


def test_what_no_key_opens_spoils_no_page(row: VoiceApplication, settings: Settings) -> None:
    client = console(superuser=True)
    order(client, row)
    settings.SIPURI_FIELD_KEYS = (Fernet.generate_key().decode(),)
    assert UNREADABLE in html.unescape(story(client))
    assert client.get(reverse("admin:voiceapps_callsimulation_changelist")).status_code == 200


def test_one_that_is_gone_is_not_found(row: VoiceApplication) -> None:
    path = reverse("admin:voiceapps_callsimulation_change", args=["7f4f1a52-0000-4000-8000-000000000000"])
    assert console(superuser=True).get(path).status_code == 302
