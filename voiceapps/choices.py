"""The states of rows, each with its label."""

from __future__ import annotations

from django.db.models import TextChoices

from voiceapps.rules.admission import Reason
from voiceapps.rules.bans import BanReason
from voiceapps.rules.call_orders import OrderKind as Kind
from voiceapps.rules.call_orders import Outcome
from voiceapps.rules.diagnosis.verdicts import VerdictCode
from voiceapps.rules.endings import EndClass, EndReason
from voiceapps.rules.media_settings import SecureMedia as Secure
from voiceapps.rules.reports import Role


class CallbackMethod(TextChoices):
    """The HTTP methods of webhooks."""

    GET = "GET", "GET"
    POST = "POST", "POST"


class MediaLearning(TextChoices):
    """From where the relay takes a caller's media."""

    STRICT = "strict", "strict: as described, or from the SIP address"
    NAT = "nat", "nat: also from another public address, if the caller is behind NAT"


class CallState(TextChoices):
    """The state of a call, as call control shows it."""

    INITIATED = "initiated", "initiated"
    ANSWERED = "answered", "answered"
    DISCONNECTED = "disconnected", "disconnected"


class RecordingStatus(TextChoices):
    """What has become of a recording, in the words of its webhook."""

    PROCESSING = "processing", "processing"
    COMPLETE = "complete", "complete"
    PARTIAL = "partial", "partial: its node was lost"
    ERROR = "error", "error: nothing was written"
    DELETED = "deleted", "deleted"


class TranscriptionStatus(TextChoices):
    """What has become of a recording's transcription, in the words of its webhook."""

    NONE = "none", "none: it waits"
    PROCESSING = "processing", "processing"
    AVAILABLE = "available", "available"
    ERROR = "error", "error"
    TIMEOUT = "timeout", "timeout"
    TOO_BIG = "file-size-too-big", "file-size-too-big"
    TOO_SMALL = "file-size-too-small", "file-size-too-small"


class DeliveryState(TextChoices):
    """The state of a webhook delivery."""

    PENDING = "pending", "pending"
    DELIVERED = "delivered", "delivered"
    FAILED = "failed", "failed"


class SecureMedia(TextChoices):
    """Whether an application's audio is encrypted on its way to the caller."""

    OFF = Secure.OFF, "off: callers that want it are refused"
    OPTIONAL = Secure.OPTIONAL, "optional: for callers by TLS that offer keys"
    REQUIRED = Secure.REQUIRED, "required: all other callers are refused"


class OrderKind(TextChoices):
    """What the API orders of a call."""

    COMPLETE = Kind.COMPLETE, "hang up"
    REDIRECT = Kind.REDIRECT, "redirect"
    DOCUMENT = Kind.DOCUMENT, "run a document"
    RECORDING = Kind.RECORDING, "pause or resume recording"


class OrderState(TextChoices):
    """The state of an order for a call; those behind `TAKEN` say what came of it."""

    WAITING = "waiting", "waiting"
    TAKEN = "taken", "taken"
    DONE = Outcome.DONE, "done"
    OVER = Outcome.OVER, "the call was over"
    IDLE = Outcome.IDLE, "nothing was being recorded"


class TrialState(TextChoices):
    """The state of a trial: a simulated call, or one that we place ourselves."""

    WAITING = "waiting", "waiting"
    RUNNING = "running", "running"
    ENDED = "ended", "ended"


class ExportFormat(TextChoices):
    """The form of a file of calls."""

    CSV = "csv", "CSV"
    JSON_LINES = "jsonl", "JSON lines"


class ExportState(TextChoices):
    """The state of a file of calls that a worker writes."""

    WAITING = "waiting", "waiting"
    RUNNING = "running", "running"
    ENDED = "ended", "ended"
    FAILED = "failed", "failed"


class NodeState(TextChoices):
    """The state that a process reports of itself."""

    UP = "up", "up"
    DRAINING = "draining", "draining"
    DOWN = "down", "down"


class FigureKind(TextChoices):
    """What is counted by the minute."""

    CALLS = "calls", "calls"
    REFUSALS = "refusals", "refusals"
    WEBHOOKS = "webhooks", "webhooks"


class WantedState(TextChoices):
    """The state that an operator wants of a process."""

    UP = "up", "up"
    DRAINING = "draining", "draining"


def _labels(names: type[Reason | EndClass | EndReason | BanReason | VerdictCode]) -> list[tuple[str, str]]:
    return [(name.value, name.value.replace("_", " ")) for name in names]


BanReasonChoice = _labels(BanReason)
RefusalReason = _labels(Reason)
EndClassChoice = _labels(EndClass)
EndReasonChoice = _labels(EndReason)
VerdictChoice = [pair for pair in _labels(VerdictCode) if pair[0] != VerdictCode.GOING_ON]
"""The verdicts on calls that have ended."""
NodeRole = [(role, role) for role in Role.__args__]  # type: ignore[attr-defined]  # a Literal's words are its arguments
