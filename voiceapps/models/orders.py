"""What the API wants of calls that go on."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from voiceapps.choices import OrderKind, OrderState
from voiceapps.fields import EncryptedTextField


class CallOrder(models.Model):
    """One order for a call, for the node that holds it. The row lives until the request that made it is answered."""

    call_id = models.CharField(max_length=47)
    node = models.CharField(max_length=200)
    kind = models.CharField(max_length=9, choices=OrderKind)
    details = EncryptedTextField(blank=True)
    """What the kind needs, as JSON; the URLs in it may carry credentials."""
    state = models.CharField(max_length=7, choices=OrderState, default=OrderState.WAITING)
    created_at = models.DateTimeField()

    class Meta:
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["node"], condition=models.Q(state="waiting"), name="order_waiting"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.call_id}"
