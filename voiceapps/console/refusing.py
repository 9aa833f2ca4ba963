"""What no view of the console is asked: requests with the character NUL, and addresses that are a button's."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed

from voiceapps.console.access.paths import is_page
from voiceapps.console.pages import errors

NUL = "\0"
"""PostgreSQL stores it in no text."""


class RefusingMiddleware:
    """Answer such requests for the console's pages with a page that says why."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer a request."""
        if not is_page(request):
            return self._get_response(request)
        if any(NUL in text for text in _texts(request)):
            return errors.bad_request(request, errors.HAS_NUL)
        response = self._get_response(request)
        return errors.not_allowed(request, response["Allow"]) if isinstance(response, HttpResponseNotAllowed) else response


def _texts(request: HttpRequest) -> Iterator[str]:
    yield request.path
    # A cookie in quotes may write any character by its octal number.
    yield from request.COOKIES.values()
    for fields in (request.GET, request.POST):
        for name, values in fields.lists():
            yield from (name, *values)
