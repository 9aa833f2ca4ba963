"""`manage.py audit`: check the chains of audit entries, write one out, or accept one that is not as it was written."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from voiceapps.models import Account, AuditEntry
from voiceapps.services import audit, key_check
from voiceapps.services.audit import Actor

ACTOR = Actor("command audit")


class Command(BaseCommand):
    """The command that verifies and exports the audit trail, and signs a chain again that was not."""

    help = "Check every audit chain, export one as JSON lines, or accept one as it is."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the subcommands `verify`, `export` and `accept`."""
        verbs = parser.add_subparsers(dest="verb", required=True)
        verbs.add_parser("verify", help="check that nothing was altered, cut off or written anew; exit code 1 if something was")
        export = verbs.add_parser("export", help="print a chain as JSON lines, each with its digest")
        accept = verbs.add_parser("accept", help="sign a chain as it is now, after you looked into what `verify` said; an entry tells it")
        for verb in (export, accept):
            verb.add_argument("--account", default=audit.SYSTEM, help="account id; without it the installation's own entries")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Do what the subcommand says; raises CommandError with each chain that is not as it was written, KeysDiffer for foreign keys."""
        key_check.ensure(learn=False)
        account = options.get("account", audit.SYSTEM)
        if account not in {audit.SYSTEM, *audit.names()} and not Account.objects.filter(pk=account).exists():
            raise CommandError(f"There is no account {account}.")
        match options["verb"]:
            case "verify":
                self._verify()
            case "accept":
                audit.accept(account, actor=ACTOR)
                self.stdout.write(f"{account or 'installation'}: signed as it is")
            case _:
                for entry in AuditEntry.objects.filter(chain=account).order_by("number").iterator():
                    self.stdout.write(json.dumps(audit.exported(entry), sort_keys=True))

    def _verify(self) -> None:
        faults = list(audit.faults())
        if faults:
            raise CommandError("\n".join(faults))
        self.stdout.write(f"{len(audit.names())} chains, every entry as it was written, every end signed")
