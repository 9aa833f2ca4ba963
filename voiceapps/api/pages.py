"""The API's description as pages, complete without another host."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularRedocView, SpectacularSwaggerView
from rest_framework.response import Response

# ReDoc wants its maker's logo from its maker's server, and both pages bring their scripts along in the page.
POLICY = "; ".join(
    (
        "default-src 'self'",
        "img-src 'self' data:",
        "style-src 'self' 'unsafe-inline'",
        "script-src 'self' 'unsafe-inline'",
        "worker-src blob:",
        "frame-ancestors 'none'",
    )
)


class SwaggerPage(SpectacularSwaggerView):
    """Swagger UI: read and try."""

    url_name = "schema"

    @extend_schema(exclude=True)
    def get(self, request: Any, *args: Any, **kwargs: Any) -> Response:
        """Show the page."""
        return _guarded(super().get(request, *args, **kwargs))  # type: ignore[no-untyped-call]  # drf-spectacular types its classes only


class RedocPage(SpectacularRedocView):
    """ReDoc: read."""

    url_name = "schema"
    template_name = "docs/redoc.html"

    @extend_schema(exclude=True)
    def get(self, request: Any, *args: Any, **kwargs: Any) -> Response:
        """Show the page."""
        return _guarded(super().get(request, *args, **kwargs))  # type: ignore[no-untyped-call]  # drf-spectacular types its classes only


def _guarded(response: Response) -> Response:
    response["Content-Security-Policy"] = POLICY
    return response
