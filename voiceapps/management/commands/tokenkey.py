"""`manage.py tokenkey`: print the next value of SIPURI_TOKEN_KEYS, to be set before a restart. Nobody is logged out."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from voiceapps.api.access import token_keys


class Command(BaseCommand):
    """The command that prints a JWK Set with a new key in front of the current ones."""

    help = "Print a JWK Set for SIPURI_TOKEN_KEYS: a fresh key, which signs, and the current ones, which go on verifying."
    # The output is redirected into a file, so nothing else may be printed.
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the option that names keys to leave out."""
        parser.add_argument("--drop", metavar="KID", action="append", default=[], help="leave a key out: its tokens are dead (repeatable)")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Print one line; raises CommandError if the current value is invalid or has no such key."""
        try:
            rotated = token_keys.current().with_new(options["drop"])
        except ValueError as error:
            raise CommandError(f"SIPURI_TOKEN_KEYS: {error}.") from error
        self.stdout.write(rotated.as_text())
