"""The base of the commands that run a daemon: options, a registry, one service, an exit code."""

from __future__ import annotations

import sys
from abc import abstractmethod
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from prometheus_client import CollectorRegistry, ProcessCollector

from daemonkit.address import Address
from daemonkit.errors import CannotStart
from daemonkit.options import add_daemon_options, metrics_address
from daemonkit.service import Service, run
from sipuri_project import logging
from sipuri_project.start.begin import begin
from voiceapps.daemon.ledger import LedgerError


class DaemonCommand(BaseCommand):
    """Run the service that a subclass makes until a signal ends it."""

    # A daemon needs none of Django's checks: they would load the whole console. The settings have refused what is unsafe.
    requires_system_checks = ()

    @abstractmethod
    def make_service(self, registry: CollectorRegistry, metrics: Address | None, options: dict[str, Any]) -> Service:
        """Return the service; `metrics` is the address of its metrics page, None if it has none."""

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add `--metrics-port` and `--drain-seconds`."""
        add_daemon_options(parser)

    def handle(self, *_args: object, **options: Any) -> None:
        """Run the service; raises CommandError with one sentence if it cannot start."""
        begin()
        metrics = metrics_address(settings.METRICS_HOST, options)
        registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        try:
            service = self.make_service(registry, metrics, options)
            code = run(
                service,
                metrics=metrics,
                registry=registry,
                metrics_token=settings.METRICS_TOKEN,
                drain_seconds=options["drain_seconds"],
            )
        except (CannotStart, LedgerError) as error:
            raise CommandError(str(error)) from error
        finally:
            # Whatever ended it is the last line.
            logging.flush()
        sys.exit(code)
