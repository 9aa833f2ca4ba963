"""The bench: would a call enter, is a document right, what does a backend answer?"""

from __future__ import annotations

import re

import pytest
from cryptography.fernet import Fernet
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries
from pytest_django.fixtures import Settings

from tests.unit.voiceapps.builders import ACTOR, application, facts
from tests.unit.voiceapps.people import logged_in, made
from tests.unit.voiceapps.test_webhook_tests import Wire, answer, wire
from voiceapps.console.pages import bench
from voiceapps.models import VoiceApplication, WebhookDelivery
from voiceapps.rules.inbound_sip import InboundSipPatch
from voiceapps.rules.people.roles import Role
from voiceapps.rules.reports import WebhookFetched
from voiceapps.services import applications
from voiceapps.services.reports import write_reports
from voiceapps.services.trials import webhook_tests

__all__ = ["wire"]

pytestmark = pytest.mark.django_db

BENCH = "/console/bench/"


@pytest.fixture
def row() -> VoiceApplication:
    made_row = application(name="Clinic")
    patch = InboundSipPatch(enabled=True, password_auth=True, source_ips=("203.0.113.0/24",), regions=("DE",))
    return applications.update(made_row, {}, patch, actor=ACTOR).application


@pytest.fixture
def client() -> Client:
    return logged_in(made("op", Role.SUPPORT))


def admission(client: Client, row: VoiceApplication, **query: str) -> str:
    answer = client.get(BENCH, {"app": str(row.pk), "ip": "203.0.113.9", "country": "DE", **query})
    assert answer.status_code == 200
    return answer.content.decode()


def verdicts(text: str) -> dict[str, str]:
    return dict(re.findall(r'<th scope="row">([a-z ]+)</th>\s*<td[^>]*><span[^>]*>[a-z_]+</span> (\w+)</td>', text))


def test_a_call_that_would_enter(client: Client, row: VoiceApplication) -> None:
    text = admission(client, row)
    assert "The call would enter" in text
    found = verdicts(text)
    assert (found["source ip"], found["region"], found["digest"], found["application calls"]) == ("passed", "passed", "passed", "skipped")
    assert f'<option value="{row.pk}" selected>Clinic (9900000)</option>' in text


@pytest.mark.parametrize(
    ("query", "texts"),
    [
        ({"digest": "absent"}, ["The caller would be asked for its password (407)"]),
        ({"digest": "wrong"}, ["would be refused (401): wrong password", "rotate it"]),
        ({"digest": "other_user"}, ["would be refused (403)"]),
        ({"ip": "198.51.100.7"}, ["the source address is not on the list", "203.0.113.0/24", "198.51.100.7"]),
        ({"country": "FR"}, ["would be refused (401): the country of the source address is not allowed"]),
        ({"country": "??"}, ["would be refused (401)", "unknown country", "Country: unknown."]),
        ({"country": ""}, [", looked up."]),
    ],
)
def test_each_answer_is_explained(client: Client, row: VoiceApplication, query: dict[str, str], texts: list[str]) -> None:
    shown = admission(client, row, **query)
    for text in texts:
        assert text in shown


def test_a_limit_is_called_one(client: Client, row: VoiceApplication) -> None:
    VoiceApplication.objects.update(max_calls_per_second=0)
    assert "would be refused (480): the limit of calls was reached" in admission(client, row)


def test_what_is_wrong_stands_beside_its_field_and_stays(client: Client, row: VoiceApplication) -> None:
    text = admission(client, row, ip="203.0.113", country="Q1", app="x")
    assert re.search(r'name="ip" value="203.0.113"[^>]*aria-invalid', text)
    assert "Not an IPv4 address" in text
    assert 'value="Q1"' in text
    assert "Write an application&#x27;s id" in text
    assert "would" not in text.split("</form>")[1].split("<section")[0]


def test_only_the_own_applications_are_tried(row: VoiceApplication) -> None:
    other = logged_in(made("other", Role.ADMIN, "9911111"))
    text = admission(other, row)
    assert "There is no such application." in text
    assert "Clinic" not in text
    assert "There is no such application." in other.post(reverse("console:test_webhook"), {"app": str(row.pk)}).content.decode()


def test_a_check_costs_few_queries(client: Client, row: VoiceApplication, django_assert_max_num_queries: DjangoAssertNumQueries) -> None:
    admission(client, row)
    # The session, the operator, permissions; and the application, what admission reads of it, and the choices.
    with django_assert_max_num_queries(8):
        admission(client, row)


# Documents


