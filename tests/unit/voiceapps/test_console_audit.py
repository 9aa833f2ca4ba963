"""The audit trail in the console: from what to what, by names, a page at a time, never the whole table."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from tests.support.plans import query_plans
from tests.unit.voiceapps.builders import ACTOR, application
from voiceapps.models import Account, AuditEntry, VoiceApplication
from voiceapps.reads import audit_report
from voiceapps.reads.audit_report import Difference, Wanted, audit_page
from voiceapps.rules.inbound_sip import InboundSipPatch
from voiceapps.services import accounts, applications, audit
from voiceapps.services.audit import Actor

pytestmark = pytest.mark.django_db

EVIL = '<script>document.title="owned"</script>\u202e'


@pytest.fixture
def row() -> VoiceApplication:
    return application(callback_username="voice", callback_password="old-secret")


def page(client: Client, **query: str) -> str:
    answer = client.get(reverse("console:audit"), query)
    assert answer.status_code == 200
    return answer.content.decode()


def differences(action: str) -> dict[str, tuple[str, str]]:
    line = next(line for line in audit_page(Wanted()).lines if line.action == action)
    return {one.name: (one.old, one.new) for one in line.differences}


def test_an_application_is_changed_from_what_to_what(row: VoiceApplication) -> None:
    ranges = InboundSipPatch(enabled=True, password_auth=True, source_ips=("203.0.113.0/24",))
    applications.update(row, {"name": "Other", "callback_password": "new-secret", "sip_headers": True}, ranges, actor=ACTOR)
    found = differences("application.update")
    assert found["name"] == ("App", "Other")
    assert found["sip_headers"] == ("no", "yes")
    assert found["source_ips"] == ("none", "203.0.113.0/24")
    assert found["callback_password"] == ("***", "***")
    assert found["password"] == ("", "rotated")
    assert "secret" not in repr(list(AuditEntry.objects.values()))
    assert list(audit.faults()) == []


def test_limits_and_names_of_accounts(row: VoiceApplication) -> None:
    account = accounts.ensure_account("9900000", actor=ACTOR, name="Library")
    assert differences("account.ensure") == {"name": ("", "Library")}
    accounts.set_limits(account, max_calls=7, max_calls_per_second=None, max_applications=None, actor=ACTOR)
    found = differences("account.set_limits")
    assert found["max_calls"][1] == "7"
    assert found["max_calls"][0].isdecimal()


def test_things_have_their_names(admin_client: Client, row: VoiceApplication) -> None:
    Account.objects.update(name="Library")
    text = page(admin_client)
    assert ">App</bdi>" in text
    assert ">Library</bdi>" in text


def test_strangers_text_stays_text(admin_client: Client, row: VoiceApplication) -> None:
    applications.update(row, {"name": EVIL}, InboundSipPatch(), actor=Actor(EVIL))
    text = page(admin_client)
    assert EVIL not in text
    assert "\u202e" not in text


def test_pages_have_every_entry_once(admin_client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_report, "PAGE", 3)
    for number in range(8):
        audit.record(ACTOR, "x", str(number), {})
    seen: list[str] = []
    below: int | None = None
    while True:
        found = audit_page(Wanted(action="x", below=below))
        seen += [line.subject for line in found.lines]
        if found.older is None:
            break
        below = found.older
    assert seen == list("76543210")
    assert 'rel="next"' in page(admin_client, action="x")
    assert "Newest" in page(admin_client, action="x", below="4")


@pytest.mark.parametrize(
    ("query", "subjects"),
    [
        ({"account": "9900001"}, ["b"]),
        ({"account": "-"}, ["c"]),
        ({"subject": "a"}, ["a"]),
        ({"actor": "operator admin"}, ["c"]),
        ({"action": "y"}, ["c", "b"]),
        ({"action": "y", "account": "9900001"}, ["b"]),
    ],
)
def test_filters(admin_client: Client, query: dict[str, str], subjects: list[str]) -> None:
    audit.record(ACTOR, "x", "a", {}, account="9900000")
    audit.record(ACTOR, "y", "b", {}, account="9900001")
    audit.record(Actor("operator admin"), "y", "c", {})
    text = page(admin_client, **query)
    assert [one for one in "cba" if f'<bdi class="sipuri-wire">{one}</bdi></code>' in text] == subjects


@pytest.mark.parametrize("below", ["x", "-1", "9" * 40])
def test_a_place_that_is_none_begins_at_the_newest(admin_client: Client, below: str) -> None:
    audit.record(ACTOR, "x", "a", {})
    assert "a</bdi>" in page(admin_client, below=below)


def test_the_page_asks_few_questions(
    admin_client: Client, row: VoiceApplication, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(60):
        applications.update(row, {"name": f"n{number}"}, InboundSipPatch(), actor=ACTOR)
    page(admin_client)
    with django_assert_num_queries(5):  # session, user, entries, applications, accounts
        page(admin_client)


@pytest.mark.parametrize("given", [{}, {"below": 5}], ids=["newest", "older"])
@pytest.mark.parametrize(
    ("fields", "index"),
    [
        ({}, "PRIMARY KEY"),
        ({"account_id": "9900000"}, "audit_by_chain"),
        ({"account_id": ""}, "audit_by_chain"),
        ({"action": "a"}, "audit_by_action"),
        ({"action": "a", "account_id": "9900000"}, "audit_by_action"),
        ({"actor": "a"}, "audit_by_actor"),
        ({"actor": "a", "action": "a", "account_id": ""}, "audit_by_actor"),
        ({"subject": "a"}, "audit_by_subject"),
        ({"subject": "a", "actor": "a", "action": "a", "account_id": "9900000"}, "audit_by_subject"),
    ],
)
def test_no_question_sorts_or_reads_the_whole_table(fields: dict[str, Any], index: str, given: dict[str, Any]) -> None:
    with query_plans() as plans:
        audit_page(Wanted(**fields, **given))
    # Without a place it reads the newest rows of the table, from its end.
    assert index in plans[0] or (not fields and not given and plans[0] == "SCAN voiceapps_auditentry")
    assert "TEMP B-TREE" not in plans[0]


def test_what_no_index_knows_is_looked_at_and_the_page_leads_on(admin_client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_report, "MAX_LOOKED_AT", 4)
    for number in range(10):
        audit.record(Actor("somebody" if number in (0, 5) else "another"), "x", str(number), {})
    seen: list[str] = []
    cuts: list[bool] = []
    below: int | None = None
    while not cuts or below:
        found = audit_page(Wanted(actor="somebody", action="x", account_id="", below=below))
        seen, cuts, below = seen + [line.subject for line in found.lines], [*cuts, found.is_cut], found.older
    assert (seen, cuts) == (["5", "0"], [False])
    text = page(admin_client, action="x", account="9900000")
    assert "entries were looked at for this page; more may fit." in text
    assert "Look further" in text
    assert "Nothing was changed" not in text


def test_the_chains_are_checked(admin_client: Client) -> None:
    audit.record(ACTOR, "x", "a", {"name": "n"}, account="9900000")
    well = admin_client.post(reverse("console:audit_verify"), follow=True).content.decode()
    assert "Every entry is as it was written" in well
    AuditEntry.objects.filter(chain="9900000").update(before={"name": "other"})
    bad = admin_client.post(reverse("console:audit_verify"), follow=True).content.decode()
    assert "9900000: Entry 1 is not as it was written." in bad


def test_it_is_closed_to_who_may_not_see_it(client: Client) -> None:
    client.force_login(User.objects.create_user("viewer", is_staff=True))
    assert client.get(reverse("console:audit")).status_code == 403
    assert client.post(reverse("console:audit_verify")).status_code == 403


def test_an_empty_trail_says_what_will_be_there(admin_client: Client) -> None:
    assert "Every change by the API" in page(admin_client)


def test_texts_of_values() -> None:
    audit.record(ACTOR, "x", "a", {"a": None, "b": 1.5, "c": {"d": 1}, "e": []}, before={"a": ["x", "y"]})
    found = audit_page(Wanted()).lines[0].differences
    assert found == (Difference("a", "x, y", ""), Difference("b", "", "1.5"), Difference("c", "", '{"d": 1}'), Difference("e", "", "none"))
