"""`manage.py runsipproxy`: the SIP proxy."""

from __future__ import annotations

import signal
import sys
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from prometheus_client import CollectorRegistry

from daemonkit.address import Address
from daemonkit.service import Service
from daemonkit.workers import WorkerPool, add_worker_options, inherited_sockets
from sipproxy.adapters.node import ProxyNode
from sipproxy.aio.sharing import shared_sockets
from sipuri_project.config import geo_config, sip_proxy_config
from sipuri_project.daemon import DaemonCommand
from voiceapps.daemon.geo import CountryLookup


class Command(DaemonCommand):
    """Admit calls and relay their signalling."""

    help = "Runs the SIP proxy: callers on SIPURI_SIP_BIND, the call flow on SIPURI_SIP_INTERNAL_BIND."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the options by which the supervisor starts a worker."""
        super().add_arguments(parser)
        add_worker_options(parser)

    def make_service(self, registry: CollectorRegistry, metrics: Address | None, options: dict[str, Any]) -> Service:
        """Return one proxy, or the supervisor of SIPURI_SIP_WORKERS workers."""
        if options["worker"] is None and settings.SIP_WORKERS > 1:
            command = (sys.executable, sys.argv[0], "runsipproxy", "--drain-seconds", str(options["drain_seconds"]))
            configs = [sip_proxy_config(worker) for worker in range(settings.SIP_WORKERS)]
            # A worker without us finishes the calls that it has and takes no more. (`runall` gives it one second for that.)
            return WorkerPool(
                command,
                open_sockets=lambda: shared_sockets(configs),
                last_signal=signal.SIGTERM,
                metrics=metrics,
                registry=registry,
            )
        countries = CountryLookup(*geo_config())
        return ProxyNode(
            sip_proxy_config(options["worker"] or 0),
            country_of=countries.country_of,
            registry=registry,
            metrics=metrics,
            sockets=inherited_sockets(options["sockets"]),
        )
