"""Where a request goes: a URL in parts, of which everything that is sent stays as it was written.

Two spellings of one path, such as `%2F` and `/`, may mean two things to the server, and a signature covers the bytes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Self
from urllib.parse import quote, unquote, urlencode

_VISIBLE = "".join(map(chr, range(0x21, 0x7F)))
_URL = re.compile(r"(https?)://([^/?#]*)([^#]*)", re.IGNORECASE)
_AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\[\]:@\\/?#%\s]+)(?::([0-9]{0,5}))?")
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)
_QUERY = re.compile(r"[?#].*", re.DOTALL)
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Target:
    """What a request's first line and its Host header say, and the credentials that its URL carried."""

    scheme: str
    """`http` or `https`."""
    authority: str
    """Host and port as they were written; a name outside ASCII is in its IDNA form."""
    path: str
    """Path and query as they were written; blanks and characters outside ASCII are percent-encoded."""
    username: str = ""
    password: str = field(default="", repr=False)

    @classmethod
    def parse(cls, url: str) -> Self:
        """Return a URL's parts; raises ValueError with one sentence that does not repeat the URL."""
        parts = _URL.match(url.strip())
        if parts is None:
            raise ValueError("Only http and https URLs are allowed.")
        scheme, authority, path = parts.groups()
        userinfo, _, place = authority.rpartition("@")
        username, _, password = userinfo.partition(":")
        path = quote(path.encode(errors="surrogateescape"), safe=_VISIBLE)
        if not path.startswith("/"):
            path = f"/{path}"
        return cls(scheme.lower(), _ascii(place), path, unquote(username), unquote(password))

    def __str__(self) -> str:
        """Return the URL as the server sees it, which is what a signature covers: without credentials and fragment."""
        return f"{self.scheme}://{self.authority}{self.path}"

    @property
    def origin(self) -> tuple[str, str, int]:
        """Scheme, host and port; credentials are for one origin (RFC 6454)."""
        host, port = self._place()
        return self.scheme, host, port

    def with_query(self, parameters: Mapping[str, str]) -> Self:
        """Return the target with more parameters, encoded as a form, after the query that it has."""
        path, _, query = self.path.partition("?")
        whole = "&".join(part for part in (query, urlencode(parameters)) if part)
        return replace(self, path=f"{path}?{whole}" if whole else path)

    def redirected(self, location: str) -> Self:
        """Return where a Location header leads; credentials go along within one origin only. Raises ValueError."""
        following = self.parse(joined(str(self), location.strip()))
        if following.username or following.origin != self.origin:
            return following
        return replace(following, username=self.username, password=self.password)

    def _place(self) -> tuple[str, int]:
        found = _AUTHORITY.fullmatch(self.authority)
        return (found[1].lower(), int(found[2] or _DEFAULT_PORTS[self.scheme])) if found else ("", 0)


def as_http(url: str) -> str:
    """Return where the handshake of a WebSocket is asked for (RFC 6455 section 4.1); any other URL stays as it is."""
    scheme, _, rest = url.strip().partition(":")
    return {"ws": f"http:{rest}", "wss": f"https:{rest}"}.get(scheme.lower(), url)


def joined(base: str, reference: str) -> str:
    """Return a reference in a document as an absolute URL (RFC 3986 section 5.2), of which its own part stays as it is written."""
    found = _URL.match(base)
    if found is None or _SCHEME.match(reference):
        return reference
    scheme, authority, place = found.groups()
    if reference.startswith("//"):
        return f"{scheme}:{reference}"
    path = place.partition("?")[0] or "/"
    own = _QUERY.sub("", reference)
    rest = reference[len(own) :]
    if not own:
        return f"{scheme}://{authority}{path if rest.startswith('?') else place}{rest}"
    whole = own if own.startswith("/") else f"{path.rpartition('/')[0]}/{own}"
    return f"{scheme}://{authority}{_without_dots(whole)}{rest}"


def _without_dots(path: str) -> str:
    """Return an absolute path without its segments `.` and `..` (RFC 3986 section 5.2.4)."""
    kept: list[str] = []
    segments = path.split("/")[1:]
    for segment in segments:
        if segment == "..":
            del kept[-1:]
        elif segment != ".":
            kept.append(segment)
    ends_open = segments[-1] in (".", "..")
    return "/" + "/".join([*kept, ""] if ends_open else kept)


def _ascii(authority: str) -> str:
    found = _AUTHORITY.fullmatch(authority)
    if found is None or int(found[2] or 1) not in range(1, 65_536):
        raise ValueError("The URL names no valid host and port.")
    if found[1].startswith("["):
        return authority
    try:
        host = found[1].encode("idna").decode()
    except UnicodeError:
        raise ValueError("The URL's host is not a valid name.") from None
    if authority.isascii():
        return authority
    if ":" in host or not _AUTHORITY.fullmatch(host):  # IDNA makes ASCII of other characters, also slashes
        raise ValueError("The URL's host is not a valid name.")
    return f"{host}:{found[2]}" if found[2] else host
