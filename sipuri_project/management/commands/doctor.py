"""`manage.py doctor`: examine the installation from this machine, and say what mends what was found."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from sipuri_project.doctor import examine
from voiceapps.rules.diagnosis.findings import Finding, exit_code
from voiceapps.rules.diagnosis.verdicts import Level

SIGNS = {Level.GOOD: "ok  ", Level.DOUBTFUL: "warn", Level.BAD: "FAIL"}


class Command(BaseCommand):
    """The command that monitors and people run."""

    help = "Examines this installation; exit code 0 if all is well, 1 if something is doubtful, 2 if something is wrong."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the options for monitors."""
        parser.add_argument("--json", action="store_true", help="one JSON object a line")
        parser.add_argument("--quiet", action="store_true", help="leave out what is as it should be")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Print a line for each finding, with what mends it, and end with the exit code of the worst one."""
        findings = examine()
        for finding in findings:
            if finding.level is not Level.GOOD or not options["quiet"]:
                self.stdout.write(json.dumps(asdict(finding)) if options["json"] else _lines(finding))
        sys.exit(exit_code(findings))


def _lines(finding: Finding) -> str:
    fix = f"\n{'':19}→ {finding.fix}" if finding.fix else ""
    return f"{SIGNS[finding.level]}  {finding.subject:12} {finding.sentence}{fix}"
