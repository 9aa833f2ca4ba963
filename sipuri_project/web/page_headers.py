"""What browsers are told about our pages: where their parts may come from, and that this host speaks TLS only.

The policy has two exceptions. `'unsafe-eval'`: Alpine, which the theme is made with, evaluates the expressions in its attributes.
`'unsafe-inline'` for styles: the theme writes its colours into a style element, and Alpine and htmx set styles. No script is inline,
so text that came from a stranger cannot become one.
"""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse

POLICY = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self' 'unsafe-eval'",
        "style-src 'self' 'unsafe-inline'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "object-src 'none'",
    )
)
YEAR = 365 * 24 * 3600


class PageHeadersMiddleware:
    """Add the headers, unless a view has set its own."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response
        self._is_secure = settings.PUBLIC_URL.startswith("https://")

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer a request."""
        response = self._get_response(request)
        if response.headers.get("Content-Type", "").startswith("text/html"):
            response.headers.setdefault("Content-Security-Policy", POLICY)
        if self._is_secure:
            # Django's own would ask whether this request came by TLS, which ends at the reverse proxy.
            response.headers.setdefault("Strict-Transport-Security", f"max-age={YEAR}")
        return response
