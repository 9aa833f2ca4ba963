"""Why a daemon does not start."""

from __future__ import annotations


class CannotStart(OSError):
    """Say in one sentence what keeps a daemon from starting."""
