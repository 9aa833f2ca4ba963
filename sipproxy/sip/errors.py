"""The two ways a message can be wrong: the peer's fault or ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sipproxy.sip.message import Request


class PeerError(ValueError):
    """Say that a peer sent something unusable; `status` is the SIP code that answers it.

    `request` is the message as far as it could be read, for a stateless answer; None where there is nothing to answer.
    Raise a new instance each time: a shared one would gather tracebacks.
    """

    def __init__(self, status: int, reason: str, request: Request | None = None) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.request = request


class UsageError(ValueError):
    """Say that our own code asked for an impossible message."""
