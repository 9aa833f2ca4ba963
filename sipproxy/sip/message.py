"""SIP messages as received lines plus edits.

A proxy edits a message, it does not rebuild one. A `Message` keeps every header field as the bytes that came (folds and
odd spacing included) beside the field's key (`names.py`). What is not touched leaves as it came, in the same order.
Typed values (`top_via`, `from_`, `to`, `cseq`, `uri`) are parsed when first asked for and kept until an edit of that field.

    request = parse_message(data)              # parser.py; raises PeerError
    request.header("Call-ID")                  # first value, any spelling
    forwarded = request.copy()
    forwarded.remove_if(lambda key: key.startswith("x-"))
    forwarded.prepend("Via", str(via))
    bytes(forwarded)

Texts are UTF-8 with `surrogateescape`.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Any, Self, TypeVar

from sipproxy.sip.cseq import CSeq
from sipproxy.sip.errors import PeerError, UsageError
from sipproxy.sip.grammar import has_line_break, is_token, split_values
from sipproxy.sip.memo import remembered
from sipproxy.sip.nameaddr import NameAddr
from sipproxy.sip.names import SPELLED, key
from sipproxy.sip.status import reason_phrase
from sipproxy.sip.uri import SipUri
from sipproxy.sip.via import Via

_FOLD = re.compile(rb"[ \t]*+\r\n[ \t]++")
_COPIED = ("via", "from", "to", "call-id", "cseq")
_M = TypeVar("_M", bound="Message")

Headers = Iterable[tuple[str, str]]


class Message(ABC):
    """What requests and responses share: header fields and a body."""

    __slots__ = ("_keys", "_lines", "_typed", "body")

    def __init__(self, keys: list[str], lines: list[bytes], body: bytes) -> None:
        self._keys = keys
        self._lines = lines
        self._typed: dict[str, Any] = {}
        self.body = body

    def fill(self, keys: list[str], lines: list[bytes]) -> None:
        """Take header fields as received; `keys` and `lines` run in parallel."""
        self._keys, self._lines = keys, lines

    @abstractmethod
    def _start_line(self) -> bytes: ...

    def __bytes__(self) -> bytes:
        return b"\r\n".join((self._start_line(), *self._lines, b"", self.body))

    # Reading.

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of all header fields in order."""
        return tuple(self._keys)

    def header(self, name: str) -> str | None:
        """Return the first field's value, unfolded and stripped; None where there is no such field."""
        return self._first(key(name))

    def headers(self, name: str) -> list[str]:
        """Return the value of each field of this name, in order."""
        wanted, keys = key(name), self._keys
        if wanted not in keys:
            return []
        return [_value(self._lines[index]) for index, held in enumerate(keys) if held == wanted]

    def values(self, name: str) -> list[str]:
        """Return all values of a list header such as Via or Route, commas split, in order."""
        return [value for text in self.headers(name) for value in split_values(text)]

    def count(self, name: str) -> int:
        """Return how many fields have this name."""
        return self._keys.count(key(name))

    def not_single(self, held: Iterable[str]) -> str | None:
        """Return the first of these keys that does not occur exactly once, None if all do."""
        count = self._keys.count
        return next((name for name in held if count(name) != 1), None)

    @property
    def call_id(self) -> str:
        """The Call-ID (RFC 3261 20.8)."""
        held: str | None = self._typed.get("call-id")
        if held is None:
            held = self._typed["call-id"] = self._first("call-id") or ""
        return held

    @property
    def cseq(self) -> CSeq:
        """The CSeq."""
        held: CSeq | None = self._typed.get("cseq")
        if held is None:
            held = self._typed["cseq"] = _read_cseq(self._line_of("cseq"))
        return held

    @property
    def from_(self) -> NameAddr:
        """The From address."""
        held: NameAddr | None = self._typed.get("from")
        if held is None:
            held = self._typed["from"] = _read_address(self._line_of("from"))
        return held

    @property
    def to(self) -> NameAddr:
        """The To address."""
        held: NameAddr | None = self._typed.get("to")
        if held is None:
            held = self._typed["to"] = _read_address(self._line_of("to"))
        return held

    @property
    def top_via(self) -> Via:
        """The topmost Via value."""
        held: Via | None = self._typed.get("via")
        if held is None:
            held = self._typed["via"] = _read_via(self._line_of("via"))
        return held

    @property
    def contact(self) -> NameAddr | None:
        """The first Contact address, None where there is none."""
        text = self.header("contact")
        return None if text is None else NameAddr.parse(split_values(text)[0])

    def _first(self, wanted: str) -> str | None:
        try:
            return _value(self._lines[self._keys.index(wanted)])
        except ValueError:
            return None

    def _line_of(self, wanted: str) -> bytes:
        try:
            return self._lines[self._keys.index(wanted)]
        except ValueError:
            raise PeerError(400, f"Missing {wanted.title()}") from None

    # Editing.

    def append(self, name: str, value: str) -> None:
        """Add a field at the end."""
        added = key(name)
        self._keys.append(added)
        self._lines.append(_line(name, value))
        self._typed.pop(added, None)

    def prepend(self, name: str, value: str) -> None:
        """Add a field before the first of its name; at the very top where there is none."""
        wanted = key(name)
        position = self._keys.index(wanted) if wanted in self._keys else 0
        self._keys.insert(position, wanted)
        self._lines.insert(position, _line(name, value))
        self._typed.pop(wanted, None)

    def replace(self, name: str, value: str) -> None:
        """Replace the value of the first field of this name; add a field at the end where there is none.

        Further fields of the same name go.
        """
        wanted = key(name)
        if wanted not in self._keys:
            self.append(name, value)
            return
        position = self._keys.index(wanted)
        self._lines[position] = _line(name, value)
        self._drop(wanted, position + 1)

    def replace_values(self, name: str, values: list[str]) -> None:
        """Replace a list header by these values, one field each, where its first field stood."""
        wanted = key(name)
        position = self._keys.index(wanted) if wanted in self._keys else len(self._keys)
        self._drop(wanted, position)
        self._keys[position:position] = [wanted] * len(values)
        self._lines[position:position] = [_line(name, value) for value in values]

    def replace_top_value(self, name: str, value: str | None) -> None:
        """Replace the first value of a list header, or remove it (None); the other values stay as they are."""
        wanted = key(name)
        if wanted not in self._keys:
            raise UsageError(f"There is no {name} to replace.")
        position = self._keys.index(wanted)
        rest = split_values(_value(self._lines[position]))[1:]
        texts = ([] if value is None else [value]) + ([", ".join(rest)] if rest else [])
        self._keys[position : position + 1] = [wanted] * len(texts)
        self._lines[position : position + 1] = [_line(name, text) for text in texts]
        self._typed.pop(wanted, None)

    def remove(self, name: str) -> None:
        """Remove every field of this name."""
        self._drop(key(name), 0)

    def _drop(self, wanted: str, start: int) -> None:
        """Remove the fields of one key from a position on."""
        keys = self._keys
        self._typed.pop(wanted, None)
        while wanted in keys[start:]:
            position = keys.index(wanted, start)
            del keys[position], self._lines[position]

    def remove_if(self, unwanted: Callable[[str], bool]) -> None:
        """Remove every field whose key the function names."""
        gone = {held for held in set(self._keys) if unwanted(held)}
        if not gone:
            return
        kept = [index for index, held in enumerate(self._keys) if held not in gone]
        self._keys = [self._keys[index] for index in kept]
        self._lines = [self._lines[index] for index in kept]
        for held in gone:
            self._typed.pop(held, None)

    def set_body(self, body: bytes, content_type: str | None = None) -> None:
        """Replace the body with its Content-Length, and the Content-Type where one is given."""
        self.body = body
        if content_type is not None:
            self.replace("Content-Type", content_type)
        self.replace("Content-Length", str(len(body)))

    def _copy_into(self, other: _M) -> _M:
        other._keys = self._keys.copy()
        other._lines = self._lines.copy()
        other._typed = self._typed.copy()
        other.body = self.body
        return other


