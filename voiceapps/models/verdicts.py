"""The verdicts on calls that have ended."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from voiceapps.choices import VerdictChoice
from voiceapps.models.calls import Call
from voiceapps.rules.diagnosis.verdicts import VerdictCode


class CallVerdict(models.Model):
    """What became of a call that has ended.

    It is a table of its own because PostgreSQL rewrites the row of a call in its place (HOT) as long as no indexed column changes, and
    a verdict is indexed and changes. What lists are narrowed by stands here a second time, as an index covers one table.
    """

    call = models.OneToOneField(Call, primary_key=True, on_delete=models.CASCADE, related_name="verdict")
    code = models.CharField("verdict", max_length=20, choices=VerdictChoice)
    account_id = models.CharField(max_length=16)
    application_id = models.UUIDField(null=True)
    started_at = models.DateTimeField()

    class Meta:
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["code", "started_at", "call"], name="verdict_page"),
            models.Index(fields=["account_id", "code", "started_at", "call"], name="verdict_of_account"),
            models.Index(fields=["application_id", "code", "started_at", "call"], name="verdict_of_application"),
        ]

    def __str__(self) -> str:
        return VerdictCode(self.code).headline
