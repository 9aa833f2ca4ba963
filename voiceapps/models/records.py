"""What the database has of the reports of daemons."""

from __future__ import annotations

from typing import ClassVar

from django.db import models


class RecordMark(models.Model):
    """The number of the last report that was written for one boot of a node, in one lane: what is sent again is not written again."""

    node = models.CharField(max_length=200)
    boot = models.CharField(max_length=32)
    lane = models.CharField(max_length=8)
    number = models.BigIntegerField()

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["node", "boot", "lane"], name="one_mark_per_boot_and_lane")
        ]

    def __str__(self) -> str:
        return f"{self.lane} of {self.node}"
