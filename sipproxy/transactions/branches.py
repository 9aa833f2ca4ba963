"""Our Via branches: unguessable, and recognised when a request comes back (RFC 3261 16.3 step 4).

A branch is a random part and a tag over it and the fields that identify the request. If a request comes back with a branch of
ours whose tag matches, it is a loop. A request that comes back with another Request-URI is a spiral and does not match.
The first two digits of the random part name the worker that made the branch: a response that reaches another worker is handed
over to it.
"""

from __future__ import annotations

import hmac
from string import hexdigits

from sipproxy.mac import Keys, make_tag
from sipproxy.sip import PeerError, Request, Via
from sipproxy.sip.via import MAGIC_COOKIE

_MAC_CHARACTERS = 20
_RANDOM_CHARACTERS = 16
_WORKER_CHARACTERS = 2
_LENGTH = len(MAGIC_COOKIE) + _RANDOM_CHARACTERS + _MAC_CHARACTERS


def make_branch(request: Request, *, key: bytes, random: str, worker: int = 0) -> str:
    """Return a branch for this request; `random` holds at least 16 hex digits, `worker` is below 256."""
    nonce = f"{worker:02x}{random[: _RANDOM_CHARACTERS - _WORKER_CHARACTERS]}"
    return MAGIC_COOKIE + nonce + _mac(request, key, nonce)


def worker_of(branch: str) -> int | None:
    """Return the worker that made a branch, None where it is not one of ours."""
    digits = branch[len(MAGIC_COOKIE) : len(MAGIC_COOKIE) + _WORKER_CHARACTERS]
    return int(digits, 16) if len(branch) == _LENGTH and all(digit in hexdigits for digit in digits) else None


def has_looped(request: Request, *, keys: Keys) -> bool:
    """Return whether one of the request's Vias is ours and was made for the same request."""
    if not any(MAGIC_COOKIE in line for line in request.headers("via")):
        return False
    return any(_fits(value, request, keys) for value in request.values("via"))


def _fits(value: str, request: Request, keys: Keys) -> bool:
    try:
        branch = Via.parse(value).branch
    except PeerError:
        return False
    if len(branch) != _LENGTH:
        return False
    nonce = branch[len(MAGIC_COOKIE) : -_MAC_CHARACTERS]
    tag = branch[-_MAC_CHARACTERS:].encode("utf-8", "replace")
    return any(hmac.compare_digest(tag, _mac(request, key, nonce).encode()) for key in keys)


def _mac(request: Request, key: bytes, nonce: str) -> str:
    facts = "\n".join((nonce, request.uri_text, request.from_.tag, request.to.tag, request.call_id, str(request.cseq.number)))
    return make_tag(key, b"branch", facts.encode("utf-8", "surrogateescape"), size=_MAC_CHARACTERS // 2).hex()
