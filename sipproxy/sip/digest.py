"""Digest challenges and credentials (RFC 3261 22.4, RFC 7616, RFC 8760)."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Self

from sipproxy.sip.errors import PeerError, UsageError
from sipproxy.sip.grammar import QUOTED, TOKEN, quote, unquote
from sipproxy.sip.limits import MAX_AUTH_FIELD, MAX_PARAMS

MD5 = "MD5"
SHA256 = "SHA-256"
ALGORITHMS = (MD5, SHA256)

_FIELD = re.compile(rf"\s*+({TOKEN})\s*+=\s*+({QUOTED}|[^\s,\"]++)\s*+(?:,|$)", re.DOTALL)
_NC = re.compile(r"[0-9A-Fa-f]{8}")


@dataclass(frozen=True, slots=True)
class Challenge:
    """Hold a Digest challenge: `qop` lists the offered values, empty for none."""

    realm: str
    nonce: str
    algorithm: str = MD5
    qop: tuple[str, ...] = ("auth",)
    stale: bool = False
    opaque: str = ""

    @classmethod
    def parse(cls, raw: str) -> Self:
        """Read a Proxy-Authenticate or WWW-Authenticate value; PeerError 400 when it is no Digest challenge."""
        fields = _fields(raw)
        if "realm" not in fields or "nonce" not in fields:
            raise PeerError(400, "Bad Challenge")
        return cls(
            realm=fields["realm"],
            nonce=fields["nonce"],
            algorithm=_algorithm(fields.get("algorithm", MD5)),
            qop=tuple(value.strip().lower() for value in fields.get("qop", "").split(",") if value.strip()),
            stale=fields.get("stale", "").lower() == "true",
            opaque=fields.get("opaque", ""),
        )

    def __str__(self) -> str:
        parts = [f"realm={quote(self.realm)}", f"nonce={quote(self.nonce)}"]
        if self.opaque:
            parts.append(f"opaque={quote(self.opaque)}")
        parts.append(f"algorithm={self.algorithm}")
        if self.qop:
            parts.append(f'qop="{",".join(self.qop)}"')
        if self.stale:
            parts.append("stale=true")
        return "Digest " + ", ".join(parts)


@dataclass(frozen=True, slots=True)
class Credentials:
    """Hold a Digest answer: `nc` is 8 hex digits and `cnonce` not empty whenever `qop` is not empty."""

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

    @classmethod
    def parse(cls, raw: str) -> Self:
        """Read a Proxy-Authorization or Authorization value; PeerError 400 when it is no complete Digest answer."""
        fields = _fields(raw)
        if any(not fields.get(name) for name in ("username", "realm", "nonce", "uri", "response")):
            raise PeerError(400, "Bad Credentials")
        qop = fields.get("qop", "").lower()
        if qop and (_NC.fullmatch(fields.get("nc", "")) is None or not fields.get("cnonce")):
            raise PeerError(400, "Bad Credentials")
        return cls(
            username=fields["username"],
            realm=fields["realm"],
            nonce=fields["nonce"],
            uri=fields["uri"],
            response=fields["response"].lower(),
            algorithm=_algorithm(fields.get("algorithm", MD5)),
            qop=qop,
            nc=fields.get("nc", ""),
            cnonce=fields.get("cnonce", ""),
            opaque=fields.get("opaque", ""),
        )

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
        if self.opaque:
            parts.append(f"opaque={quote(self.opaque)}")
        return "Digest " + ", ".join(parts)

    @property
    def count(self) -> int:
        """Return the nonce count, 0 when there is none."""
        return int(self.nc, 16) if self.nc else 0


def make_ha1(username: str, realm: str, password: str, algorithm: str = MD5) -> str:
    """Return the hex digest of `username:realm:password`."""
    return _digest(algorithm, f"{username}:{realm}:{password}")


def expected_response(credentials: Credentials, *, ha1: str, method: str) -> str:
    """Return the hex response that a peer who knows the password computes (RFC 7616 3.4.1)."""
    ha2 = _digest(credentials.algorithm, f"{method}:{credentials.uri}")
    if not credentials.qop:
        return _digest(credentials.algorithm, f"{ha1}:{credentials.nonce}:{ha2}")
    middle = f"{credentials.nonce}:{credentials.nc}:{credentials.cnonce}:{credentials.qop}"
    return _digest(credentials.algorithm, f"{ha1}:{middle}:{ha2}")


def answer_challenge(
    challenge: Challenge, *, username: str, password: str, method: str, uri: str, cnonce: str, count: int = 1
) -> Credentials:
    """Return the credentials that answer a challenge; UsageError where it offers only qop values other than auth."""
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
        cnonce=cnonce if challenge.qop else "",
        opaque=challenge.opaque,
    )
    ha1 = make_ha1(username, challenge.realm, password, challenge.algorithm)
    response = expected_response(blank, ha1=ha1, method=method)
    return Credentials(**{name: getattr(blank, name) for name in Credentials.__slots__} | {"response": response})


def _algorithm(text: str) -> str:
    upper = text.upper()
    if upper not in ALGORITHMS:
        raise PeerError(400, "Unknown Digest Algorithm")
    return upper


def _digest(algorithm: str, text: str) -> str:
    data = text.encode("utf-8", "surrogateescape")
    if algorithm == SHA256:
        return hashlib.sha256(data).hexdigest()
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def _fields(raw: str) -> dict[str, str]:
    scheme, _, rest = raw.strip().partition(" ")
    if scheme.lower() != "digest":
        raise PeerError(400, "Not Digest")
    fields: dict[str, str] = {}
    position = 0
    while position < len(rest):
        match = _FIELD.match(rest, position)
        if match is None or match[1].lower() in fields or len(fields) >= MAX_PARAMS:
            raise PeerError(400, "Bad Digest Field")
        value = unquote(match[2])
        if len(value) > MAX_AUTH_FIELD:
            raise PeerError(400, "Digest Field Too Long")
        fields[match[1].lower()] = value
        position = match.end()
    return fields
