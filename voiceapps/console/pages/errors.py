"""What the console answers instead of a page: a sentence in its frame, and a way back."""

from __future__ import annotations

from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse

from voiceapps.console.pages.shell import show

MISSING = "There is no such page, or it is about an account that is not yours."
FORBIDDEN = "Your role does not allow this. An admin can give you another one."
BROKEN = "Something is broken on our side. The log names the error, under the request's id: {}."
AWAY = "The database, or a service that it needs, is away. Try again in a moment."
HAS_NUL = "The address, or a field of the form, has the character NUL (%00), which no text of ours may have. Remove it."
A_BUTTONS = "This address is a button's: it takes {}, and nothing was done. Go back to the page, and press the button there."
FORGED = "The form was too old, or it came from another site: nothing was changed. Go back, load the page anew, and try again."


def bad_request(request: HttpRequest, sentence: str) -> HttpResponse:
    """Answer 400 before anybody has asked whose request it is."""
    request.user = AnonymousUser()
    return _page(request, 400, "Not understood", sentence)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 404, with the sentence of who raised it."""
    said = exception.args[0] if exception.args and isinstance(exception.args[0], str) else ""
    return _page(request, 404, "Not found", said or MISSING)


def forbidden(request: HttpRequest, sentence: str = FORBIDDEN) -> HttpResponse:
    """Answer 403."""
    return _page(request, 403, "Not allowed", sentence)


def not_allowed(request: HttpRequest, allowed: str) -> HttpResponse:
    """Answer 405, with the methods that are allowed."""
    response = _page(request, 405, "Not an address of a page", A_BUTTONS.format(allowed))
    response["Allow"] = allowed
    return response


def server_error(request: HttpRequest, *, away: bool) -> HttpResponse:
    """Answer 500, or 503 while a service is away."""
    # The side bar would ask the database who it is.
    request.user = AnonymousUser()
    if away:
        return _page(request, 503, "Not available", AWAY)
    return _page(request, 500, "Internal error", BROKEN.format(request.META.get("HTTP_X_REQUEST_ID", "none")))


def _page(request: HttpRequest, status: int, title: str, sentence: str) -> HttpResponse:
    response = show(request, "console/pages/error.html", title, sentence=sentence)
    response.status_code = status
    # Its frame names who is logged in.
    response["Cache-Control"] = "no-store"
    return response
