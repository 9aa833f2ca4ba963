"""SIP URIs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

from sipproxy.sip.errors import PeerError
from sipproxy.sip.grammar import HOST, Params, format_params, param, parse_params, parse_port

# The user part may hold `;` and `?` (RFC 3261 25.1), so the last `@` before the host decides where it ends.
_BAD = r"\s\x00-\x1f\x7f<>\""
_URI = re.compile(rf"(sips?):(?:([^@{_BAD}]*+)@)?({HOST})(?::(\d++))?(?:;([^?{_BAD}]*+))?(?:\?([^{_BAD}]*+))?", re.IGNORECASE)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:")
_VALUE = re.compile(r"[^;?]*+")
DEFAULT_PORT = 5060
SECURE_PORT = 5061


@dataclass(frozen=True, slots=True)
class SipUri:
    """The parts of a `sip:` or `sips:` URI as they were written (RFC 3261 19.1).

    `user` keeps its escapes and any password after a colon; None means that there is no user part.
    """

    scheme: str
    user: str | None
    host: str
    port: int | None = None
    params: Params = ()
    headers: str = ""

    @classmethod
    def parse(cls, raw: str) -> Self:
        """Read a URI; another scheme is PeerError 416, anything malformed 400."""
        match = _URI.fullmatch(raw)
        if match is None:
            raise _refusal(raw)
        scheme, user, host, port, params, headers = match.groups()
        if user == "":
            raise PeerError(400, "Empty User Part")
        return cls(scheme.lower(), user, host, parse_port(port) if port else None, parse_params(params or ""), headers or "")

    def __str__(self) -> str:
        user = f"{self.user}@" if self.user is not None else ""
        port = f":{self.port}" if self.port is not None else ""
        headers = f"?{self.headers}" if self.headers else ""
        return f"{self.scheme}:{user}{self.host}{port}{format_params(self.params)}{headers}"

    @property
    def user_key(self) -> str:
        """The user part for look-ups: unescaped where that is safe, lower case, "" when absent."""
        return unescape(self.user or "").lower()

    @property
    def host_key(self) -> str:
        """The host in lower case, without a final dot."""
        return self.host.lower().rstrip(".")

    def param(self, name: str) -> str | None:
        """Return a URI parameter's value, "" when it has none, None when absent."""
        return param(self.params, name)


def put_param(uri: str, name: str, value: str) -> str:
    """Return a URI's text with one more parameter, before its headers; all else stays as it was written."""
    start = uri.rpartition("@")
    place, mark, headers = start[2].partition("?")
    return f"{start[0]}{start[1]}{place};{name}={value}{mark}{headers}"


def take_param(uri: str, name: str) -> tuple[str, str]:
    """Return a URI's text without a parameter, and the parameter's value, "" where it has none; all else stays as it was written."""
    if f";{name}=" not in uri:
        return uri, ""
    user, at, place = uri.rpartition("@")
    before, _, behind = place.partition(f";{name}=")
    value = _VALUE.match(behind)
    found = value[0] if value is not None else ""
    return f"{user}{at}{before}{behind[len(found) :]}", found


def unescape(text: str) -> str:
    """Undo `%41` escapes of printable ASCII once; `%00`, controls and octets above 126 stay as they were written.

    A user name that is compared must not be cut at a NUL or become another by double decoding.
    """
    if "%" not in text:
        return text
    return re.sub(r"%([0-9A-Fa-f]{2})", _unescape_one, text)


def _unescape_one(match: re.Match[str]) -> str:
    code = int(match[1], 16)
    return chr(code) if 0x20 < code < 0x7F else match[0]


def _refusal(raw: str) -> PeerError:
    scheme = _SCHEME.match(raw)
    if scheme is None or scheme[0].lower() in ("sip:", "sips:"):
        return PeerError(400, "Bad Request-URI")
    return PeerError(416, "Unsupported URI Scheme")
