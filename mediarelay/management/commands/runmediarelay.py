"""`manage.py runmediarelay`: one media relay."""

from __future__ import annotations

from typing import Any

from prometheus_client import CollectorRegistry

from daemonkit.sockets import Address
from mediarelay.adapters.node import ReportingRelay
from sipuri_project.config import relay_config
from sipuri_project.daemon import DaemonCommand


class Command(DaemonCommand):
    """Relay the audio of calls between callers and call-flow nodes."""

    help = "Runs a media relay: ng commands on SIPURI_NG_BIND, RTP on the two port ranges."

    def make_service(self, registry: CollectorRegistry, metrics: Address | None, _options: dict[str, Any]) -> ReportingRelay:
        """Return the relay."""
        return ReportingRelay(relay_config(), registry=registry, metrics=metrics)
