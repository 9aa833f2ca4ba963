"""The text of a call's messages, which says who called whom from where: whoever opens it is written down."""

from __future__ import annotations

from voiceapps.services import audit
from voiceapps.services.audit import Actor


def reveal(call_id: str, account_id: str, *, actor: Actor) -> None:
    """Note in the audit trail that an operator opens the messages of a call."""
    audit.record(actor, "call.reveal_messages", call_id, {}, account=account_id)
