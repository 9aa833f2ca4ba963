"""From, To, Contact, Route and Record-Route: an address with an optional name and parameters."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

from sipproxy.sip.errors import PeerError
from sipproxy.sip.grammar import QUOTED, TOKEN, Params, format_params, param, parse_params, with_param
from sipproxy.sip.uri import SipUri

# Display names without quotes may hold anything but separators: many phones send `John Q. <sip:…>`, UTF-8,
# or a quoted name whose quotes were escaped once too often.
_BRACKETED = re.compile(rf"({QUOTED}\s*+|(?:\\.|[^\"<>,;\\])*+)<([^<>]*+)>\s*+(?:;(.*))?", re.DOTALL)
_BARE = re.compile(r"([^\s<>\",;?]++)\s*+(?:;(.*))?", re.DOTALL)
# A long URI may have been folded: blanks within the brackets do no harm.
_SCHEME = re.compile(rf"{TOKEN}:[^<>]+", re.DOTALL)


@dataclass(frozen=True, slots=True)
class NameAddr:
    """One address (RFC 3261 20.10): `display` and `uri` as written, `params` of the header, not of the URI."""

    display: str
    uri: str
    params: Params = ()

    @classmethod
    def parse(cls, raw: str) -> Self:
        """Read one value; PeerError 400 when it is none."""
        if "<" in raw:
            match = _BRACKETED.fullmatch(raw)
            if match is None or _SCHEME.fullmatch(match[2].strip()) is None:
                raise PeerError(400, "Bad Address")
            return cls(match[1].strip(), match[2].strip(), parse_params((match[3] or "").strip()))
        bare = _BARE.fullmatch(raw)
        if bare is None or _SCHEME.fullmatch(bare[1]) is None:
            raise PeerError(400, "Bad Address")
        return cls("", bare[1], parse_params((bare[2] or "").strip()))

    def __str__(self) -> str:
        display = f"{self.display} " if self.display else ""
        return f"{display}<{self.uri}>{format_params(self.params)}"

    @property
    def sip_uri(self) -> SipUri:
        """The URI in parts; PeerError when it is no SIP URI."""
        return SipUri.parse(self.uri)

    @property
    def tag(self) -> str:
        """The tag parameter, "" when there is none."""
        return param(self.params, "tag") or ""

    def param(self, name: str) -> str | None:
        """Return a header parameter's value, "" when it has none, None when absent."""
        return param(self.params, name)

    def with_tag(self, tag: str) -> NameAddr:
        """Return the same address with this tag."""
        return NameAddr(self.display, self.uri, with_param(self.params, "tag", tag))
