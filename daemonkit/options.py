"""The options that every daemon's command has."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from daemonkit.address import Address


def add_daemon_options(parser: ArgumentParser) -> None:
    """Add `--metrics-port` and `--drain-seconds`."""
    parser.add_argument("--metrics-port", type=int, default=0, help="TCP port for /metrics, /healthz and /ready; 0 = none")
    parser.add_argument("--drain-seconds", type=float, default=30.0, help="how long work in progress may take after SIGTERM")


def metrics_address(host: str, options: dict[str, Any]) -> Address | None:
    """Return the address of the metrics page, None if it is off."""
    port: int = options["metrics_port"]
    return (host, port) if port else None
