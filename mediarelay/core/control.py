"""The ng protocol's notation: commands and replies in bencode or JSON behind a cookie.

A datagram is `cookie SP dictionary`. A reply repeats the cookie. A client that hears nothing sends the same datagram
again, so replies are remembered and a repeated cookie gets the same octets without the command running twice.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from mediarelay.bencode import decode, encode
from mediarelay.core.addresses import Side
from mediarelay.core.config import Address
from mediarelay.core.limits import MAX_COOKIE, MAX_REPLIES, MAX_SDP, MAX_TEXT, REPLY_SECONDS

__all__ = ["Command", "MediaCommand", "ReplyCache", "split_cookie"]

NAT_FLAG = "sipuri-learn-nat"
"""Allows rank 4 of D8; set where the application says `mediaLearning: "nat"`."""


@dataclass(frozen=True, slots=True)
class Command:
    """One command; `fields` holds text and octets as `bytes`."""

    fields: Mapping[bytes, object]
    as_json: bool

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Return the command in a datagram after its cookie; raises ValueError with a sentence."""
        as_json = body.startswith(b"{")
        fields = _decode_json(body) if as_json else decode(body)
        if not isinstance(fields, dict):
            raise ValueError("The command is not a dictionary.")
        return cls(fields, as_json)

    @property
    def name(self) -> str:
        """The command's name, or an empty string."""
        value = self.fields.get(b"command")
        return value.decode("latin-1") if isinstance(value, bytes) else ""

    def octets(self, key: str) -> bytes:
        """Return the value of `key`, which must be there; raises ValueError."""
        value = self.fields.get(key.encode())
        if not isinstance(value, bytes) or not value:
            raise ValueError(f"The command has no {key}.")
        return value

    def require(self, key: str) -> str:
        """Return the text of `key`, which must be there and of bearable length; raises ValueError."""
        value = self.octets(key)
        if len(value) > MAX_TEXT:
            raise ValueError(f"The {key} is too long.")
        try:
            return value.decode()
        except UnicodeDecodeError:
            raise ValueError(f"The {key} is not UTF-8.") from None

    def text(self, key: str) -> str | None:
        """Return the text of `key`, or None; raises ValueError when it is too long."""
        return self.require(key) if isinstance(self.fields.get(key.encode()), bytes) else None

    def texts(self, key: str) -> tuple[str, ...]:
        """Return the texts in the list of `key`; what is no text is left out."""
        values = self.fields.get(key.encode())
        items = values if isinstance(values, list) else []
        return tuple(item.decode("utf-8", "replace") for item in items if isinstance(item, bytes))

    def number(self, key: str, default: int) -> int:
        """Return the integer of `key`, or `default`."""
        value = self.fields.get(key.encode())
        return value if isinstance(value, int) else default

    def write(self, values: Mapping[str, object]) -> bytes:
        """Return a reply's body in the notation of the command."""
        if not self.as_json:
            return encode(values)
        return json.dumps(values, default=_json_text, separators=(",", ":")).encode()


@dataclass(frozen=True, slots=True)
class MediaCommand:
    """What `offer` and `answer` say beyond the session description."""

    call_id: str
    from_tag: str
    to_tag: str | None
    sdp: bytes
    direction: tuple[Side, Side] | None
    received_from: str | None
    """The IPv4 address that the SIP message came from."""
    origin: bool
    remove_ice: bool
    learn_nat: bool

    @classmethod
    def parse(cls, command: Command) -> Self:
        """Return the fields of an offer or answer; raises ValueError with a sentence."""
        received = command.texts("received-from")
        sdp = command.octets("sdp")
        if len(sdp) > MAX_SDP:
            raise ValueError("The session description is too long.")
        return cls(
            call_id=command.require("call-id"),
            from_tag=command.require("from-tag"),
            to_tag=command.text("to-tag"),
            sdp=sdp,
            direction=_parse_direction(command.texts("direction")),
            received_from=received[1] if len(received) == 2 and received[0] == "IP4" else None,
            origin="origin" in command.texts("replace"),
            remove_ice=command.text("ICE") == "remove",
            learn_nat=NAT_FLAG in command.texts("flags"),
        )


class ReplyCache:
    """Replies by sender and cookie, bounded in number and age."""

    def __init__(self) -> None:
        self._replies: OrderedDict[tuple[Address, bytes], tuple[float, bytes]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._replies)

    def get(self, sender: Address, cookie: bytes, now: float) -> bytes | None:
        """Return the reply that the same datagram got lately, or None."""
        at, reply = self._replies.get((sender, cookie), (now - REPLY_SECONDS, b""))
        return reply if now - at < REPLY_SECONDS else None

    def put(self, sender: Address, cookie: bytes, reply: bytes, now: float) -> None:
        """Remember a reply; the oldest make room."""
        self._replies[sender, cookie] = (now, reply)
        self._replies.move_to_end((sender, cookie))
        while len(self._replies) > MAX_REPLIES or now - next(iter(self._replies.values()))[0] >= REPLY_SECONDS:
            self._replies.popitem(last=False)


def split_cookie(data: bytes) -> tuple[bytes, bytes]:
    """Return the cookie and the rest of a datagram; raises ValueError when there is no cookie to answer with."""
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
    """Write octets as text, the only way JSON has."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    raise TypeError(f"JSON has no notation for {type(value).__name__}.")


def _parse_direction(names: tuple[str, ...]) -> tuple[Side, Side] | None:
    if not names:
        return None
    try:
        first, second = (Side(name) for name in names)
    except ValueError:
        raise ValueError("The direction must name two of the interfaces external and internal.") from None
    return first, second


def _to_octets(value: object) -> object:
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass")
    if isinstance(value, list):
        return [_to_octets(item) for item in value]
    if isinstance(value, dict):
        return {str(key).encode("utf-8", "surrogatepass"): _to_octets(item) for key, item in value.items()}
    return value
