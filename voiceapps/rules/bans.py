"""The reasons for banning a source address."""

from __future__ import annotations

from enum import Enum


class BanReason(Enum):
    """Why a source is banned: the values in rows, metric labels and the console."""

    WRONG_PASSWORD = "wrong_password"  # noqa: S105  # a reason, not a password
    FLOOD = "flood"
    OPERATOR = "operator"
