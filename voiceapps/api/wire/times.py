"""Write times as all answers do: ISO 8601 in UTC, with milliseconds and `Z`."""

from __future__ import annotations

from datetime import datetime

from voiceapps.rules.webhook_bodies import iso_time


def shown_time(when: datetime | None) -> str | None:
    """Return a time as webhooks write it too, None for none."""
    return None if when is None else iso_time(when.timestamp())
