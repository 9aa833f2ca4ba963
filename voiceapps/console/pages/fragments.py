"""Parts of pages that live: the page asks its own view for them every other second, and gets nothing where nothing has changed.

A poll is a request with the header `HX-Request: true` and the parameter `live=1` (`access.sessions.is_poll`). It is no sign of life: a
page that is left open asks for ever, unless it is told that nothing changes any more. It costs one query beside session and operator
where what it shows has one source, and writes nothing.
"""

from __future__ import annotations

from hashlib import blake2b

from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils.cache import get_conditional_response

ENDED = "X-Live-Ended"
"""The header of an answer after which the page need not ask again."""


def fragment(request: HttpRequest, template: str, context: dict[str, object], *, has_ended: bool = False) -> HttpResponse:
    """Return the live part of a page, or 304 where it is what the page shows already; tell whether it is the last."""
    body = render_to_string(template, context, request).encode()
    etag = f'"{blake2b(body, digest_size=16).hexdigest()}"'
    answer = get_conditional_response(request, etag=etag) or HttpResponse(body, headers={"ETag": etag})
    # Only the page compares: no cache may answer for us.
    answer["Cache-Control"] = "no-store"
    if has_ended:
        answer[ENDED] = "true"
    return answer
