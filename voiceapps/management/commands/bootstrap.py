"""`manage.py bootstrap`: create an account, an API client for it and an operator. It can be repeated, also on a running system."""

from __future__ import annotations

import argparse
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction
from django.urls import reverse

from voiceapps.console.access.pending import LINK_SECONDS, enrolment_link
from voiceapps.services import accounts, clients, key_check
from voiceapps.services.audit import Actor
from voiceapps.services.people import factors, operators

ACTOR = Actor("command bootstrap")
LIMITS = {"max_calls": "concurrent calls of the account", "max_calls_per_second": "new calls of the account a second"}


class Command(BaseCommand):
    """The command that creates what the first API request needs."""

    help = "Create an account, an API client bound to it, and an operator for the console."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the account id and the secrets. A new client whose secret is left out gets one, which is printed once."""
        parser.add_argument("--account", required=True, help="account id, digits")
        parser.add_argument("--client-id", required=True)
        parser.add_argument("--client-secret", default="", help=f"at least {clients.MIN_SECRET_LENGTH} characters")
        parser.add_argument("--admin-password", default="", help="sets the password of the operator `admin`")
        for limit, what in LIMITS.items():
            option = "--" + limit.replace("_", "-")
            parser.add_argument(
                option, type=_number_or_none, default=argparse.SUPPRESS, metavar="N", help=f"{what}, at most; `none` is no limit"
            )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Create everything or nothing; raises CommandError with the rule that an argument breaks, KeysDiffer for foreign keys."""
        key_check.ensure()
        try:
            with transaction.atomic():
                account = accounts.ensure_account(options["account"], actor=ACTOR)
                limits = {name: options.get(name, getattr(account, name)) for name in LIMITS}
                account = accounts.set_limits(account, **limits, max_applications=account.max_applications, actor=ACTOR)
                made = clients.ensure_client(options["client_id"], options["client_secret"], account, actor=ACTOR)
                if options["admin_password"]:
                    self._ensure_admin(options["admin_password"])
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from error
        self.stdout.write(f"account        {account.account_id}\nclient id      {options['client_id']}")
        if not options["client_secret"]:
            self.stdout.write(f"client secret  {made}  (shown once)" if made else "client secret  as before")
        if options["admin_password"]:
            self._tell_of_admin()

    def _ensure_admin(self, password: str) -> None:
        if settings.PRODUCTION:
            validate_password(password)
        operators.ensure_operator(password, actor=ACTOR)

    def _tell_of_admin(self) -> None:
        self.stdout.write("operator       admin")
        admin = User.objects.get(username="admin")
        if not factors.is_enrolled(admin):
            path = reverse("console:enrolment_link", args=[enrolment_link(admin)])
            self.stdout.write(f"second factor  {settings.PUBLIC_URL}{path}  (works once, within {LINK_SECONDS // 3600} hours)")


def _number_or_none(text: str) -> int | None:
    return None if text == "none" else int(text)
