"""`manage.py runmediarelay`: one media relay."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError
from prometheus_client import CollectorRegistry

from daemonkit.address import Address
from daemonkit.service import Service
from daemonkit.workers import add_worker_options, inherited_sockets
from mediarelay.adapters.node import ReportingRelay
from mediarelay.aio.front import COMMANDS, RelayFront
from sipuri_project.config import relay_config
from sipuri_project.daemon import DaemonCommand
from sipuri_project.start.safety import open_commands


class Command(DaemonCommand):
    """Relay the audio of calls between callers and call-flow nodes."""

    help = "Runs the media relay: ng commands on SIPURI_NG_BIND, audio on SIPURI_RTP_PORTS and SIPURI_RTP_INTERNAL_PORTS."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the options by which the front starts a worker."""
        super().add_arguments(parser)
        add_worker_options(parser)

    def make_service(self, registry: CollectorRegistry, metrics: Address | None, options: dict[str, Any]) -> Service:
        """Return one relay, or the front of SIPURI_MEDIA_WORKERS workers; raises CommandError where strangers could command it."""
        for fault in open_commands(settings.NG_BIND[0], settings.NG_ALLOW):
            raise CommandError(fault)
        if options["worker"] is None and settings.MEDIA_WORKERS > 1:
            command = (sys.executable, sys.argv[0], "runmediarelay", "--drain-seconds", str(options["drain_seconds"]))
            return RelayFront(command, settings.MEDIA_WORKERS, relay_config(), metrics=metrics, registry=registry)
        sockets = inherited_sockets(options["sockets"])
        return ReportingRelay(relay_config(options["worker"] or 0), registry=registry, metrics=metrics, commands=sockets.get(COMMANDS))
