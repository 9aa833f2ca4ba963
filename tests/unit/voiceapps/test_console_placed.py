"""A call of our own phone, ordered on the application's page: what came of it is told in words, and can be listened to."""

from __future__ import annotations

from dataclasses import replace

import pytest
from django.test import Client
from django.urls import reverse

from tests.unit.voiceapps.builders import ACTOR, application, facts
from tests.unit.voiceapps.people import logged_in, made
from voiceapps.console.pages.fragments import ENDED
from voiceapps.models import AuditEntry, PlacedCall, VoiceApplication
from voiceapps.rules.inbound_sip import InboundSipPatch
from voiceapps.rules.people.roles import Role
from voiceapps.rules.reports import CallAdmitted
from voiceapps.rules.trials.placed_call import Outcome, SipLine
from voiceapps.services import applications
from voiceapps.services.reports import write_reports
from voiceapps.services.trials import placed_calls
from voiceapps.services.trials.placed_calls import DISABLED, MAX_OPEN

pytestmark = pytest.mark.django_db
EVIL = "<script>alert(1)</script>"
HEARD = b"\xff" * 801
GOOD = Outcome(
    "203.0.113.5:6160", "203.0.113.6:4100", 200, "OK", 0.25, 4.0, "remote", 0.5, 200, 1, (SipLine(0.1, "in", EVIL),), heard=HEARD
)


@pytest.fixture
def row() -> VoiceApplication:
    return applications.update(application(), {}, InboundSipPatch(enabled=True, password_auth=True), actor=ACTOR).application


@pytest.fixture
def client() -> Client:
    return logged_in(made("supporter", Role.SUPPORT))


def order(client: Client, row: VoiceApplication, **form: str) -> str:
    return client.post(reverse("console:place_call", args=[row.pk]), form, follow=True).content.decode()


def end(outcome: Outcome) -> None:
    (planned,) = placed_calls.claim(1)
    placed_calls.store(planned.placed_call_id, outcome)


def of_call(name: str = "placed_call") -> str:
    placed = PlacedCall.objects.get()
    return reverse(f"console:{name}", args=[placed.application_id, placed.pk])


def test_a_call_is_ordered_and_looked_at_until_it_has_ended(client: Client, row: VoiceApplication) -> None:
    assert "Place a call" in client.get(reverse("console:app", args=[row.pk]), {"tab": "trials"}).content.decode()
    assert "when it has ended" in order(client, row, digits="1 23#", seconds="5")
    assert "data-live-part" in client.get(of_call()).content.decode()
    end(GOOD)
    answer = client.get(of_call(), {"live": "1"}, headers={"HX-Request": "true"})
    assert answer[ENDED] == "true"
    part = answer.content.decode()
    assert "Answered, and the application was heard" in part
    assert "<html" not in part
    page = client.get(of_call()).content.decode()
    assert "data-live-part" not in page
    for text in ("Answered, and the application was heard", "203.0.113.5:6160", "200 packets, 1 lost", "&lt;script&gt;alert(1)"):
        assert text in page
    assert EVIL not in page
    trials = client.get(reverse("console:app", args=[row.pk]), {"tab": "trials"}).content.decode()
    assert of_call() in trials
    assert "Answered, and the application was heard" in trials
    assert f"{reverse('console:bench')}?app={row.pk}" in trials


def test_what_was_heard_is_a_wav_file(client: Client, row: VoiceApplication) -> None:
    order(client, row)
    assert client.get(of_call("placed_call_heard")).status_code == 404
    end(GOOD)
    answer = client.get(of_call("placed_call_heard"))
    assert answer.headers["Content-Type"] == "audio/wav"
    audio = answer.content
    assert (audio[:4], audio[8:12], audio[20:22]) == (b"RIFF", b"WAVE", b"\x07\x00")
    assert int.from_bytes(audio[4:8], "little") == len(audio) - 8
    assert audio[-802:-1] == HEARD


def test_its_record_is_one_click_away(client: Client, row: VoiceApplication) -> None:
    order(client, row)
    end(GOOD)
    call = replace(facts(row), sip_call_id=PlacedCall.objects.get().sip_call_id)
    assert "The call's record" not in client.get(of_call()).content.decode()
    write_reports([CallAdmitted(call, "proxy")])
    assert reverse("console:call", args=[call.call_id]) in client.get(of_call()).content.decode()


def test_a_refusal_leads_to_the_refused_attempts(client: Client, row: VoiceApplication) -> None:
    order(client, row)
    end(Outcome("127.0.0.1:6160", "127.0.0.1:4100", 403, "Forbidden"))
    page = client.get(of_call()).content.decode()
    assert "403 Forbidden" in page
    assert f"{reverse('console:refused')}?app={row.pk}" in page


def test_what_cannot_be_placed_is_said(client: Client, row: VoiceApplication) -> None:
    assert "Digits: at most" in order(client, row, digits="x")
    assert not PlacedCall.objects.exists()
    for _ in range(MAX_OPEN):
        order(client, row)
    assert f"{MAX_OPEN} calls of this account have not ended yet." in order(client, row)
    applications.update(row, {}, InboundSipPatch(enabled=False), actor=ACTOR)
    assert DISABLED in order(client, row)


def test_a_call_of_another_application_is_not_found_below_this_one(client: Client, row: VoiceApplication) -> None:
    order(client, row)
    other = application("9900001")
    assert client.get(reverse("console:placed_call", args=[other.pk, PlacedCall.objects.get().pk])).status_code == 404


def test_who_placed_a_call_is_in_the_audit_trail(client: Client, row: VoiceApplication) -> None:
    order(client, row, digits="4711")
    entry = AuditEntry.objects.get(action="application.place_call")
    assert (entry.chain, entry.subject, entry.actor) == (row.account_id, str(row.pk), "operator supporter")
    assert entry.changes == {"sip_call_id": PlacedCall.objects.get().sip_call_id}
