"""Accounts' limits, through the service and through the console's page."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.test import Client

from tests.unit.voiceapps.builders import ACTOR
from tests.unit.voiceapps.forms import form_of
from tests.unit.voiceapps.people import logged_in, made
from voiceapps.models import Account, AuditEntry
from voiceapps.rules.people.roles import Role
from voiceapps.services import accounts

pytestmark = pytest.mark.django_db

PAGE = "/console/voiceapps/account/9900000/change/"
NO_LIMITS = {"max_calls": "", "max_calls_per_second": "", "max_applications": ""}


@pytest.fixture
def account() -> Account:
    return accounts.ensure_account("9900000", actor=ACTOR, name="Before")


def limits() -> tuple[int | None, int | None, int | None]:
    account = Account.objects.get(pk="9900000")
    return account.max_calls, account.max_calls_per_second, account.max_applications


def entries(action: str) -> list[dict[str, object]]:
    return list(AuditEntry.objects.filter(action=action).order_by("number").values_list("changes", flat=True))


def test_each_change_of_a_limit_is_audited_once(account: Account) -> None:
    accounts.set_limits(account, max_calls=5, max_calls_per_second=None, max_applications=9, actor=ACTOR)
    assert limits() == (5, None, 9)
    accounts.set_limits(account, max_calls=5, max_calls_per_second=None, max_applications=9, actor=ACTOR)
    accounts.set_limits(account, max_calls=None, max_calls_per_second=2, max_applications=9, actor=ACTOR)
    assert limits() == (None, 2, 9)
    assert entries("account.set_limits") == [
        {"max_calls": 5, "max_calls_per_second": None, "max_applications": 9},
        {"max_calls": None, "max_calls_per_second": 2},
    ]


def test_a_negative_limit_is_refused(account: Account) -> None:
    with pytest.raises(ValidationError):
        accounts.set_limits(account, max_calls=-1, max_calls_per_second=None, max_applications=None, actor=ACTOR)
    assert (limits(), entries("account.set_limits")) == ((100, 5, None), [])


def test_a_new_account_has_limits_until_others_are_set(account: Account) -> None:
    assert limits() == (100, 5, None)
    accounts.set_limits(account, max_calls=None, max_calls_per_second=None, max_applications=None, actor=ACTOR)
    accounts.ensure_account("9900000", actor=ACTOR, name="Again")
    assert limits() == (None, None, None)


BOOTSTRAP = ("bootstrap", "--account", "9900000", "--client-id", "c", "--client-secret", "s" * 32)


def test_bootstrap_sets_the_limits_that_it_is_given_and_no_others() -> None:
    call_command(*BOOTSTRAP, stdout=StringIO())
    assert limits() == (100, 5, None)
    call_command(*BOOTSTRAP, "--max-calls", "none", "--max-calls-per-second", "50", stdout=StringIO())
    assert limits() == (None, 50, None)
    call_command(*BOOTSTRAP, stdout=StringIO())
    call_command(*BOOTSTRAP, "--max-calls", "7", stdout=StringIO())
    assert limits() == (7, 50, None)
    with pytest.raises(CommandError, match="greater than or equal to 0"):
        call_command(*BOOTSTRAP, "--max-calls=-1", stdout=StringIO())
    with pytest.raises(CommandError, match="--max-calls"):
        call_command(*BOOTSTRAP, "--max-calls", "many", stdout=StringIO())


def test_the_console_offers_the_limits_of_a_new_account(admin_client: Client) -> None:
    page = admin_client.get("/console/voiceapps/account/add/").content.decode()
    assert 'value="100"' in page
    assert 'value="5"' in page
    assert "Empty: no limit." in page


def test_an_operator_sets_name_and_limits(account: Account, admin_client: Client) -> None:
    answer = admin_client.post(PAGE, {"name": "After", **NO_LIMITS, "max_calls": "5", "max_applications": "0"})
    assert answer.status_code == 302
    assert Account.objects.get().name == "After"
    assert limits() == (5, None, 0)
    entry = AuditEntry.objects.get(action="account.set_limits")
    assert (entry.actor, entry.chain, entry.subject) == ("operator admin", "9900000", "9900000")
    assert entries("account.ensure")[-1] == {"name": "After"}
    admin_client.post(PAGE, {"name": "After", **NO_LIMITS})
    assert limits() == (None, None, None)
    assert len(entries("account.ensure")) == 2


def test_an_operator_creates_an_account_with_limits(admin_client: Client) -> None:
    answer = admin_client.post("/console/voiceapps/account/add/", {"account_id": "9900000", "name": "New", **NO_LIMITS, "max_calls": "1"})
    assert answer.status_code == 302
    assert limits() == (1, None, None)


def test_the_page_shows_limits_and_reports_an_invalid_one(account: Account, admin_client: Client) -> None:
    page = admin_client.get(PAGE).content.decode()
    assert all(f'name="{name}"' in page for name in NO_LIMITS)
    answer = admin_client.post(PAGE, {"name": "After", **NO_LIMITS, "max_calls": "-1"})
    assert answer.status_code == 200
    assert (Account.objects.get().name, limits()) == ("Before", (100, 5, None))


def test_the_second_who_edits_an_account_undoes_nothing(account: Account) -> None:
    one, two = logged_in(made("one", Role.ADMIN)), logged_in(made("two", Role.ADMIN))
    opened = form_of(two.get(PAGE).content.decode(), "Save")
    one.post(PAGE, {"name": "Before", **NO_LIMITS, "max_calls": "5"})
    two.post(PAGE, {**opened, "name": "After", "max_calls_per_second": "3"})
    assert Account.objects.get(pk="9900000").name == "After"
    assert limits()[:2] == (5, 3)
