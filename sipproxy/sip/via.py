"""The Via header field."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

from sipproxy.sip.errors import PeerError
from sipproxy.sip.grammar import HOST, TOKEN, Params, format_params, param, parse_params, parse_port, with_param
from sipproxy.sip.uri import DEFAULT_PORT

MAGIC_COOKIE = "z9hG4bK"

_VIA = re.compile(rf"({TOKEN})\s*+/\s*+({TOKEN})\s*+/\s*+({TOKEN})\s++({HOST})\s*+(?::\s*+(\d++)\s*+)?(?:;(.*))?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Via:
    """One Via value (RFC 3261 20.42)."""

    transport: str
    host: str
    port: int | None = None
    params: Params = ()

    @classmethod
    def parse(cls, raw: str) -> Self:
        """Read one value; PeerError 400 when it is none."""
        match = _VIA.fullmatch(raw)
        if match is None or match[1].upper() != "SIP" or match[2] != "2.0":
            raise PeerError(400, "Bad Via")
        port = parse_port(match[5]) if match[5] else None
        return cls(match[3].upper(), match[4], port, parse_params((match[6] or "").strip()))

    def __str__(self) -> str:
        return f"SIP/2.0/{self.transport} {self.sent_by}{format_params(self.params)}"

    @property
    def sent_by(self) -> str:
        """`host` or `host:port` as written."""
        return self.host if self.port is None else f"{self.host}:{self.port}"

    @property
    def branch(self) -> str:
        """The branch parameter, "" when there is none."""
        return param(self.params, "branch") or ""

    @property
    def has_rfc3261_branch(self) -> bool:
        """True if the branch alone names the transaction (RFC 3261 17.2.3)."""
        branch = self.branch
        return branch.startswith(MAGIC_COOKIE) and len(branch) > len(MAGIC_COOKIE)

    def seen_from(self, host: str, port: int) -> Via:
        """Return the value with `received` and, where it was asked for, `rport` (RFC 3261 18.2.1, RFC 3581 4)."""
        params = self.params
        wants_port = param(params, "rport") is not None
        if wants_port:
            params = with_param(params, "rport", str(port))
        if wants_port or self.host != host or param(params, "received") is not None:
            params = with_param(params, "received", host)
        return Via(self.transport, self.host, self.port, params)

    def reply_address(self) -> tuple[str, int]:
        """Return where a response goes over UDP (RFC 3261 18.2.2, RFC 3581 4); PeerError where rport is no port."""
        received = param(self.params, "received")
        rport = param(self.params, "rport")
        port = parse_port(rport) if rport else self.port
        return received or self.host, port or DEFAULT_PORT
