"""The headers that guard a change: `Idempotency-Key`, which makes a repeated request act once, and `If-Match` (RFC 9110 §13).

A secret is shown in the first answer only. A replay carries a notice instead, which tells the client why the secret is missing.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from voiceapps.api.wire.errors import bad, conflict
from voiceapps.api.wire.forms import ShownOnce
from voiceapps.models import ApiClient
from voiceapps.rules.whole_numbers import VERSION_DIGITS, whole_number
from voiceapps.services.idempotency import Answer, KeyReusedError, answer_once

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
NOTICE = "Shown only in the first answer to this Idempotency-Key. If it is lost, make a new one."

_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_KEPT_HEADERS = ("Location", "ETag")
_TAG = re.compile(r'\s*(W/)?"([\x21\x23-\x7e]*)"\s*')


def once(client: ApiClient, request: Request, act: Callable[[], Response]) -> Response:
    """Return the answer of `act`, or the stored answer to an earlier request with the same key; raises ProblemError for a bad key."""
    key = request.headers.get(HEADER)
    if key is None:
        return act()
    if not _KEY.fullmatch(key):
        raise bad("header", HEADER, "1 to 255 visible ASCII characters.")
    made: list[Response] = []

    def keep() -> Answer:
        made.append(act())
        return _without_secrets(made[0])

    try:
        kept = answer_once(client, key, _fingerprint(request), keep)
    except KeyReusedError as error:
        raise conflict("idempotency_key_reused", f"{HEADER}: {error}") from None
    if kept is None:
        return made[0]
    return Response(kept.body, status=kept.status, headers=kept.headers | {REPLAYED: "true"})


def entity_tag(version: int) -> str:
    """Return the strong entity tag of a version."""
    return f'"{version}"'


def wanted_versions(request: Request) -> frozenset[int] | None:
    """Return the versions that If-Match allows, None for any; weak tags match nothing. Raises ProblemError."""
    header = request.headers.get("If-Match")
    if header is None or header.strip() == "*":
        return None
    tags = [_TAG.fullmatch(tag) for tag in header.split(",")]
    if not all(tags):
        raise bad("header", "If-Match", 'Not a list of entity tags such as "3".')
    versions = {whole_number(tag[2], VERSION_DIGITS) for tag in tags if tag and not tag[1]}
    return frozenset(version for version in versions if version is not None)


def _fingerprint(request: Request) -> str:
    said = [request.method, request.get_full_path(), request.data]
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def _without_secrets(response: Response) -> Answer:
    body: Any = response.data
    shown = body["data"]
    secrets = [name for name, field in shown.serializer.fields.items() if isinstance(field, ShownOnce) and name in shown]
    data = {name: value for name, value in shown.items() if name not in secrets}
    data |= {f"{name}Notice": NOTICE for name in secrets}
    headers = {name: response[name] for name in _KEPT_HEADERS if name in response}
    return Answer(response.status_code, body | {"data": data}, headers)
