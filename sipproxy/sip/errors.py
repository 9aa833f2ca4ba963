"""The two ways a message can be wrong: the peer's fault or ours."""

from __future__ import annotations


class PeerError(ValueError):
    """A peer sent something unusable; `status` is the SIP status that answers it.

    Raise a new instance each time: a shared one would collect tracebacks.
    """

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class UsageError(ValueError):
    """Our own code asked for an impossible message."""
