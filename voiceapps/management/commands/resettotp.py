"""`manage.py resettotp NAME`: take the second factor from a person who lost it."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError, CommandParser

from voiceapps.services import key_check
from voiceapps.services.audit import Actor
from voiceapps.services.people import factors

ACTOR = Actor("command resettotp")


class Command(BaseCommand):
    """The command for a lost phone, when no admin can log in."""

    help = "Remove an operator's second factor and recovery codes, and end the operator's sessions."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the name."""
        parser.add_argument("name", help="the name with which the operator logs in")

    def handle(self, *_args: Any, name: str, **_options: Any) -> None:
        """Remove it; raises CommandError for a name that nobody has, KeysDiffer for foreign keys."""
        # What it does is signed in the audit trail.
        key_check.ensure(learn=False)
        user = User.objects.filter(username=name).first()
        if user is None:
            raise CommandError(f"There is no operator {name}.")
        removed = factors.reset(user, actor=ACTOR)
        self.stdout.write(f"{name}: {'the second factor is removed' if removed else 'there was no second factor'}, sessions are ended")
