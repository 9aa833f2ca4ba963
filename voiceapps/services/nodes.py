"""Keep the list of processes (D19)."""

from __future__ import annotations

from datetime import UTC, datetime

from voiceapps.models import Node
from voiceapps.rules.reports import NodeBeat


def beat(report: NodeBeat) -> None:
    """Note that a process is there and what it says of itself."""
    Node.objects.update_or_create(
        name=report.name,
        defaults={
            "role": report.role,
            "state": report.state,
            "public_address": report.public_address,
            "internal_address": report.internal_address,
            "transports": report.transports,
            "metrics_address": report.metrics_address,
            "load": report.load,
            "seen_at": datetime.fromtimestamp(report.at, UTC),
        },
    )