class Request(Message):
    """A request; `uri_text` is the Request-URI as it came."""

    __slots__ = ("method", "uri_text")

    def __init__(self, method: str, uri_text: str, keys: list[str], lines: list[bytes], body: bytes) -> None:
        super().__init__(keys, lines, body)
        self.method = method
        self.uri_text = uri_text

    @classmethod
    def build(cls, method: str, uri: str, headers: Headers, body: bytes = b"") -> Self:
        """Make a request of our own; Content-Length is added."""
        if not is_token(method) or has_line_break(uri) or " " in uri:
            raise UsageError("A start line must not hold spaces or line breaks.")
        pairs = list(headers)
        made = cls(method, uri, [key(name) for name, _ in pairs], [_line(name, value) for name, value in pairs], body)
        made.replace("Content-Length", str(len(body)))
        return made

    @property
    def uri(self) -> SipUri:
        """The Request-URI in parts; PeerError 416 where it is no SIP URI."""
        held: SipUri | None = self._typed.get("")
        if held is None:
            held = self._typed[""] = _read_uri(self.uri_text)
        return held

    @property
    def top_route(self) -> SipUri | None:
        """The URI of the topmost Route, None where there is none that can be read."""
        try:
            return _read_route(self._lines[self._keys.index("route")])
        except (PeerError, ValueError):
            return None

    def set_uri(self, uri: str) -> None:
        """Replace the Request-URI."""
        if has_line_break(uri) or " " in uri:
            raise UsageError("A Request-URI must not hold spaces or line breaks.")
        self.uri_text = uri
        self._typed.pop("", None)

    @property
    def max_forwards(self) -> int | None:
        """Max-Forwards, None where it is absent; PeerError 400 beyond 0 to 255."""
        text = self.header("max-forwards")
        if text is None:
            return None
        if not (text.isascii() and text.isdigit()) or len(text) > 10 or int(text) > 255:
            raise PeerError(400, "Bad Max-Forwards")
        return int(text)

    def copy(self) -> Request:
        """Return a copy whose edits leave this message alone."""
        return self._copy_into(Request(self.method, self.uri_text, [], [], b""))

    def make_response(self, status: int, reason: str | None = None, *, to_tag: str | None = None) -> Response:
        """Return an empty response with this request's Via, From, To, Call-ID and CSeq (RFC 3261 8.2.6).

        `to_tag` is added to a To that has none.
        """
        kept = [index for index, held in enumerate(self._keys) if held in _COPIED]
        keys, lines = [self._keys[index] for index in kept], [self._lines[index] for index in kept]
        response = Response(status, reason or reason_phrase(status), keys, lines, b"")
        if to_tag is not None and not self.to.tag:
            response.replace("To", str(self.to.with_tag(to_tag)))
        response.append("Content-Length", "0")
        return response

    def _start_line(self) -> bytes:
        return f"{self.method} {self.uri_text} SIP/2.0".encode("utf-8", "surrogateescape")


