"""`manage.py runcallflow`: the voice engine."""

from __future__ import annotations

from typing import Any

from prometheus_client import CollectorRegistry

from callflow.adapters.node import CallflowNode
from daemonkit.address import Address
from sipuri_project.config import callflow_config, order_rings
from sipuri_project.daemon import DaemonCommand
from sipuri_project.start.begin import close_recordings
from voiceapps.services import webhooks


class Command(DaemonCommand):
    """Answer the calls that the proxy admits, as their applications' BXML says."""

    help = "Runs the call flow: SIP on SIPURI_CALLFLOW_BIND, audio on ports of the same address."

    def make_service(self, registry: CollectorRegistry, metrics: Address | None, _options: dict[str, Any]) -> CallflowNode:
        """Return the call-flow node; raises ImproperlyConfigured if other users keep rights to recordings."""
        close_recordings()
        return CallflowNode(callflow_config(), metrics=metrics, listen=order_rings(), new_client=webhooks.new_client, registry=registry)
