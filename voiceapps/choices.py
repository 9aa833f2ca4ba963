"""Name the states that rows go through, each with its label."""

from __future__ import annotations

from django.db.models import TextChoices

from voiceapps.rules.admission import Reason
from voiceapps.rules.bans import BanReason
from voiceapps.rules.endings import EndClass, EndReason
from voiceapps.rules.reports import Role


class CallbackMethod(TextChoices):
    """How a webhook is sent; no other method exists on the wire."""

    GET = "GET", "GET"
    POST = "POST", "POST"


MEDIA = "RTP"
"""In the place of a transport: what a relay noticed, among a call's SIP messages."""


class CallState(TextChoices):
    """Where a call stands (call-control API)."""

    INITIATED = "initiated", "initiated"
    ANSWERED = "answered", "answered"
    DISCONNECTED = "disconnected", "disconnected"


class DeliveryState(TextChoices):
    """Where a webhook stands."""

    PENDING = "pending", "pending"
    DELIVERED = "delivered", "delivered"
    FAILED = "failed", "failed"


class NodeState(TextChoices):
    """What a process says of itself."""

    UP = "up", "up"
    DRAINING = "draining", "draining"
    DOWN = "down", "down"


def _labels(names: type[Reason | EndClass | EndReason | BanReason]) -> list[tuple[str, str]]:
    return [(name.value, name.value.replace("_", " ")) for name in names]


BanReasonChoice = _labels(BanReason)
RefusalReason = _labels(Reason)
EndClassChoice = _labels(EndClass)
EndReasonChoice = _labels(EndReason)
NodeRole = [(role, role) for role in Role.__args__]  # type: ignore[attr-defined]  # a Literal's words are its arguments
