"""Why a source address is kept out altogether."""

from __future__ import annotations

from enum import Enum


class BanReason(Enum):
    """Name the causes; a closed set for rows, labels and the console."""

    WRONG_PASSWORD = "wrong_password"  # noqa: S105  # a reason, not a password
    FLOOD = "flood"
    OPERATOR = "operator"
