"""The keys of access tokens: a JWK Set (RFC 7517) whose first key signs and all of whose keys verify.

A key stays in the set while tokens that it signed can be valid, so a new key in front of it logs nobody out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from django.conf import settings
from jwcrypto.common import JWException, base64url_decode
from jwcrypto.jwk import JWK
from jwcrypto.jws import JWS

ALGORITHMS: Mapping[str, str] = {"RS256": "RSA", "PS256": "RSA", "ES256": "EC"}
"""The supported signature algorithms, each with its type of key. A key is used with the algorithm that it names only."""

MIN_RSA_BITS = 2048
MAX_TOKEN = 8192
_COMPACT = re.compile(r"[\w-]+\.[\w-]+\.[\w-]+", re.ASCII)
_OPERATIONS = frozenset({"sign", "verify"})


@dataclass(frozen=True, slots=True)
class TokenKeys:
    """The keys in order; the first one signs."""

    keys: tuple[JWK, ...]

    def sign(self, kind: str, claims: Mapping[str, object]) -> str:
        """Return a JWT (RFC 7519) of a type such as `at+jwt`, signed with the first key."""
        key = self.keys[0]
        token = JWS(json.dumps(claims).encode())
        token.add_signature(key, protected=json.dumps({"typ": kind, "alg": key["alg"], "kid": key["kid"]}))
        text: str = token.serialize(compact=True)
        return text

    def verify(self, kind: str, token: str) -> dict[str, Any] | None:
        """Return the claims of a compact JWT of this type that one of the keys signed, None for anything else."""
        if len(token) > MAX_TOKEN or not _COMPACT.fullmatch(token):
            return None
        try:
            header = json.loads(base64url_decode(token.partition(".")[0]))
            key = next(key for key in self.keys if header["kid"] == key["kid"] and header["typ"] == kind)
            # The key decides the algorithm, never the token (RFC 8725 §3.1).
            jws = JWS()
            jws.allowed_algs = [key["alg"]]
            jws.deserialize(token, key)
            claims = json.loads(jws.payload)
        except (JWException, ValueError, KeyError, TypeError, StopIteration, RecursionError):
            return None
        return claims if isinstance(claims, dict) else None

    def public(self) -> list[dict[str, str]]:
        """Return the public keys, as published."""
        return [{**key.export_public(as_dict=True), "use": "sig"} for key in self.keys]

    def with_new(self, dropped: Collection[str]) -> TokenKeys:
        """Return the set with a new key in front and without the dropped ones; raises ValueError for a `kid` that is not in it."""
        unknown = sorted(set(dropped) - {key["kid"] for key in self.keys})
        if unknown:
            raise ValueError(f"no key has the kid {', '.join(unknown)}")
        return TokenKeys((_new_key(), *(key for key in self.keys if key["kid"] not in dropped)))

    def as_text(self) -> str:
        """Return the private JWK Set as one line of JSON."""
        return json.dumps({"keys": [key.export_private(as_dict=True) for key in self.keys]}, separators=(",", ":"))


def current() -> TokenKeys:
    """Return the keys of `SIPURI_TOKEN_KEYS`; raises ValueError with the rule that the value breaks."""
    return parse(settings.SIPURI_TOKEN_KEYS)


@lru_cache(maxsize=4)
def parse(text: str) -> TokenKeys:
    """Return the keys of a private JWK Set; raises ValueError with the rule that it breaks. The error holds nothing of the keys."""
    try:
        entries = json.loads(text)["keys"]
    except (ValueError, KeyError, TypeError):
        raise ValueError('not a JWK Set, which is JSON such as {"keys": [...]}') from None
    if not isinstance(entries, list) or not entries:
        raise ValueError("a JWK Set without keys")
    keys = tuple(_parsed(entry, f"key {number}") for number, entry in enumerate(entries, 1))
    if len({key["kid"] for key in keys}) < len(keys):
        raise ValueError("two keys have the same kid")
    return TokenKeys(keys)


def new_set() -> str:
    """Return a JWK Set with one new key."""
    return TokenKeys((_new_key(),)).as_text()


def _parsed(entry: Any, name: str) -> JWK:
    try:
        key = JWK(**entry)
    except (JWException, TypeError, ValueError):
        raise ValueError(f"{name} is not a JWK") from None
    if not all(isinstance(key.get(field), str) and key[field] for field in ("kid", "alg")):
        raise ValueError(f"{name} needs a kid and an alg")
    if ALGORITHMS.get(key["alg"]) != key["kty"] or (key["kty"] == "EC" and key["crv"] != "P-256"):
        raise ValueError(f"{name} is not for one of {', '.join(ALGORITHMS)}")
    if key.get("use", "sig") != "sig" or not set(key.get("key_ops", _OPERATIONS)) >= _OPERATIONS:
        raise ValueError(f"{name} is not for signatures")
    if not key.has_private:
        raise ValueError(f"{name} has no private part")
    if key["kty"] == "RSA" and int.from_bytes(base64url_decode(key["n"]), "big").bit_length() < MIN_RSA_BITS:
        raise ValueError(f"{name} is an RSA key of less than {MIN_RSA_BITS} bits")
    return key


def _new_key() -> JWK:
    """Return a new key. Its `kid` is its thumbprint (RFC 7638), not beginning with a dash: `tokenkey --drop` would read an option."""
    kid = "-"
    while kid.startswith("-"):
        key = JWK.generate(kty="RSA", size=MIN_RSA_BITS, alg="RS256", use="sig")
        kid = key.thumbprint()
    return JWK(**key.export_private(as_dict=True), kid=kid)
