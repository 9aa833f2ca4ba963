"""The envelope of the management API: `{links, data, errors}`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rest_framework.response import Response

Link = Mapping[str, str]


def envelope(data: object, *, links: Sequence[Link] = (), errors: Sequence[Mapping[str, object]] = ()) -> dict[str, object]:
    """Return the envelope of an answer."""
    return {"links": list(links), "data": data, "errors": list(errors)}


def link(rel: str, href: str) -> Link:
    """Return a link that is followed with GET."""
    return {"href": href, "rel": rel, "method": "GET"}


def ok(data: object, *, status: int = 200, links: Sequence[Link] = (), headers: Mapping[str, str] | None = None) -> Response:
    """Return an answer that carries data."""
    return Response(envelope(data, links=links), status=status, headers=dict(headers or {}))
