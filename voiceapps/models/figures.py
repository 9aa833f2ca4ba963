"""Figures by the minute: computed from rows that exist, so that no page has to count those.

A minute is a number: whole minutes since the epoch. Only minutes in which something happened have rows. Sums are rows as well: those of
an account over its applications, and those of all accounts. So whatever a page asks for is one short range of an index.
"""

from __future__ import annotations

from typing import ClassVar
from uuid import UUID

from django.db import models

from voiceapps.choices import FigureKind
from voiceapps.rules.diagnosis.histogram import BUCKETS

NO_APPLICATION = UUID(int=0)
"""Stands for an application that is gone, or that never was. NULL would not be equal to itself in a key."""
ALL_APPLICATIONS = UUID(int=2**128 - 1)
"""Stands for the sum over an account's applications."""
ALL_ACCOUNTS = ""
"""Stands for the sum over all accounts, with `ALL_APPLICATIONS`; and for the account of an application that never was."""
BUCKET_NAMES = tuple(f"bucket_{number}" for number in range(BUCKETS))


class TouchedMinute(models.Model):
    """Says that something of a minute was written, so that its figures are to be computed again.

    Each writer adds rows, in the transaction of what it writes, and nobody changes one: writers that shared a row would wait for each
    other, and the mark of one whose transaction is not over yet could be taken away with that of another.
    """

    kind = models.CharField(max_length=8, choices=FigureKind)
    minute = models.PositiveIntegerField()

    class Meta:
        indexes: ClassVar[list[models.Index]] = [models.Index(fields=["kind", "minute"], name="touched_minute")]

    def __str__(self) -> str:
        return f"{self.kind} of {self.minute}"


class Histogram(models.Model):
    """Durations, counted in the buckets of `rules/diagnosis/histogram.py`: columns, which the database can add up."""

    bucket_0 = models.PositiveIntegerField(default=0)
    bucket_1 = models.PositiveIntegerField(default=0)
    bucket_2 = models.PositiveIntegerField(default=0)
    bucket_3 = models.PositiveIntegerField(default=0)
    bucket_4 = models.PositiveIntegerField(default=0)
    bucket_5 = models.PositiveIntegerField(default=0)
    bucket_6 = models.PositiveIntegerField(default=0)
    bucket_7 = models.PositiveIntegerField(default=0)
    bucket_8 = models.PositiveIntegerField(default=0)
    bucket_9 = models.PositiveIntegerField(default=0)
    bucket_10 = models.PositiveIntegerField(default=0)

    class Meta:
        abstract = True


class CallMinute(Histogram):
    """The calls that began in a minute, by application and by what ended them; the buckets have their times from INVITE to answer."""

    minute = models.PositiveIntegerField()
    account_id = models.CharField(max_length=16, blank=True)
    application_id = models.UUIDField(default=NO_APPLICATION)
    end_reason = models.CharField(max_length=32, blank=True)
    """Empty for calls that go on."""
    calls = models.PositiveIntegerField()
    answered = models.PositiveIntegerField()
    talked = models.PositiveIntegerField()
    """Answered calls that are over."""
    talk_ms = models.PositiveBigIntegerField()
    """How long those lasted, in all."""

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["account_id", "application_id", "minute", "end_reason"], name="one_row_of_calls")
        ]
        indexes: ClassVar[list[models.Index]] = [models.Index(fields=["minute"], name="calls_of_minute")]

    def __str__(self) -> str:
        return f"{self.calls} calls of {self.minute}"


class RefusalMinute(models.Model):
    """The attempts that were refused in a minute, by application and reason."""

    minute = models.PositiveIntegerField()
    account_id = models.CharField(max_length=16, blank=True)
    application_id = models.UUIDField(default=NO_APPLICATION)
    reason = models.CharField(max_length=32)
    attempts = models.PositiveIntegerField()

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["account_id", "application_id", "minute", "reason"], name="one_row_of_refusals")
        ]
        indexes: ClassVar[list[models.Index]] = [models.Index(fields=["minute"], name="refusals_of_minute")]

    def __str__(self) -> str:
        return f"{self.attempts} refusals of {self.minute}"


class WebhookMinute(Histogram):
    """The requests of webhooks that were made in a minute, by account and event; the buckets have the times until their answers."""

    minute = models.PositiveIntegerField()
    account_id = models.CharField(max_length=16, blank=True)
    event_type = models.CharField(max_length=32)
    attempts = models.PositiveIntegerField()
    failures = models.PositiveIntegerField()
    """Attempts without an answer, or with another one than 2xx."""

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["account_id", "minute", "event_type"], name="one_row_of_webhooks")
        ]
        indexes: ClassVar[list[models.Index]] = [models.Index(fields=["minute"], name="webhooks_of_minute")]

    def __str__(self) -> str:
        return f"{self.attempts} attempts of {self.minute}"
