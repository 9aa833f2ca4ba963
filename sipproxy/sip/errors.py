"""The two ways a message can be wrong: the peer's fault or ours."""

from __future__ import annotations


class PeerError(ValueError):
    """Say that a peer sent something unusable; `status` is the SIP code that answers it.

    Raise a new instance each time: a shared one would gather tracebacks.
    """

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class UsageError(ValueError):
    """Say that our own code asked for an impossible message."""
