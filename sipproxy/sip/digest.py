"""Digest challenges and credentials (RFC 3261 22.4, RFC 7616, RFC 8760).

Supported: MD5 and SHA-256, each also as session variant, `qop` auth or none. Not supported: auth-int (a proxy changes bodies),
user hashes (we offer none), SHA-512-256.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self
from urllib.parse import unquote_to_bytes

from sipproxy.sip.errors import PeerError, UsageError
from sipproxy.sip.grammar import QUOTED, TOKEN, quote, unquote
from sipproxy.sip.limits import MAX_AUTH_FIELD, MAX_PARAMS

MD5 = "MD5"
SHA256 = "SHA-256"
ALGORITHMS = (MD5, SHA256)
MD5_SESS = "MD5-sess"
SHA256_SESS = "SHA-256-sess"

_BASES = {MD5: MD5, MD5_SESS: MD5, SHA256: SHA256, SHA256_SESS: SHA256}
_SPELLINGS = {name.lower(): name for name in _BASES}
_FIELD = re.compile(rf"\s*+({TOKEN})\s*+=\s*+({QUOTED}|[^\s,\"]++)\s*+(?:,|$)", re.DOTALL)
_NC = re.compile(r"(?!0{8})[0-9A-Fa-f]{8}")
# RFC 8187 3.2.1; UTF-8 is the only character set that RFC 7616 3.4 takes.
_EXTENDED = re.compile(r"utf-8'[A-Za-z0-9\-]*+'((?:[A-Za-z0-9!#$&+\-.^_`|~]|%[0-9A-Fa-f]{2})++)", re.IGNORECASE)
_REQUIRED = ("realm", "nonce", "uri", "response")


@dataclass(frozen=True, slots=True)
class Challenge:
    """A Digest challenge: `qop` lists the offered values, empty for none."""

    realm: str
    nonce: str
    algorithm: str = MD5
    qop: tuple[str, ...] = ("auth",)
    stale: bool = False
    opaque: str = ""

    @classmethod
    def parse(cls, raw: str) -> Self:
        """Read a Proxy-Authenticate or WWW-Authenticate value; PeerError 400 when it is no Digest challenge."""
        fields = read_fields(raw)
        if not fields.get("realm") or not fields.get("nonce"):
            raise PeerError(400, "Bad Challenge")
        return cls(
            realm=fields["realm"],
            nonce=fields["nonce"],
            algorithm=_algorithm(fields.get("algorithm", MD5)),
            qop=tuple(value.strip().lower() for value in fields.get("qop", "").split(",") if value.strip()),
            stale=fields.get("stale", "").lower() == "true",
            opaque=fields.get("opaque", ""),
        )

    @property
    def base_algorithm(self) -> str:
        """The hash behind the algorithm: MD5 or SHA-256."""
        return _BASES[self.algorithm]

    def __str__(self) -> str:
        parts = [f"realm={quote(self.realm)}", f"nonce={quote(self.nonce)}"]
        if self.opaque:
            parts.append(f"opaque={quote(self.opaque)}")
        parts.append(f"algorithm={self.algorithm}")
        if self.qop:
            parts.append(f"qop={quote(','.join(self.qop))}")
        if self.stale:
            parts.append("stale=true")
        return "Digest " + ", ".join(parts)


@dataclass(frozen=True, slots=True)
class Credentials:
    """Digest credentials: `nc` is 8 hex digits and `cnonce` not empty whenever `qop` is not empty.

    `userhash` says that `username` is a hash (RFC 7616 3.4.4).
    """

    username: str
    realm: str
    nonce: str
    uri: str
    response: str
    algorithm: str = MD5
    qop: str = ""
    nc: str = ""
    cnonce: str = ""
    opaque: str = ""
    userhash: bool = False

    @classmethod
    def parse(cls, raw: str) -> Self:
        """Read a Proxy-Authorization or Authorization value; PeerError 400 when it is no complete Digest answer."""
        fields = read_fields(raw)
        missing = next((name for name in _REQUIRED if not fields.get(name)), None)
        if missing is not None:
            raise PeerError(400, f"Digest Without {missing.title()}")
        algorithm, qop = _algorithm(fields.get("algorithm", MD5)), fields.get("qop", "").lower()
        made = cls(
            username=_username(fields),
            realm=fields["realm"],
            nonce=fields["nonce"],
            uri=fields["uri"],
            response=fields["response"].lower(),
            algorithm=algorithm,
            qop=qop,
            nc=fields.get("nc", "") if qop else "",
            cnonce=fields.get("cnonce", "") if qop or algorithm not in ALGORITHMS else "",
            opaque=fields.get("opaque", ""),
            userhash=fields.get("userhash", "").lower() == "true",
        )
        made._check_protection()
        return made

    def _check_protection(self) -> None:
        if self.qop not in ("", "auth"):
            raise PeerError(400, "Unknown Digest Qop")
        if self.qop and _NC.fullmatch(self.nc) is None:
            raise PeerError(400, "Bad Digest Nonce Count")
        if (self.qop or self.is_session) and not self.cnonce:
            raise PeerError(400, "Digest Without Cnonce")

    def __str__(self) -> str:
        parts = [
            f"username={quote(self.username)}",
            f"realm={quote(self.realm)}",
            f"nonce={quote(self.nonce)}",
            f"uri={quote(self.uri)}",
            f"response={quote(self.response)}",
            f"algorithm={self.algorithm}",
        ]
        if self.qop:
            parts += [f"qop={self.qop}", f"nc={self.nc}", f"cnonce={quote(self.cnonce)}"]
        elif self.is_session:
            parts.append(f"cnonce={quote(self.cnonce)}")
        if self.opaque:
            parts.append(f"opaque={quote(self.opaque)}")
        if self.userhash:
            parts.append("userhash=true")
        return "Digest " + ", ".join(parts)

    @property
    def base_algorithm(self) -> str:
        """The hash behind the algorithm: MD5 or SHA-256."""
        return _BASES[self.algorithm]

    @property
    def count(self) -> int:
        """The nonce count, 0 when there is none."""
        return int(self.nc, 16) if self.nc else 0

    @property
    def is_session(self) -> bool:
        """True if HA1 is bound to the nonces of the session (RFC 7616 3.4.2)."""
        return self.algorithm != self.base_algorithm


def make_ha1(username: str, realm: str, password: str, algorithm: str = MD5) -> str:
    """Return the hex digest of `username:realm:password`; a session variant has its base algorithm's."""
    return _digest(algorithm, f"{username}:{realm}:{password}")


