"""What operators keep of the list of calls: filters with a name, and files with what a filter finds."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.conf import settings
from django.db import models

from voiceapps.choices import ExportFormat, ExportState

NAME_LENGTH = 60
QUERY_LENGTH = 2048


class SavedFilter(models.Model):
    """A filter of a list that an operator has given a name."""

    operator = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, db_index=False, related_name="+")
    page = models.CharField(max_length=16)
    name = models.CharField(max_length=NAME_LENGTH)
    query = models.CharField(max_length=QUERY_LENGTH, blank=True)
    """As in the page's URL."""

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["operator", "page", "name"], name="one_filter_of_a_name")
        ]

    def __str__(self) -> str:
        return self.name


class CallExport(models.Model):
    """A file of calls that is too long to wait for; a worker writes it. Row and file are kept for a day."""

    export_id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    operator = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    query = models.CharField(max_length=QUERY_LENGTH, blank=True)
    file_format = models.CharField(max_length=5, choices=ExportFormat)
    shows_personal = models.BooleanField()
    """Whether the operator might see numbers and addresses when it was ordered."""
    state = models.CharField(max_length=7, choices=ExportState, default=ExportState.WAITING)
    rows = models.PositiveIntegerField(default=0)
    """Written so far."""
    problem = models.TextField(blank=True)
    tries = models.PositiveSmallIntegerField(default=0)
    created_at = models.DateTimeField()
    """What the times of the query that are counted from now are counted from."""
    leased_until = models.DateTimeField(null=True)
    """The worker that writes it lives if this is not over."""
    ended_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.export_id}"
