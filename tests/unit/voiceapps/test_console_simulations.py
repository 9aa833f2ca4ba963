"""The console's bench: a call that nobody places, ordered by a form and read as a page."""

from __future__ import annotations

import html

import pytest
from cryptography.fernet import Fernet
from django.test import Client
from django.urls import reverse
from pytest_django.fixtures import Settings

from tests.unit.voiceapps.builders import application
from tests.unit.voiceapps.people import logged_in, made
from tests.unit.voiceapps.test_console_webhooks import console
from voiceapps.console.pages.fragments import ENDED
from voiceapps.models import AuditEntry, CallSimulation, VoiceApplication
from voiceapps.rules.people.roles import Role
from voiceapps.rules.trials.call_simulation import Line, LineKind, SimulatedCall
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
    page = client.get(reverse("console:app", args=[row.pk]), {"tab": "trials"}).content.decode()
    assert "Simulate a call" in page
    assert "when the call has ended" in order(client, row, turns="1\n\ncall me back\n4a#", caller="sip:bob@example.org", hang_up_at="90")
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


def test_the_page_lives_until_the_call_has_ended(row: VoiceApplication) -> None:
    client = console(superuser=True)
    order(client, row)
    path = reverse("admin:voiceapps_callsimulation_change", args=[CallSimulation.objects.get().pk])
    assert "data-live-part" in client.get(path).content.decode()
    waiting = client.get(path, {"live": "1"}, headers={"HX-Request": "true"})
    assert "waiting" in waiting.content.decode()
    assert not waiting.has_header(ENDED)
    (planned,) = simulations.claim(1)
    simulations.store(planned.simulation_id, SimulatedCall((), None))
    answer = client.get(path, {"live": "1"}, headers={"HX-Request": "true"})
    assert answer[ENDED] == "true"
    part = answer.content.decode()
    assert "ended well" in part
    assert "<html" not in part
    page = client.get(path).content.decode()
    assert "ended well" in page
    assert "data-live-part" not in page


def test_the_live_part_asks_for_the_same_rights_as_its_page(row: VoiceApplication) -> None:
    order(console(superuser=True), row)
    path = reverse("admin:voiceapps_callsimulation_change", args=[CallSimulation.objects.get().pk])
    viewer = logged_in(made("viewer", Role.VIEWER))
    assert viewer.get(path, {"live": "1"}, headers={"HX-Request": "true"}).status_code == 403


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
    assert console(superuser=True).get(path).status_code == 404


def test_who_had_a_call_simulated_is_in_the_audit_trail(row: VoiceApplication) -> None:
    order(logged_in(made("supporter", Role.SUPPORT)), row, turns="4711")
    entry = AuditEntry.objects.get(action="application.simulate_call")
    assert (entry.chain, entry.subject, entry.actor) == (row.account_id, str(row.pk), "operator supporter")
    assert entry.changes == {"simulation": str(CallSimulation.objects.get().pk)}
