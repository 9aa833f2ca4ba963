"""The processes of the installation."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar

from django.db import models

from voiceapps.choices import NodeRole, NodeState, WantedState

CLOCKS_DIFFER = timedelta(seconds=60)
"""How far apart the clocks of two nodes may be: a time that lies further in the future was stored before the clock was set back."""


class Node(models.Model):
    """One process of one role. It is live while its heartbeats arrive."""

    name = models.CharField(primary_key=True, max_length=200)
    role = models.CharField(max_length=12, choices=NodeRole)
    state = models.CharField(max_length=8, choices=NodeState)
    wanted = models.CharField(
        max_length=8,
        choices=WantedState,
        default=WantedState.UP,
        db_default=WantedState.UP,
        help_text="What an operator wants of it: only operators write this, and no restart changes it.",
    )
    public_address = models.CharField(max_length=64, blank=True)
    internal_address = models.CharField(max_length=64, blank=True)
    transports = models.CharField(max_length=64, blank=True, help_text="What a proxy speaks outside, and the port: udp:6160,tcp:6160.")
    metrics_address = models.CharField(max_length=64, blank=True)
    boot = models.CharField(max_length=32, blank=True, default="", db_default="", help_text="Its present life; another one has ended.")
    load = models.PositiveIntegerField(default=0)
    ports_used = models.PositiveIntegerField(default=0, db_default=0)
    ports_total = models.PositiveIntegerField(default=0, db_default=0, help_text="Pairs of media ports of a relay; of others 0.")
    seen_at = models.DateTimeField()

    class Meta:
        ordering: ClassVar[list[str]] = ["role", "name"]

    def __str__(self) -> str:
        return self.name
