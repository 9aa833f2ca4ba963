"""Operators and their groups: changes on Django's own pages are audited, too."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client
from django.urls import reverse

from voiceapps.models import AuditEntry

pytestmark = pytest.mark.django_db
PASSWORD = "a-rather-long-password-4711"


@pytest.fixture
def operator() -> Client:
    client = Client()
    client.force_login(
        User.objects.create(username="op", is_staff=True, is_superuser=True), backend="django.contrib.auth.backends.ModelBackend"
    )
    return client


def entries() -> list[dict[str, Any]]:
    return [dict(entry) for entry in AuditEntry.objects.order_by("number").values("actor", "action", "subject", "changes")]


def test_creating_changing_and_deleting_an_operator_is_audited(operator: Client) -> None:
    form = {"username": "second", "usable_password": "true", "password1": PASSWORD, "password2": PASSWORD}
    assert operator.post(reverse("admin:auth_user_add"), form).status_code == 302
    made = User.objects.get(username="second")
    new = {"password1": PASSWORD + "x", "password2": PASSWORD + "x", "usable_password": "true"}
    assert operator.post(reverse("admin:auth_user_password_change", args=[made.pk]), new).status_code == 302
    assert operator.post(reverse("admin:auth_user_delete", args=[made.pk]), {"post": "yes"}).status_code == 302
    assert [(entry["actor"], entry["action"], entry["subject"]) for entry in entries()] == [
        ("operator op", "user.create", "second"),
        ("operator op", "user.change", "second"),
        ("operator op", "user.delete", "second"),
    ]
    assert "password" in json.dumps(entries()[1]["changes"]).lower()
    assert PASSWORD not in json.dumps(entries())


def test_a_changed_group_is_audited_with_its_changed_fields(operator: Client) -> None:
    group = Group.objects.create(name="readers")
    assert operator.post(reverse("admin:auth_group_change", args=[group.pk]), {"name": "watchers"}).status_code == 302
    (entry,) = entries()
    assert (entry["action"], entry["subject"], entry["changes"]) == ("group.change", "watchers", {"fields": ["Name"]})
