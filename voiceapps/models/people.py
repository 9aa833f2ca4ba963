"""What we keep of operators beside Django's own users: the account they are bound to, their second factor, their failed logins."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.db import models

from voiceapps.fields import EncryptedTextField
from voiceapps.models.accounts import Account


class Operator(models.Model):
    """A person who uses the console. A user without this row sees all accounts."""

    user = models.OneToOneField(User, on_delete=models.CASCADE, related_name="operator")
    account = models.ForeignKey(Account, on_delete=models.PROTECT, null=True, blank=True, help_text="Empty: all accounts.")
    generation = models.PositiveIntegerField(default=0)
    """Goes up with each change that ends the person's sessions and enrolment links: they name the one that they were made in."""

    def __str__(self) -> str:
        return self.user.get_username()


class SecondFactor(models.Model):
    """What proves a person besides the password: codes of an authenticator (RFC 6238), or one of the recovery codes."""

    user = models.OneToOneField(User, on_delete=models.CASCADE, related_name="second_factor")
    secret = EncryptedTextField()
    """The shared secret in base32."""
    last_step = models.BigIntegerField()
    """The time step of the last code that was accepted: no code of it or of one before it is accepted again."""
    recovery_digests = models.JSONField(default=list)
    """The keyed digests of the recovery codes that are left."""
    failures = models.PositiveIntegerField(default=0)
    failed_at = models.DateTimeField(null=True)
    enrolled_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"second factor of {self.user.get_username()}"


class FailedLogin(models.Model):
    """The failed logins of a name, of a source, or of both together, until a while after the last one."""

    key = models.CharField(primary_key=True, max_length=64)
    """A digest of what is counted: people type passwords into the field for the name."""
    failures = models.PositiveIntegerField()
    last_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"{self.failures} failed logins"
