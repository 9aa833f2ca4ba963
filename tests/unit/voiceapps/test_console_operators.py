"""The pages of operators: roles are given within one's own, an admin is always left, and everything is audited once."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, Permission, User
from django.core.exceptions import ValidationError
from django.test import Client
from django.urls import reverse

from tests.unit.voiceapps.builders import ACTOR, application
from tests.unit.voiceapps.forms import form_of
from tests.unit.voiceapps.people import logged_in, made
from voiceapps.models import Account, AuditEntry, Operator
from voiceapps.rules.people.roles import GRANTED, Capability, Role, grantable
from voiceapps.services.people import groups, operators

pytestmark = pytest.mark.django_db
PASSWORD = "a-rather-long-password-4711"


@pytest.fixture
def admin() -> User:
    return made("boss", Role.ADMIN)


def entries() -> list[dict[str, Any]]:
    rows = (
        AuditEntry.objects.filter(action__startswith="operator.")
        .order_by("number")
        .values("actor", "action", "subject", "changes", "before")
    )
    return [dict(entry) for entry in rows]


def add(client: Client, **fields: str) -> int:
    form = {"username": "second", "usable_password": "true", "password1": PASSWORD, "password2": PASSWORD, "role": "viewer", "account": ""}
    return client.post(reverse("admin:auth_user_add"), form | fields).status_code


def change(client: Client, user: User, **fields: str) -> Any:
    form = {"username": user.username, "is_active": "on", "role": "viewer", "account": ""} | fields
    return client.post(reverse("admin:auth_user_change", args=[user.pk]), {name: text for name, text in form.items() if text != "(none)"})


def test_each_change_is_audited_once_and_here_alone(admin: User) -> None:
    AuditEntry.objects.all().delete()
    application("9900000")
    client = logged_in(admin)
    assert add(client, role="support") == 302
    person = User.objects.get(username="second")
    assert change(client, person, role="operator", account="9900000").status_code == 302
    new = {"password1": PASSWORD + "x", "password2": PASSWORD + "x", "usable_password": "true"}
    assert client.post(reverse("admin:auth_user_password_change", args=[person.pk]), new).status_code == 302
    assert client.post(reverse("admin:auth_user_delete", args=[person.pk]), {"post": "yes"}).status_code == 302
    assert [(entry["actor"], entry["action"], entry["subject"]) for entry in entries()] == [
        ("operator boss", f"operator.{verb}", "second") for verb in ("add", "change", "set_password", "remove")
    ]
    assert entries()[0]["changes"] == {"role": "support", "account": "", "active": True, "name": "second"}
    assert entries()[1]["changes"] == {"role": "operator", "account": "9900000"}
    assert entries()[1]["before"] == {"role": "support", "account": ""}
    assert PASSWORD not in json.dumps(entries())
    assert not LogEntry.objects.exists()


def test_a_new_person_has_the_role_and_its_capabilities(admin: User) -> None:
    assert add(logged_in(admin), role="support") == 302
    person = User.objects.get(username="second")
    assert (operators.role_of(person), person.is_staff, person.is_superuser) == (Role.SUPPORT, True, False)
    assert operators.capabilities(person) == GRANTED[Role.SUPPORT]


@pytest.mark.parametrize("password", ["elevenchars", "1234567890123", "qwerty123456", "the-operator"])
def test_weak_passwords_are_refused(admin: User, password: str) -> None:
    assert add(logged_in(admin), username="the.operator", password1=password, password2=password) == 200
    assert not User.objects.filter(username="the.operator").exists()


def test_who_may_change_users_alone_raises_nobody() -> None:
    clerk = User.objects.create(username="clerk", is_staff=True)
    clerk.user_permissions.set(Permission.objects.filter(codename__in=["change_user", "view_call"]))
    boss, viewer = made("boss", Role.ADMIN), made("looker", Role.VIEWER)
    client = logged_in(clerk)
    assert add(client, role="admin") == 200
    assert add(client, role="viewer") == 200
    assert not User.objects.filter(username="second").exists()
    assert change(client, clerk, role="admin", is_superuser="on").status_code == 200
    assert change(client, viewer, role="admin").status_code == 403
    new = {"password1": PASSWORD, "password2": PASSWORD, "usable_password": "true"}
    assert client.post(reverse("admin:auth_user_password_change", args=[boss.pk]), new).status_code == 403
    assert client.post(reverse("admin:auth_user_delete", args=[boss.pk]), {"post": "yes"}).status_code == 403
    action = {"action": "reset_second_factor", "_selected_action": [boss.pk]}
    assert client.post(reverse("admin:auth_user_changelist"), action).status_code == 403
    clerk = User.objects.get(username="clerk")
    assert (clerk.is_superuser, operators.role_of(clerk), operators.role_of(boss)) == (False, None, Role.ADMIN)


def test_no_form_makes_a_superuser_or_gives_single_permissions(admin: User) -> None:
    person = made("looker", Role.VIEWER)
    every = [str(pk) for pk in Permission.objects.values_list("pk", flat=True)]
    extra: Any = {"is_superuser": "on", "user_permissions": every, "groups": [str(Group.objects.get(name=Role.ADMIN.group).pk)]}
    assert change(logged_in(admin), person, **extra).status_code == 302
    person = User.objects.get(pk=person.pk)
    assert (person.is_superuser, operators.capabilities(person)) == (False, GRANTED[Role.VIEWER])


def test_a_role_takes_single_permissions_away_and_leaves_foreign_groups(admin: User) -> None:
    person = User.objects.create(username="old", is_staff=True)
    person.user_permissions.set(Permission.objects.filter(codename="delete_ban"))
    foreign = Group.objects.create(name="night shift")
    person.groups.add(foreign)
    assert change(logged_in(admin), person, role="viewer").status_code == 302
    person = User.objects.get(pk=person.pk)
    assert operators.capabilities(person) == GRANTED[Role.VIEWER]
    assert {group.name for group in person.groups.all()} == {"night shift", Role.VIEWER.group}


@pytest.mark.parametrize(
    "fields", [{"role": "operator"}, {"role": "admin", "is_active": "(none)"}, {"role": "admin", "account": "9900000"}]
)
def test_the_last_admin_stays(admin: User, fields: dict[str, str]) -> None:
    application("9900000")
    made("idle", Role.ADMIN, is_active=False)
    made("bound", Role.ADMIN, account="9900000")
    answer = change(logged_in(admin), admin, **fields)
    assert answer.status_code == 200
    assert "make somebody one first" in answer.content.decode()
    assert logged_in(admin).post(reverse("admin:auth_user_delete", args=[admin.pk]), {"post": "yes"}).status_code == 403
    with pytest.raises(ValidationError):
        operators.remove(admin, actor=ACTOR)
    made("other", Role.ADMIN)
    assert change(logged_in(admin), admin, **fields).status_code == 302


def test_a_changed_role_ends_the_sessions_of_the_person_and_not_ones_own(admin: User) -> None:
    made("other", Role.ADMIN)
    person = made("looker", Role.OPERATOR)
    theirs, mine, elsewhere = logged_in(person), logged_in(admin), logged_in(admin)
    calls = reverse("console:calls")
    assert [client.get(calls).status_code for client in (theirs, mine, elsewhere)] == [200, 200, 200]
    change(mine, person, role="viewer")
    change(mine, admin, role="operator")
    assert [client.get(calls).status_code for client in (theirs, mine, elsewhere)] == [302, 200, 302]


def test_a_change_of_the_name_alone_ends_no_session(admin: User) -> None:
    person = made("looker", Role.VIEWER)
    theirs = logged_in(person)
    calls = reverse("console:calls")
    theirs.get(calls)
    change(logged_in(admin), person, role="viewer", first_name="Lou")
    assert theirs.get(calls).status_code == 200


def test_the_second_who_edits_a_person_undoes_nothing(admin: User) -> None:
    target = made("target", Role.VIEWER)
    one, two = logged_in(admin), logged_in(made("other", Role.ADMIN))
    page = reverse("admin:auth_user_change", args=[target.pk])
    opened = form_of(two.get(page).content.decode(), "Save")
    change(one, target, role="support", is_active="(none)")
    assert two.post(page, {**opened, "email": "target@example.com"}).status_code == 302
    target = User.objects.get(pk=target.pk)
    assert (target.is_active, operators.role_of(target), target.email) == (False, Role.SUPPORT, "target@example.com")
    now = form_of(two.get(page).content.decode(), "Save")
    assert two.post(page, {**now, "is_active": "on"}).status_code == 302
    assert User.objects.get(pk=target.pk).is_active


def test_a_group_of_a_role_is_set_right_and_others_are_left_alone() -> None:
    group = Group.objects.get(name=Role.VIEWER.group)
    foreign = Group.objects.create(name="viewer")
    for changed in (group, foreign):
        changed.permissions.set(Permission.objects.filter(codename="change_user"))
    renamed = Group.objects.get(name=Role.SUPPORT.group)
    Group.objects.filter(pk=renamed.pk).update(name="our support")
    groups.keep_in_step()
    held = {f"{p.content_type.app_label}.{p.codename}" for p in group.permissions.select_related("content_type")}
    assert held == {capability.value for capability in GRANTED[Role.VIEWER]}
    assert [p.codename for p in foreign.permissions.all()] == ["change_user"]
    assert Group.objects.get(name=Role.SUPPORT.group).pk != renamed.pk


def test_each_role_has_what_the_one_before_it_has() -> None:
    sets = [GRANTED[role] for role in Role]
    assert all(less < more for less, more in zip(sets, sets[1:], strict=False))
    assert grantable(frozenset(Capability)) == tuple(Role)
    assert grantable(GRANTED[Role.SUPPORT]) == (Role.VIEWER, Role.SUPPORT)
    assert grantable(frozenset()) == ()


def test_an_account_with_people_bound_to_it_stays() -> None:
    made("bound", Role.VIEWER, account="9900000")
    assert Operator.objects.get(user__username="bound").account == Account.objects.get(pk="9900000")
