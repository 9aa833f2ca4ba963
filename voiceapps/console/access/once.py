"""Values that are shown once: a request makes one, and the page that it leads to shows it and forgets it.

A page that answered the request itself would show it again when it is reloaded, and make it again, too.
"""

from __future__ import annotations

import json
from typing import Any

from cryptography.fernet import InvalidToken
from django.http import HttpRequest, HttpResponse

from voiceapps.fields import field_cipher

SECONDS = 5 * 60
"""A value that nobody has looked at by then is gone."""
_PREFIX = "once "


def keep(request: HttpRequest, name: str, value: Any) -> None:
    """Keep a value, which is JSON, encrypted in the session for its one reading; it replaces one of the same name."""
    request.session[_PREFIX + name] = field_cipher().encrypt(json.dumps(value).encode()).decode()


def take(request: HttpRequest, name: str) -> Any:
    """Return the value and forget it; None if there is none, or if it is too old."""
    value = look(request, name)
    request.session.pop(_PREFIX + name, None)
    return value


def look(request: HttpRequest, name: str) -> Any:
    """Return the value and keep it, for a form that is filled in meanwhile; None if there is none, or if it is too old."""
    token = request.session.get(_PREFIX + name)
    if token is None:
        return None
    try:
        return json.loads(field_cipher().decrypt(token.encode(), ttl=SECONDS))
    except InvalidToken:
        return None


def unstored(response: HttpResponse) -> HttpResponse:
    """Return a page that shows such a value, so that no cache keeps it."""
    response["Cache-Control"] = "no-store"
    return response
