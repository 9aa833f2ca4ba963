"""Leases of periodic tasks, so that two schedules do not double them."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import Q
from django.utils import timezone

from voiceapps.models import TaskLease


def take(name: str, seconds: float) -> bool:
    """Take a task's lease for some seconds; False if someone has it. One that ends later was taken before the clock was set back."""
    now = timezone.now()
    until = now + timedelta(seconds=seconds)
    if TaskLease.objects.filter(Q(until__lte=now) | Q(until__gt=until), name=name).update(until=until):
        return True
    return TaskLease.objects.get_or_create(name=name, defaults={"until": until})[1]
