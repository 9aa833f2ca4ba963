"""Pages that show the API's description, without loading anything from another host."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularRedocView, SpectacularSwaggerView
from rest_framework.response import Response

# ReDoc would load a logo from its vendor's server, which this forbids. Both pages have inline scripts.
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
# What DRF answers to OPTIONS would be put into the page's template.
PAGE_METHODS = ["get", "head"]


class SwaggerPage(SpectacularSwaggerView):
    """Swagger UI, which can also send requests."""

    url_name = "schema"
    http_method_names = PAGE_METHODS

    @extend_schema(exclude=True)
    def get(self, request: Any, *args: Any, **kwargs: Any) -> Response:
        """Return the page with its content security policy."""
        return _guarded(super().get(request, *args, **kwargs))  # type: ignore[no-untyped-call]  # drf-spectacular types its classes only


class RedocPage(SpectacularRedocView):
    """ReDoc, for reading only."""

    url_name = "schema"
    template_name = "docs/redoc.html"
    http_method_names = PAGE_METHODS

    @extend_schema(exclude=True)
    def get(self, request: Any, *args: Any, **kwargs: Any) -> Response:
        """Return the page with its content security policy."""
        return _guarded(super().get(request, *args, **kwargs))  # type: ignore[no-untyped-call]  # drf-spectacular types its classes only


def _guarded(response: Response) -> Response:
    response["Content-Security-Policy"] = POLICY
    return response
