"""Why a daemon does not start."""

from __future__ import annotations


class CannotStart(OSError):
    """One sentence that says why a daemon does not start."""
