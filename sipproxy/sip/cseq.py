"""The CSeq header field."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

from sipproxy.sip.errors import PeerError
from sipproxy.sip.grammar import TOKEN

_CSEQ = re.compile(rf"(\d{{1,20}})\s+({TOKEN})")
_END = 2**31  # RFC 3261 8.1.1.5


@dataclass(frozen=True, slots=True)
class CSeq:
    """A sequence number below 2**31 and its method (RFC 3261 20.16)."""

    number: int
    method: str

    @classmethod
    def parse(cls, raw: str) -> Self:
        """Read a value; PeerError 400 when it is none or the number is too large."""
        match = _CSEQ.fullmatch(raw) if raw.isascii() else None
        if match is None or int(match[1]) >= _END:
            raise PeerError(400, "Bad CSeq")
        return cls(int(match[1]), match[2])

    def __str__(self) -> str:
        return f"{self.number} {self.method}"
