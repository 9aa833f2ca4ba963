"""The change log of accounts, API clients and operators: their part of the one audit trail, beside their record."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from tests.support.plans import query_plans
from tests.unit.voiceapps.builders import ACTOR
from tests.unit.voiceapps.people import logged_in, made
from voiceapps.models import Account, ApiClient
from voiceapps.reads import audit_report, person_log
from voiceapps.reads.audit_report import Wanted, audit_page
from voiceapps.rules.people.roles import Role
from voiceapps.services import accounts, audit, clients
from voiceapps.services.people import operators

pytestmark = pytest.mark.django_db
ID = "9900000"
"""Of an account, a client and an operator alike."""


@pytest.fixture
def account() -> Account:
    return accounts.ensure_account(ID, actor=ACTOR, name="Library")


@pytest.fixture
def client() -> Client:
    return logged_in(made("boss", Role.ADMIN))


def log(client: Client, model: str, key: object, **query: str) -> str:
    answer = client.get(reverse(f"admin:{model}_history", args=[key]), query)
    assert answer.status_code == 200
    return answer.content.decode()


def actions(page: str) -> list[str]:
    return [part.partition("</strong>")[0] for part in page.split("<strong>")[1:]]


def test_each_record_has_its_own_changes(account: Account, client: Client) -> None:
    accounts.set_limits(account, max_calls=7, max_calls_per_second=None, max_applications=None, actor=ACTOR)
    clients.ensure_client(ID, "s" * 32, account, actor=ACTOR)
    person = made(ID, Role.VIEWER)
    operators.change(person, Role.SUPPORT, account, actor=ACTOR)
    assert actions(log(client, "voiceapps_account", ID)) == ["account.set_limits", "account.ensure"]
    assert actions(log(client, "voiceapps_apiclient", ApiClient.objects.get().pk)) == ["client.ensure"]
    text = log(client, "auth_user", person.pk)
    assert actions(text) == ["operator.change", "operator.add"]
    assert '<del><bdi class="sipuri-wire">viewer</bdi></del> → <ins><bdi class="sipuri-wire">support</bdi></ins>' in text


def rename(user: User, name: str) -> User:
    user.username = name
    return operators.change(user, Role.VIEWER, None, actor=ACTOR)


def test_a_person_who_is_renamed_keeps_the_log_and_inherits_none(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = made("second", Role.VIEWER)
    operators.password_changed(gone, actor=ACTOR)
    first = made("first", Role.VIEWER)
    operators.remove(gone, actor=ACTOR)
    rename(first, "second")
    heir = made("first", Role.VIEWER)
    assert actions(log(client, "auth_user", first.pk)) == ["operator.change", "operator.add"]
    assert actions(log(client, "auth_user", heir.pk)) == ["operator.add"]
    rename(heir, "third")
    rename(first, "first")
    text = log(client, "auth_user", first.pk)
    assert actions(text) == ["operator.change", "operator.change", "operator.add"]
    assert "third" not in text
    for module in (audit_report, person_log):
        monkeypatch.setattr(module, "PAGE", 2)
    short = log(client, "auth_user", first.pk)
    assert actions(short) == ["operator.change", "operator.change"]
    below = short.partition('rel="next" href="?below=')[2].partition('"')[0]
    assert actions(log(client, "auth_user", first.pk, below=below)) == ["operator.add"]


@pytest.mark.parametrize("model", ["voiceapps_account", "auth_user"])
def test_record_and_log_lead_to_each_other(account: Account, client: Client, model: str) -> None:
    key = ID if "account" in model else User.objects.get().pk
    record, history = (reverse(f"admin:{model}_{view}", args=[key]) for view in ("change", "history"))
    assert f'<a href="{history}">Change log</a>' in client.get(record).content.decode()
    text = log(client, model, key)
    assert f'<a href="{history}" aria-current="page">Change log</a>' in text
    assert f'<a href="{record}">Record</a>' in text


def test_who_may_not_see_the_trail_is_not_led_there(account: Account) -> None:
    user = made("looker", Role.ADMIN)
    user.groups.clear()
    looker = logged_in(User.objects.get(pk=user.pk))
    assert looker.get(reverse("admin:voiceapps_account_history", args=[ID])).status_code == 403


def test_a_bound_operator_sees_no_entry_of_another_account(account: Account) -> None:
    other = accounts.ensure_account("9900001", actor=ACTOR)
    clients.ensure_client("shared", "s" * 32, account, actor=ACTOR)
    clients.ensure_client("shared", "s" * 32, other, actor=ACTOR)
    key = ApiClient.objects.get().pk
    mine = log(logged_in(made("mine", Role.ADMIN, ID)), "voiceapps_apiclient", key)
    assert "9900001" not in mine
    assert len(actions(mine)) == 1
    assert len(actions(log(logged_in(made("all", Role.ADMIN)), "voiceapps_apiclient", key))) == 2


def test_a_long_log_has_pages(account: Account, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_report, "PAGE", 2)
    for number in range(3):
        audit.record(ACTOR, f"account.{number}", ID, {}, account=ID)
    first = log(client, "voiceapps_account", ID)
    assert actions(first) == ["account.2", "account.1"]
    below = first.partition('rel="next" href="?below=')[2].partition('"')[0]
    assert actions(log(client, "voiceapps_account", ID, below=below)) == ["account.0", "account.ensure"]


def test_a_long_log_of_a_person_has_pages(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (audit_report, person_log):
        monkeypatch.setattr(module, "PAGE", 2)
    person = made("second", Role.VIEWER)
    for _ in range(2):
        operators.password_changed(person, actor=ACTOR)
    first = log(client, "auth_user", person.pk)
    assert actions(first) == ["operator.set_password"] * 2
    below = first.partition('rel="next" href="?below=')[2].partition('"')[0]
    assert actions(log(client, "auth_user", person.pk, below=below)) == ["operator.add"]


def test_it_asks_few_questions_and_reads_no_whole_table(
    account: Account, client: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    log(client, "voiceapps_account", ID)
    with django_assert_num_queries(6):  # session, user, permissions, account, entries, its accounts
        log(client, "voiceapps_account", ID)
    with query_plans() as plans:
        audit_page(Wanted(subject=ID, kind="account."))
    assert "audit_by_subject" in plans[0]
    assert "TEMP B-TREE" not in plans[0]
