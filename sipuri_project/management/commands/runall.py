"""`manage.py runall`: every role on this machine, until Ctrl-C."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from sipuri_project.start.begin import begin
from sipuri_project.supervisor import CannotStartError, roles, supervise


class Command(BaseCommand):
    """Start all roles, prefix their logs, restart a role that dies, drain on Ctrl-C."""

    help = "Run the web role, the Celery worker and every daemon; Ctrl-C drains them."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the time that calls in progress may have."""
        parser.add_argument("--drain-seconds", type=float, default=30.0, help="how long calls in progress may take after Ctrl-C")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Run until a signal; raises CommandError with one sentence for each obstacle."""
        begin()
        try:
            supervise(roles(options["drain_seconds"]), drain_seconds=options["drain_seconds"])
        except CannotStartError as error:
            raise CommandError(str(error)) from error
