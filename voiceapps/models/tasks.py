"""Periodic tasks."""

from __future__ import annotations

from django.db import models


class TaskLease(models.Model):
    """Says until when a periodic task is not run again: several schedules are no more than one."""

    name = models.CharField(primary_key=True, max_length=64)
    until = models.DateTimeField()

    def __str__(self) -> str:
        return self.name
