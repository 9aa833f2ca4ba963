"""`ETag` and `If-Match` (RFC 9110 §13): change only what is still as you saw it."""

from __future__ import annotations

import re

from rest_framework.request import Request

from voiceapps.api.wire.errors import Problem, ProblemError, bad

_TAG = re.compile(r'\s*(W/)?"([\x21\x23-\x7e]*)"\s*')


def entity_tag(version: int) -> str:
    """Return the strong tag of a version."""
    return f'"{version}"'


def wanted_versions(request: Request) -> frozenset[int] | None:
    """Return the versions that If-Match allows, None for any; weak tags match nothing. Raises ProblemError."""
    header = request.headers.get("If-Match")
    if header is None or header.strip() == "*":
        return None
    tags = [_TAG.fullmatch(tag) for tag in header.split(",")]
    if not all(tags):
        raise bad("header", "If-Match", 'Not a list of entity tags such as "3".')
    return frozenset(int(tag[2]) for tag in tags if tag and not tag[1] and tag[2].isdecimal() and len(tag[2]) < 10)


def changed_meanwhile() -> ProblemError:
    """Return the 412 of a resource that has another version by now."""
    return ProblemError(Problem(412, "The resource has changed since it was read.", source={"header": "If-Match"}))
