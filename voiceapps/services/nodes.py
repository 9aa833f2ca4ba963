"""Keep the list of processes (D19)."""

from __future__ import annotations

from datetime import UTC, datetime

from voiceapps.models import Node
from voiceapps.rules.records import NodeBeat


def beat(record: NodeBeat) -> None:
    """Note that a process is there and what it says of itself."""
    Node.objects.update_or_create(
        name=record.name,
        defaults={
            "role": record.role,
            "state": record.state,
            "public_address": record.public_address,
            "internal_address": record.internal_address,
            "transports": record.transports,
            "metrics_address": record.metrics_address,
            "load": record.load,
            "seen_at": datetime.fromtimestamp(record.at, UTC),
        },
    )
