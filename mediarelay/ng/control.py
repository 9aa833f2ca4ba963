"""The ng protocol's notation: commands and replies in bencode or JSON behind a cookie.

A datagram is `cookie SP dictionary`. A reply repeats the cookie. A client that gets no reply sends the same datagram
again, so replies are remembered and a repeated cookie gets the same octets without the command running twice.

Clients spell keys in several ways: `delete delay`, `delete-delay`, `SIP source address`, `sip-source-address`. All are
folded into one, lower case with hyphens; if a key appears in two spellings, the first counts.
"""

from __future__ import annotations

import json
import re
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from daemonkit.address import Address
from mediarelay.ng.bencode import decode, encode
from mediarelay.ng.limits import MAX_COOKIE, MAX_REPLIES, MAX_REPLY_OCTETS, MAX_TEXT, REPLY_SECONDS

MAX_BODY = 65_507 - MAX_COOKIE - 1
"""Octets of a reply after its cookie: what one datagram of UDP over IPv4 holds."""

DRAINING = "sipuri-draining"
"""The key of a pong that says: offers for new calls are refused."""

_INTEGER = re.compile(rb"-?[0-9]{1,18}")
_TOO_LONG = {"result": "error", "error-reason": "The reply does not fit a datagram."}


@dataclass(frozen=True, slots=True)
class Command:
    """One command; `fields` holds text and octets as `bytes`, by folded key."""

    fields: Mapping[bytes, object]
    as_json: bool

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Return the command in a datagram after its cookie; raises ValueError with a sentence."""
        as_json = body.startswith(b"{")
        values = _decode_json(body) if as_json else decode(body)
        if not isinstance(values, dict):
            raise ValueError("The command is not a dictionary.")
        fields: dict[bytes, object] = {}
        for key, value in values.items():
            fields.setdefault(fold(key), value)
        return cls(fields, as_json)

    @property
    def name(self) -> str:
        """The command's name, or an empty string."""
        value = self.fields.get(b"command")
        return value.decode("latin-1") if isinstance(value, bytes) else ""

    def octets(self, key: str) -> bytes:
        """Return the octets of `key`, which must be present; raises ValueError."""
        value = self._text_octets(key)
        if not value:
            raise ValueError(f"The command has no {key}.")
        return value

    def require(self, key: str) -> str:
        """Return the text of `key`, which must be present and of limited length; raises ValueError."""
        value = self.text(key)
        if value is None:
            raise ValueError(f"The command has no {key}.")
        return value

    def text(self, key: str) -> str | None:
        """Return the text of `key`, or None if it is missing or empty; raises ValueError."""
        value = self._text_octets(key)
        if len(value) > MAX_TEXT:
            raise ValueError(f"The {key} is too long.")
        try:
            return value.decode() or None
        except UnicodeDecodeError:
            raise ValueError(f"The {key} is not UTF-8.") from None

    def texts(self, key: str) -> tuple[str, ...]:
        """Return the texts in the list of `key`, or a single text as a list of one; raises ValueError on anything else."""
        value = self.fields.get(key.encode(), [])
        items = value if isinstance(value, list) else [value]
        texts = tuple(item.decode("utf-8", "replace") for item in items if isinstance(item, bytes))
        if len(texts) != len(items):
            raise ValueError(f"The {key} must be a list of texts.")
        return texts

    def number(self, key: str, default: int) -> int:
        """Return the integer of `key`, written as such or as text, or `default`; raises ValueError."""
        value = self.fields.get(key.encode(), default)
        if isinstance(value, bytes) and _INTEGER.fullmatch(value):
            return int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise ValueError(f"The {key} must be an integer.")
        return value

    def write(self, values: Mapping[str, object]) -> bytes:
        """Return a reply's body in the notation of the command; one that fits no datagram becomes an error that says so."""
        try:
            body = self._write(values)
        except ValueError:
            return self._write(_TOO_LONG)
        return body if len(body) <= MAX_BODY else self._write(_TOO_LONG)

    def _text_octets(self, key: str) -> bytes:
        value = self.fields.get(key.encode(), b"")
        if not isinstance(value, bytes):
            raise ValueError(f"The {key} must be text.")
        return value

    def _write(self, values: Mapping[str, object]) -> bytes:
        if not self.as_json:
            return encode(values)
        return json.dumps(values, default=_json_text, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace")


class ReplyCache:
    """Replies by sender and cookie, bounded in number, octets and age."""

    def __init__(self) -> None:
        self._octets = 0
        self._replies: OrderedDict[tuple[Address, bytes], tuple[float, bytes]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._replies)

    def get(self, sender: Address, cookie: bytes, now: float) -> bytes | None:
        """Return the reply that the same datagram got lately, or None."""
        at, reply = self._replies.get((sender, cookie), (now - REPLY_SECONDS, b""))
        return reply if now - at < REPLY_SECONDS else None

    def put(self, sender: Address, cookie: bytes, reply: bytes, now: float) -> None:
        """Remember a reply; the oldest ones make room."""
        self._octets += len(reply) - len(self._replies.pop((sender, cookie), (0.0, b""))[1])
        self._replies[sender, cookie] = (now, reply)
        while self._is_full() or now - next(iter(self._replies.values()))[0] >= REPLY_SECONDS:
            _, (_, oldest) = self._replies.popitem(last=False)
            self._octets -= len(oldest)

    def _is_full(self) -> bool:
        return len(self._replies) > MAX_REPLIES or self._octets > MAX_REPLY_OCTETS


def fold(name: bytes) -> bytes:
    """Return the one spelling of a key or flag: lower case, hyphens for blanks and underscores."""
    return name.lower().replace(b" ", b"-").replace(b"_", b"-")


def pong(*, draining: bool) -> dict[str, object]:
    """Return the reply to a ping; clients that do not know the key of a relay that drains learn it from its refusals."""
    return {"result": "pong", DRAINING: 1} if draining else {"result": "pong"}


def split_cookie(data: bytes) -> tuple[bytes, bytes]:
    """Return the cookie and the rest of a datagram; raises ValueError if there is no cookie to answer with."""
    cookie, space, body = data.partition(b" ")
    if not space or not 0 < len(cookie) <= MAX_COOKIE:
        raise ValueError("The datagram has no cookie.")
    return cookie, body


def _decode_json(body: bytes) -> object:
    try:
        return _to_octets(json.loads(body))
    except RecursionError:
        raise ValueError("The JSON document is nested too deeply.") from None
    except ValueError:
        raise ValueError("The JSON document is malformed.") from None


def _json_text(value: object) -> str:
    """Convert octets to text, the only form that JSON has."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    raise TypeError(f"JSON has no notation for {type(value).__name__}.")


def _to_octets(value: object) -> object:
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass")
    if isinstance(value, list):
        return [_to_octets(item) for item in value]
    if isinstance(value, dict):
        return {str(key).encode("utf-8", "surrogatepass"): _to_octets(item) for key, item in value.items()}
    return value
