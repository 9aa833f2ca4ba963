"""What an operator has asked to see, by an action that is audited: it stays open for the session."""

from __future__ import annotations

from django.http import HttpRequest

MAX_CALLS = 50
"""Calls whose messages are open in one session; the oldest is closed for another one."""
_KEY = "revealed calls"


def open_call(request: HttpRequest, call_id: str) -> None:
    """Keep the messages of a call open."""
    others = [other for other in request.session.get(_KEY, []) if other != call_id]
    request.session[_KEY] = [*others, call_id][-MAX_CALLS:]


def is_open(request: HttpRequest, call_id: str) -> bool:
    """Return whether the messages of a call are open."""
    return call_id in request.session.get(_KEY, [])