def lint(client: Client, document: str) -> str:
    answer = client.post(reverse("console:check_bxml"), {"document": document})
    assert answer.status_code == 200
    return answer.content.decode()


def test_each_fault_stands_beside_its_line_and_what_was_typed_stays(client: Client) -> None:
    text = lint(client, '<Response>\r\n  <Pause lenght="2"/>\r\n  <Nothing/>\r\n</Response>')
    assert "A call would not run it: 2 faults" in text
    lines = re.findall(r"<li( class=\"sipuri-faulty\")?><code>.*?</code>(.*?)</li>", text, re.DOTALL)
    assert [bool(faulty) for faulty, _ in lines] == [False, True, True, False]
    assert "Line 2: " in lines[1][1]
    assert "lenght" in lines[1][1]
    assert "&lt;Pause lenght=&quot;2&quot;/&gt;" in text.partition("</textarea>")[0]


def test_a_good_document_tells_its_verbs(client: Client) -> None:
    text = lint(client, "<Response>\n<SpeakSentence>Grüße</SpeakSentence>\n<Hangup/>\n</Response>")
    assert "A call would run it" in text
    assert re.search(r"SpeakSentence</bdi> \(line 2\), <bdi[^>]*>Hangup</bdi> \(line 3\)", text)


def test_what_is_no_document_is_told(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "Write a document" in lint(client, " \n")
    assert "A call would not run it" in lint(client, "\u202e<script>x")
    assert "\u202e" not in lint(client, "\u202e<a/>").partition("</textarea>")[2]
    monkeypatch.setattr(bench, "MAX_LINES", 2)
    text = lint(client, "<Response>\n\n\n<Nothing/></Response>")
    assert "Line 4: " in text
    assert text.count("<li><code>") == 2


def test_an_answer_is_brought_to_the_bench(client: Client, row: VoiceApplication) -> None:
    document = '<Response><Pause lenght="1"/></Response>'
    write_reports([WebhookFetched(facts(row), "initiate", 1.0, "https://a.example/", "POST", "{}", 200, document, 1, None)])
    query = f"?delivery={WebhookDelivery.objects.get().pk}"
    assert "1 fault" in client.get(BENCH + query).content.decode()
    for other in (logged_in(made("other", Role.ADMIN, "9911111")), client):
        text = other.get(BENCH + (query if other is not client else "?delivery=x")).content.decode()
        assert "lenght" not in text
    assert "Check the answer on the bench" in client.get(reverse("console:webhook", args=[query.partition("=")[2]])).content.decode()


# Webhooks


def sent(client: Client, row: VoiceApplication) -> str:
    answer = client.post(reverse("console:test_webhook"), {"app": str(row.pk)})
    assert answer.status_code == 200
    return answer.content.decode()


def test_an_answer_is_shown_as_a_call_would_take_it(client: Client, row: VoiceApplication, wire: Wire) -> None:
    wire.answers = [
        answer(200, "<Response><SpeakSentence>Hello \u202e</SpeakSentence></Response>".encode()),
        answer(200, b"<Response><Nothing/></Response>"),
        answer(None),
    ]
    good, bad, none = (sent(client, row) for _ in range(3))
    assert "A call would run it: " in good
    assert "⟨U+202E⟩" in good
    assert "Nothing" in bad
    assert "sipuri-badge sipuri-bad" in bad
    assert "No answer within 4 s." in none
    assert f'<option value="{row.pk}" selected>' in good


def test_what_cannot_be_sent_is_told(client: Client, row: VoiceApplication, monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    assert "Write an application&#x27;s id" in client.post(reverse("console:test_webhook")).content.decode()
    monkeypatch.setattr(webhook_tests, "_testing", {row.account_id})
    assert "Try again in a few seconds" in sent(client, row)
    applications.update(row, {"callback_password": "p"}, InboundSipPatch(), actor=ACTOR)
    settings.SIPURI_FIELD_KEYS = (Fernet.generate_key().decode(),)
    assert "opens the application&#x27;s callback password" in sent(client, row)


def test_pages_lead_to_the_bench(client: Client, row: VoiceApplication) -> None:
    shown = client.get(reverse("console:app", args=[row.pk]) + "?tab=trials").content.decode()
    assert f'href="{BENCH}?app={row.pk}"' in shown
    write_reports([WebhookFetched(facts(row), "initiate", 1.0, "https://a.example/", "POST", "{}", 200, "", 1, None)])
    shown = client.get(reverse("console:call", args=[facts(row).call_id])).content.decode()
    assert f'href="{BENCH}?app={row.pk}&amp;ip=203.0.113.9#admission"' in shown
