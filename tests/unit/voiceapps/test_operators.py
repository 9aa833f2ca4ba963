"""Operators as services store them."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User

from tests.unit.voiceapps.builders import ACTOR
from tests.unit.voiceapps.people import made
from voiceapps.rules.people.roles import Role
from voiceapps.services.people import operators

pytestmark = pytest.mark.django_db


def test_a_password_that_was_set_while_the_form_was_filled_in_stays() -> None:
    made("boss", Role.ADMIN)
    as_read = made("looker", Role.VIEWER)
    now = User.objects.get(pk=as_read.pk)
    now.set_password("meanwhile-9")
    now.save()
    as_read.email = "looker@example.com"
    operators.change(as_read, Role.SUPPORT, None, actor=ACTOR)
    stored = User.objects.get(pk=as_read.pk)
    assert stored.check_password("meanwhile-9")
    assert (stored.email, operators.role_of(stored)) == ("looker@example.com", Role.SUPPORT)
