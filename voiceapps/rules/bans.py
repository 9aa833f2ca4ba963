"""The reasons for banning a source address, and how wide a range may be that is never banned."""

from __future__ import annotations

from enum import Enum

WIDEST_TRUST = 8
"""The shortest prefix of a range that may be trusted: 10.0.0.0/8 is the largest network that somebody can own."""


class BanReason(Enum):
    """Why a source is banned: the values in rows, metric labels and the console."""

    WRONG_PASSWORD = "wrong_password"  # noqa: S105  # a reason, not a password
    FLOOD = "flood"
    OPERATOR = "operator"
