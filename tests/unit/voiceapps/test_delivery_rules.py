"""What is said of a webhook: whether somebody waited for the answer, and what will happen next."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from voiceapps.rules.diagnosis.deliveries import Standing, kind, what_follows

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
WAITING = Standing("pending", False, NOW, NOW + timedelta(seconds=30), False, 4, 500, "a.example:443", None)


@pytest.mark.parametrize(
    ("state", "status", "synchronous", "said"),
    [
        ("delivered", 204, False, "a status event"),
        ("failed", None, False, "a status event"),
        ("delivered", 200, True, "the call waited for this answer, and got it"),
        ("failed", 503, True, "the call waited for this answer; 503 is none that it could use"),
        ("failed", None, True, "the call waited for this answer; none came"),
    ],
)
def test_a_failed_request_is_not_called_answered(state: str, status: int | None, synchronous: bool, said: str) -> None:
    assert kind(state, status, synchronous=synchronous) == said


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "It is tried again in 30 s; 4 tries are left."),
        ({"next_attempt_at": NOW + timedelta(seconds=600), "tries_left": 1}, "It is tried again in 10 min; no further try after that."),
        ({"next_attempt_at": NOW}, "It is due: a worker"),
        ({"next_attempt_at": None}, "It is due: a worker"),
        ({"is_sending": True}, "It is being sent right now."),
        ({"rests_until": NOW + timedelta(seconds=9)}, "Nothing is sent to a.example:443 while it rests"),
        ({"state": "delivered"}, "Nothing more: it was delivered."),
        ({"state": "failed"}, "Nothing more: it is not tried again by itself."),
        ({"state": "failed", "status": 410}, "Nothing more: the backend answered 410"),
        ({"state": "failed", "synchronous": True}, "Nothing more: the call has gone on"),
    ],
)
def test_what_follows_is_told(changes: dict[str, object], said: str) -> None:
    assert what_follows(replace(WAITING, **changes)).startswith(said)  # type: ignore[arg-type]  # its fields
