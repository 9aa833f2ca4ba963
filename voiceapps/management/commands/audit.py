"""`manage.py audit`: check the chains of audit entries, or write one out."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from voiceapps.models import AuditChain, AuditEntry
from voiceapps.services import audit


class Command(BaseCommand):
    """The command that verifies or exports the audit trail."""

    help = "Check every audit chain, or export one as JSON lines."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the subcommands `verify` and `export`."""
        verbs = parser.add_subparsers(dest="verb", required=True)
        verbs.add_parser("verify", help="check that no entry was altered or removed; exit code 1 if one was")
        export = verbs.add_parser("export", help="print a chain as JSON lines, each with its digest")
        export.add_argument("--account", default=audit.SYSTEM, help="account id; without it the installation's own entries")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Verify or export; raises CommandError with each broken chain."""
        if options["verb"] == "verify":
            self._verify()
        else:
            for entry in AuditEntry.objects.filter(chain=options["account"]).order_by("number").iterator():
                self.stdout.write(json.dumps(audit.exported(entry), sort_keys=True))

    def _verify(self) -> None:
        faults = []
        names = set(AuditChain.objects.values_list("chain", flat=True)) | set(AuditEntry.objects.values_list("chain", flat=True))
        for chain in sorted(names):
            fault = audit.verify(chain)
            if fault:
                faults.append(f"{chain or 'installation'}: {fault}")
        if faults:
            raise CommandError("\n".join(faults))
        self.stdout.write(f"{len(names)} chains, every entry as it was written")
