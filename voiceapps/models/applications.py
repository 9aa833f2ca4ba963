"""Voice applications and the credential of their SIP URI."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Value

from voiceapps.choices import CallbackMethod, MediaLearning, SecureMedia
from voiceapps.fields import EncryptedTextField
from voiceapps.models.accounts import Account
from voiceapps.rules.diagnosis.visible import visible_line

NAME_LENGTH = 200
URL_LENGTH = 2048
CREDENTIAL_LENGTH = 1024


def default_digest_algorithms() -> list[str]:
    """Return the algorithms that every SIP client supports."""
    return ["MD5"]


class VoiceApplication(models.Model):
    """A voice application: its callback URLs, and who may call its SIP URI."""

    application_id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="applications")
    name = models.CharField(max_length=NAME_LENGTH)

    initiated_url = models.CharField("callback URL for new calls", max_length=URL_LENGTH)
    initiated_method = models.CharField("its method", max_length=4, choices=CallbackMethod, default=CallbackMethod.POST)
    initiated_fallback_url = models.CharField("fallback URL", max_length=URL_LENGTH, blank=True)
    initiated_fallback_method = models.CharField("its method", max_length=4, choices=CallbackMethod, default=CallbackMethod.POST)
    fallback_username = models.CharField("fallback user", max_length=CREDENTIAL_LENGTH, blank=True)
    fallback_password = EncryptedTextField("fallback password", blank=True)
    status_url = models.CharField("status URL", max_length=URL_LENGTH, blank=True)
    status_method = models.CharField("its method", max_length=4, choices=CallbackMethod, default=CallbackMethod.POST)
    callback_username = models.CharField("callback user", max_length=CREDENTIAL_LENGTH, blank=True)
    callback_password = EncryptedTextField("callback password", blank=True)
    callback_timeout = models.FloatField("callback timeout, seconds", default=15.0)

    inbound_sip_enabled = models.BooleanField("inbound SIP calls", default=False, editable=False)
    sip_alias = models.UUIDField("user part of the SIP URI", null=True, unique=True, editable=False)
    password_auth_enabled = models.BooleanField("password authentication", default=False, editable=False)
    allowed_source_ips = models.JSONField(default=list, editable=False)
    allowed_regions = models.JSONField(default=list, editable=False)
    digest_algorithms = models.JSONField(default=default_digest_algorithms, editable=False)

    media_learning = models.CharField(
        "where media may come from", max_length=6, choices=MediaLearning, default=MediaLearning.STRICT, db_default=MediaLearning.STRICT
    )
    media_source_ips = models.JSONField(
        "media addresses beside the SIP ones", default=list, db_default=Value([], models.JSONField()), blank=True
    )
    media_timeout = models.PositiveIntegerField("seconds without a sign of life", default=30, db_default=30)
    keepalive = models.PositiveIntegerField("seconds between questions to callers behind NAT", default=25, db_default=25)
    sip_headers = models.BooleanField("SIP headers in the webhook of a new call", default=False, db_default=False)
    secure_media = models.CharField(
        "encrypted audio", max_length=8, choices=SecureMedia, default=SecureMedia.OPTIONAL, db_default=SecureMedia.OPTIONAL
    )
    mask_digits = models.BooleanField("digits masked in what is stored", default=False, db_default=False)

    max_calls = models.PositiveIntegerField("concurrent calls, at most", null=True, blank=True)
    max_calls_per_second = models.PositiveIntegerField("new calls a second, at most", null=True, blank=True)

    version = models.PositiveIntegerField(default=1, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    SECRETS: ClassVar[tuple[str, ...]] = ("callback_password", "fallback_password")
    """The encrypted fields."""
    JOINED_SECRETS: ClassVar[tuple[str, ...]] = tuple(f"application__{name}" for name in SECRETS)
    """The same for rows that are read with their applications."""

    class Meta:
        ordering: ClassVar[list[str]] = ["name", "application_id"]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["account", "name", "application_id"], name="application_page"),
            models.Index(fields=["name", "application_id"], name="application_by_name"),
        ]

    def __str__(self) -> str:
        return visible_line(self.name)

    @property
    def sip_user(self) -> str | None:
        """The user part of the SIP URI, None while disabled."""
        if not self.inbound_sip_enabled:
            return None
        return str(self.application_id) if settings.SIP_URI_USER == "application-id" else str(self.sip_alias)

    @property
    def sip_uri(self) -> str | None:
        """The SIP URI, None while disabled."""
        return f"sip:{self.sip_user}@{settings.SIP_DOMAIN}" if self.inbound_sip_enabled else None


class SipCredential(models.Model):
    """The HA1 values of an application's SIP password, which itself is not stored."""

    application = models.OneToOneField(VoiceApplication, primary_key=True, on_delete=models.CASCADE, related_name="credential")
    realm = models.CharField(max_length=255)
    secrets = EncryptedTextField()
    rotated_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name = "SIP credential"

    def __str__(self) -> str:
        return f"credential of {self.application_id}"
