"""Operators of each role, and what a browser of theirs is."""

from __future__ import annotations

import re

from django.contrib.auth.models import User
from django.test import Client

from tests.unit.voiceapps.builders import ACTOR
from voiceapps.rules.people.roles import Role
from voiceapps.services.accounts import ensure_account
from voiceapps.services.people import operators

FAST_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher", "voiceapps.hashers.ClientSecretHasher"]
PASSWORD = "a-rather-long-password-4711"


def made(name: str, role: Role, account: str | None = None, *, is_active: bool = True, password: str = "") -> User:
    user = User(username=name, is_active=is_active)
    user.set_password(password or None)
    return operators.add(user, role, ensure_account(account, actor=ACTOR) if account else None, actor=ACTOR)


def logged_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def codes_on(page: str) -> list[str]:
    return re.findall(r"<li><code>([\w-]+)</code></li>", page)