def expected_response(credentials: Credentials, *, ha1: str, method: str) -> str:
    """Return the hex response that a peer who knows the password computes (RFC 7616 3.4.1)."""
    ha2 = _digest(credentials.algorithm, f"{method}:{credentials.uri}")
    if credentials.is_session:
        ha1 = _digest(credentials.algorithm, f"{ha1}:{credentials.nonce}:{credentials.cnonce}")
    if not credentials.qop:
        return _digest(credentials.algorithm, f"{ha1}:{credentials.nonce}:{ha2}")
    middle = f"{credentials.nonce}:{credentials.nc}:{credentials.cnonce}:{credentials.qop}"
    return _digest(credentials.algorithm, f"{ha1}:{middle}:{ha2}")


def answer_challenge(challenge: Challenge, *, username: str, ha1: str, method: str, uri: str, cnonce: str, count: int = 1) -> Credentials:
    """Return the credentials that answer a challenge, given the HA1 of its realm and base algorithm.

    UsageError where it offers only qop values other than auth.
    """
    if challenge.qop and "auth" not in challenge.qop:
        raise UsageError("The challenge offers no qop that we speak.")
    blank = Credentials(
        username=username,
        realm=challenge.realm,
        nonce=challenge.nonce,
        uri=uri,
        response="",
        algorithm=challenge.algorithm,
        qop="auth" if challenge.qop else "",
        nc=f"{count:08x}" if challenge.qop else "",
        cnonce=cnonce if challenge.qop or challenge.algorithm not in ALGORITHMS else "",
        opaque=challenge.opaque,
    )
    response = expected_response(blank, ha1=ha1, method=method)
    return replace(blank, response=response)


def _algorithm(text: str) -> str:
    known = _SPELLINGS.get(text.lower())
    if known is None:
        raise PeerError(400, "Unknown Digest Algorithm")
    return known


def _username(fields: Mapping[str, str]) -> str:
    plain, extended = fields.get("username"), fields.get("username*")
    if extended is None:
        if not plain:
            raise PeerError(400, "Digest Without Username")
        return plain
    match = _EXTENDED.fullmatch(extended)
    if match is None or plain is not None or "userhash" in fields:
        raise PeerError(400, "Bad Digest Username*")
    try:
        name = unquote_to_bytes(match[1]).decode()
    except UnicodeDecodeError:
        raise PeerError(400, "Bad Digest Username*") from None
    if not name.isprintable():
        raise PeerError(400, "Bad Digest Username*")
    return name


def _digest(algorithm: str, text: str) -> str:
    data = text.encode("utf-8", "surrogateescape")
    if _BASES[algorithm] == SHA256:
        return hashlib.sha256(data).hexdigest()
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def read_fields(raw: str) -> dict[str, str]:
    """Return the fields of a Digest challenge or answer by lower-case name, quotes undone; PeerError 400 where it is none."""
    scheme, *rest = raw.split(maxsplit=1)[:2] or [""]
    if scheme.lower() != "digest":
        raise PeerError(400, "Not Digest")
    fields: dict[str, str] = {}
    position, text = 0, "".join(rest).rstrip()
    while position < len(text):
        match = _FIELD.match(text, position)
        if match is None or len(fields) >= MAX_PARAMS:
            raise PeerError(400, "Bad Digest Field")
        name, value = match[1].lower(), unquote(match[2])
        if name in fields:
            raise PeerError(400, "Digest Field Given Twice")
        if len(value) > MAX_AUTH_FIELD:
            raise PeerError(400, "Digest Field Too Long")
        fields[name] = value
        position = match.end()
    return fields
