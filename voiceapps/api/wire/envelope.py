"""The one envelope of the management API: `{links, data, errors}` (voice-applications-api.md)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rest_framework.response import Response

Link = Mapping[str, str]


def envelope(data: object, *, links: Sequence[Link] = (), errors: Sequence[Mapping[str, object]] = ()) -> dict[str, object]:
    """Wrap an answer as all answers are."""
    return {"links": list(links), "data": data, "errors": list(errors)}


def link(rel: str, href: str) -> Link:
    """Return a link that is followed with GET."""
    return {"href": href, "rel": rel, "method": "GET"}


def ok(data: object, *, status: int = 200, links: Sequence[Link] = (), headers: Mapping[str, str] | None = None) -> Response:
    """Answer with data."""
    return Response(envelope(data, links=links), status=status, headers=dict(headers or {}))
