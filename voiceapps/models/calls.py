"""Calls with their SIP messages and media figures."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from django.db import models
from django.db.models import Value

from voiceapps.choices import CallState, EndClassChoice, EndReasonChoice
from voiceapps.fields import TraceField
from voiceapps.models.accounts import Account
from voiceapps.models.applications import VoiceApplication
from voiceapps.rules.diagnosis.numbers import MAX_NUMBER
from voiceapps.rules.endings import EndReason
from voiceapps.rules.reports import CallFacts


class Call(models.Model):
    """One inbound call, for billing, diagnosis and the API."""

    call_id = models.CharField("call", primary_key=True, max_length=47)
    # A call's row is written at least twice, so no index is kept that no query uses. Those below begin with these columns.
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="calls", db_index=False)
    application = models.ForeignKey(VoiceApplication, null=True, on_delete=models.SET_NULL, related_name="calls", db_index=False)
    state = models.CharField(max_length=12, choices=CallState, default=CallState.INITIATED)
    sip_call_id = models.CharField("SIP Call-ID", max_length=512)
    from_uri = models.CharField("from", max_length=1024)
    from_number = models.CharField("number", max_length=MAX_NUMBER, blank=True, default="", db_default="")
    """The number in `from_uri`, empty if there is none. Written when the row is made and never changed, as it is indexed."""
    to_uri = models.CharField("to", max_length=1024)
    source_ip = models.GenericIPAddressField("source address", protocol="IPv4")
    source_port = models.PositiveIntegerField()
    country = models.CharField(max_length=2, blank=True)
    proxy_node = models.CharField(max_length=200, blank=True)
    callflow_node = models.CharField(max_length=200, blank=True)
    started_at = models.DateTimeField()
    answered_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    end_class = models.CharField("end", max_length=16, choices=EndClassChoice, blank=True)
    end_reason = models.CharField(max_length=32, choices=EndReasonChoice, blank=True)
    sip_status = models.PositiveSmallIntegerField("SIP status", null=True)
    error_message = models.TextField(blank=True)
    error_id = models.CharField(max_length=36, blank=True)
    tag = models.TextField(blank=True)
    policy = TraceField(default=list, db_default=Value("[]", models.TextField()), blank=True)
    """What each rule of admission expected and saw; empty where another report came before the admission, or in an older release."""

    class Meta:
        ordering: ClassVar[list[str]] = ["-started_at"]
        permissions = (
            ("see_personal", "Can see numbers and addresses of callers"),
            ("see_traces", "Can see SIP messages and what webhooks carried"),
            ("export_calls", "Can export calls"),
            ("end_calls", "Can end calls"),
            ("reveal", "Can reveal secrets"),
        )
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["account", "started_at", "call_id"], name="call_page"),
            models.Index(fields=["application", "started_at", "call_id"], name="call_of_application"),
            models.Index(fields=["sip_call_id", "started_at", "call_id"], name="call_by_sip_call_id"),
            models.Index(fields=["from_number", "started_at", "call_id"], name="call_by_number"),
            models.Index(fields=["source_ip", "started_at", "call_id"], name="call_by_source"),
            models.Index(fields=["started_at", "call_id"], name="call_by_time"),
        ]

    def __str__(self) -> str:
        return self.call_id

    def facts(self) -> CallFacts:
        """Return the call's facts, as daemons and webhooks use them."""
        return CallFacts(
            call_id=self.call_id,
            application_id=str(self.application_id or ""),
            account_id=self.account_id,
            sip_call_id=self.sip_call_id,
            from_uri=self.from_uri,
            to_uri=self.to_uri,
            source_ip=self.source_ip,
            source_port=self.source_port,
            country=self.country or None,
            started_at=self.started_at.timestamp(),
        )

    direction = "inbound"
    """The direction of every call: none is placed from here."""

    @property
    def cause(self) -> str:
        """The `cause` in the disconnect webhook, "" until the call has ended."""
        return EndReason(self.end_reason).cause if self.end_reason else ""

    @property
    def last_update(self) -> datetime:
        """The time of the call's latest change of state."""
        return self.ended_at or self.answered_at or self.started_at

    @property
    def duration_seconds(self) -> float | None:
        """The seconds between answer and end, None unless answered and ended."""
        if self.answered_at is None or self.ended_at is None:
            return None
        return (self.ended_at - self.answered_at).total_seconds()


class OpenCall(models.Model):
    """A call that has not ended, and who holds it: its call-flow node or, until one is known, its proxy.

    Limits and sweeps read this table alone, which is as small as the number of calls that are up.
    """

    call_id = models.CharField(primary_key=True, max_length=47)
    account_id = models.CharField(max_length=16)
    application_id = models.UUIDField(null=True)
    started_at = models.DateTimeField()
    proxy_node = models.CharField(max_length=200, blank=True)
    proxy_boot = models.CharField(max_length=32, blank=True)
    callflow_node = models.CharField(max_length=200, blank=True)
    callflow_boot = models.CharField(max_length=32, blank=True)

    class Meta:
        indexes: ClassVar[list[models.Index]] = [models.Index(fields=["account_id", "application_id"], name="open_call")]

    def __str__(self) -> str:
        return self.call_id


class CallEvent(models.Model):
    """One SIP message of a call, in the order in which the proxy saw it."""

    call_id = models.CharField(max_length=47)
    at = models.DateTimeField()
    leg = models.CharField(max_length=8)
    transport = models.CharField(max_length=3)
    source = models.CharField(max_length=64)
    destination = models.CharField(max_length=64)
    first_line = models.CharField(max_length=512)
    text = models.TextField()

    class Meta:
        ordering: ClassVar[list[str]] = ["at", "id"]
        indexes: ClassVar[list[models.Index]] = [models.Index(fields=["call_id"], name="event_of_call")]

    def __str__(self) -> str:
        return self.first_line


class MediaLeg(models.Model):
    """The figures of one side of a call: the relay's, and the call flow's where the audio is encrypted."""

    call_id = models.CharField(max_length=47)
    leg = models.CharField(max_length=8)
    node = models.CharField(max_length=200)
    at = models.DateTimeField()
    packets_in = models.BigIntegerField()
    bytes_in = models.BigIntegerField()
    packets_out = models.BigIntegerField()
    lost = models.BigIntegerField()
    jitter_ms = models.FloatField()
    rtt_ms = models.FloatField(null=True)
    mos = models.FloatField(null=True)
    ssrc_changes = models.PositiveIntegerField()
    plane = models.CharField(max_length=9)
    payload_type = models.PositiveSmallIntegerField(null=True)
    advertised = models.CharField(max_length=64, blank=True)
    observed = models.CharField(max_length=64, blank=True)
    final = models.BooleanField()

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["call_id", "leg"], name="one_row_per_call_and_leg")
        ]
        ordering: ClassVar[list[str]] = ["call_id", "leg"]

    def __str__(self) -> str:
        return f"{self.leg} media of {self.call_id}"
