"""The list of processes."""

from __future__ import annotations

from datetime import UTC, datetime

from voiceapps.models import Node
from voiceapps.rules.reports import NodeBeat


def beat(report: NodeBeat) -> None:
    """Store a heartbeat of a process."""
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
            "boot": report.boot,
            "seen_at": datetime.fromtimestamp(report.at, UTC),
        },
    )