class BadRequestError(PeerError):
    """A request that is unusable, but whole enough to be answered without any state."""

    def __init__(self, error: PeerError, request: Request) -> None:
        super().__init__(error.status, error.reason)
        self.request = request


class Response(Message):
    """A response."""

    __slots__ = ("reason", "status")

    def __init__(self, status: int, reason: str, keys: list[str], lines: list[bytes], body: bytes) -> None:
        super().__init__(keys, lines, body)
        self.status = status
        self.reason = reason

    @classmethod
    def build(cls, status: int, headers: Headers, body: bytes = b"", *, reason: str | None = None) -> Self:
        """Make a response from parts; Content-Length is added. `Request.make_response` is the usual way."""
        pairs = list(headers)
        keys, lines = [key(name) for name, _ in pairs], [_line(name, value) for name, value in pairs]
        made = cls(status, reason or reason_phrase(status), keys, lines, body)
        made.replace("Content-Length", str(len(body)))
        return made

    @property
    def is_final(self) -> bool:
        """True if its status is 200 or above."""
        return self.status >= 200

    def copy(self) -> Response:
        """Return a copy whose edits leave this message alone."""
        return self._copy_into(Response(self.status, self.reason, [], [], b""))

    def _start_line(self) -> bytes:
        return f"SIP/2.0 {self.status} {self.reason}".encode("utf-8", "surrogateescape")


# Cached by the line as it came, so a known line costs neither decoding nor parsing.


@remembered
def _read_address(line: bytes) -> NameAddr:
    return NameAddr.parse(_value(line))


@remembered
def _read_cseq(line: bytes) -> CSeq:
    return CSeq.parse(_value(line))


@remembered
def _read_route(line: bytes) -> SipUri:
    return NameAddr.parse(split_values(_value(line))[0]).sip_uri


@remembered
def _read_uri(text: str) -> SipUri:
    return SipUri.parse(text)


@remembered
def _read_via(line: bytes) -> Via:
    return Via.parse(split_values(_value(line))[0])


def _value(line: bytes) -> str:
    raw = line.partition(b":")[2]
    if b"\r\n" in raw:
        raw = _FOLD.sub(b" ", raw)
    return raw.strip(b" \t").decode("utf-8", "surrogateescape")


def _line(name: str, value: str) -> bytes:
    if has_line_break(value) or not (name in SPELLED or is_token(name)):
        raise UsageError(f"The header {name} must not hold line breaks.")
    return f"{name}: {value}".encode("utf-8", "surrogateescape")
