"""`manage.py rotatekeys`: encrypt and sign everything with the first of SIPURI_FIELD_KEYS, and make known which keys were replaced."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from voiceapps.services import key_check
from voiceapps.services.audit import Actor
from voiceapps.services.rotation import Rewriting, rewrite

ACTOR = Actor("command rotatekeys")


class Command(BaseCommand):
    """The command after which old keys can be removed. It can be interrupted and repeated, also on a running system."""

    help = "Encrypt every encrypted field with the first key of SIPURI_FIELD_KEYS; afterwards the other keys can be removed."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add `--dry-run` and `--replace`."""
        parser.add_argument("--dry-run", action="store_true", help="say what would be done and change nothing")
        parser.add_argument(
            "--replace",
            action="append",
            default=[],
            choices=key_check.REPLACEABLE,
            help="take this key as the database's from now on (repeatable)",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Rewrite all fields; raises KeysDiffer for keys that are not the database's, CommandError if something is left."""
        dry_run = options["dry_run"]
        key_check.ensure(replaced=options["replace"], learn=not dry_run)
        outcomes = []
        for outcome in rewrite(actor=ACTOR, dry_run=dry_run):
            self.stdout.write(_line(outcome, dry_run=dry_run))
            outcomes.append(outcome)
        unreadable = sum(outcome.unreadable for outcome in outcomes)
        if missed := sum(outcome.missed for outcome in outcomes):
            raise CommandError(f"{missed} values were written meanwhile: run the command again before you remove a key.")
        if unreadable:
            raise CommandError(f"{unreadable} values are opened or signed by no key of {key_check.FIELD_KEYS}: they stay as they are.")
        for variable in options["replace"]:
            self.stdout.write(f"{variable}: {'would be' if dry_run else 'is'} the key of this database")


def _line(outcome: Rewriting, *, dry_run: bool) -> str:
    verb = "to rewrite" if dry_run else "rewritten"
    return f"{outcome.field:<40} {outcome.rewritten} {verb}, {outcome.current} current, {outcome.unreadable} unreadable"
