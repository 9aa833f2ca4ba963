"""A call's messages as the proxy saw them: records for the database, copies for a collector, secrets masked in both, digits if wanted."""

from __future__ import annotations

import re
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from daemonkit.address import Address
from sipproxy.config import SipProxyConfig
from sipproxy.core.events import MessageSeen, ProxyEvent, ReportMade
from sipproxy.sip import Request, Response
from sipproxy.transactions.listener import Listener, Side
from voiceapps.rules.reports import LadderMessage

MAX_LADDER_TEXT = 8_192
MAX_FIRST = 400  # messages of one call that are stored as they come
MAX_LAST = 16  # that are kept beyond these, and stored when the call ends: the end of a call is what people look for
MAX_STORED = 500  # messages of one call: as many as its page shows
MAX_COUNTED = 4_096  # calls whose messages are counted: those with the latest messages
MAX_RINGS = 256  # calls whose last messages are kept
# A field up to the end of its line, folds included. The line break before it is a literal, so the search jumps from one to the next.
# Nothing follows the pattern, so it never backtracks. The group must not be possessive: Python 3.11.2 (Debian 12) has a bug there.
_VALUE = rb"(?:[^\r\n]++|\r?\n[ \t]|\r(?!\n))*"
_CREDENTIAL = re.compile(rb"(?i)\n(?:proxy-)?auth(?:orization[ \t]*:(" + _VALUE + rb")|entication-info[ \t]*:" + _VALUE + rb")")
_OF_OPTIONS = re.compile(rb"(?i)\ncseq[ \t]*:[ \t]*\d++[ \t]++OPTIONS")
_DIGEST = re.compile(rb"(?i)\s*digest\b")
_PROOF = re.compile(rb'(?is)\b((?:response|rspauth)\s*=\s*)(?:"(?:[^"\\]|\\.)*+"?|[^",\s]*)')
# Keys of encrypted media (RFC 4568, RFC 4567), up to the end of a key.
_MEDIA_KEY = re.compile(rb"(?i)\b(inline:|key-mgmt:[a-z]++[ \t]++)[^\s|;]++")
# Controls but for line ends, and characters that change the direction of writing on a page.
_CONTROL_BUT_LINES = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")
_NO_LINE_END = re.compile(rb"[^\r\n]")
# Their bodies are session descriptions. An INFO's is a digit, and no other request's is of use to a reader of the trace.
_DESCRIBING = (b"INVITE ", b"ACK ", b"PRACK ", b"UPDATE ", b"SIP/2.0 ")
_ORDINARY = bytes(range(0x20, 0x7F)) + b"\t\r\n"


@dataclass(slots=True)
class _Stored:
    """How much of one call is stored."""

    count: int = 0
    """Its messages so far."""
    keepalives: dict[Side, int] = field(default_factory=dict)
    """The CSeq number of the first OPTIONS on each leg."""
    is_over: bool = False
    """Whether it has ended."""

    def folds(self, message: Request | Response | bytes, side: Side) -> bool:
        """Return whether a message belongs to a later keep-alive than the first one of its leg."""
        if isinstance(message, bytes):
            return side in self.keepalives and _OF_OPTIONS.search(message) is not None
        method = message.method if isinstance(message, Request) else message.cseq.method
        return method == "OPTIONS" and self.keepalives.setdefault(side, message.cseq.number) != message.cseq.number


class MessageTrace:
    """The messages of calls on their way to the database and to a collector; does nothing where neither wants them."""

    def __init__(
        self,
        config: SipProxyConfig,
        *,
        wall: Callable[[float], float],
        tell: Callable[[ProxyEvent], None],
        shows_digits: Callable[[str], bool],
    ) -> None:
        self._stores = config.stores_messages
        self._exports = config.exports_messages
        self._wall = wall
        self._tell = tell
        self._shows_digits = shows_digits
        self._stored: OrderedDict[str, _Stored] = OrderedDict()
        self._rings: OrderedDict[str, deque[LadderMessage]] = OrderedDict()

    def trace(
        self,
        call_id: str,
        listener: Listener,
        message: Request | Response | bytes,
        now: float,
        *,
        came_from: Address = ("", 0),
        sent_to: Address | None = None,
    ) -> None:
        """Record a message that came to a listener from `came_from`, or left it for `sent_to`.

        The database gets the first keep-alive (OPTIONS) of a call on each leg, with its answers, and none of the later ones.
        """
        stored = self._count(call_id) if self._stores else None
        if stored is not None and stored.folds(message, listener.side):
            stored = None
        if stored is None and not self._exports:
            return
        here = listener.address
        ends = (came_from, here) if sent_to is None else (here, sent_to)
        data, at = masked(bytes(message)), self._wall(now)
        if _may_hold_digit(data) and not self._shows_digits(call_id):
            data = without_digits(data)
        if self._exports:
            self._tell(MessageSeen(call_id, at, listener.transport, *ends, data))
        if stored is not None:
            self._store(_record(call_id, at, listener, *ends, data), stored)

    def finish(self, call_id: str) -> None:
        """Store the last messages of a call that ends; what still comes is stored as it comes."""
        stored = self._stored.get(call_id)
        if stored is None:
            return
        stored.is_over = True
        for record in self._rings.pop(call_id, ()):
            self._store(record, stored)

    def _count(self, call_id: str) -> _Stored:
        """Return what is known of a call's messages; those of the calls that were quiet longest are forgotten."""
        stored = self._stored.get(call_id)
        if stored is None:
            stored = self._stored[call_id] = _Stored()
            if len(self._stored) > MAX_COUNTED:
                self._stored.popitem(last=False)
        self._stored.move_to_end(call_id)
        return stored

    def _store(self, record: LadderMessage, stored: _Stored) -> None:
        """Store a message, keep it for the end of its call, or drop it where a peer must be filling the database."""
        if stored.count < (MAX_STORED if stored.is_over else MAX_FIRST):
            stored.count += 1
            self._tell(ReportMade(record))
        elif not stored.is_over:
            self._rings.setdefault(record.call_id, deque(maxlen=MAX_LAST)).append(record)
            self._rings.move_to_end(record.call_id)
            if len(self._rings) > MAX_RINGS:
                self._rings.popitem(last=False)


def _record(call_id: str, at: float, listener: Listener, source: Address, target: Address, data: bytes) -> LadderMessage:
    text = _readable(data[:MAX_LADDER_TEXT])
    leg: Literal["caller", "callflow"] = "caller" if listener.side is Side.EXTERNAL else "callflow"
    first = text.partition("\r\n")[0]
    return LadderMessage(call_id, at, leg, "{}:{}".format(*source), "{}:{}".format(*target), first, text, listener.transport.value)


def masked(data: bytes) -> bytes:
    """Return a message with its secrets masked: digest responses, the whole credentials of any other scheme, and keys of media."""
    lower = data.lower()
    if b"auth" in lower:
        data = _CREDENTIAL.sub(_mask_field, data)
    if b"inline:" in lower or b"key-mgmt:" in lower:
        data = _MEDIA_KEY.sub(rb"\1***", data)
    return data


def without_digits(data: bytes) -> bytes:
    """Return a message with each octet of its body replaced by an asterisk; lines stay lines."""
    head, empty_line, body = data.partition(b"\r\n\r\n")
    return head + empty_line + _NO_LINE_END.sub(b"*", body)


def _may_hold_digit(data: bytes) -> bool:
    return not data.startswith(_DESCRIBING)


def _mask_field(field: re.Match[bytes]) -> bytes:
    value = field[1]
    if value and not _DIGEST.match(value):
        return bytes(field[0].removesuffix(value) + b" ***")
    return bytes(_PROOF.sub(rb'\1"***"', field[0]))


def _readable(data: bytes) -> str:
    """Return a message as text for a page: lines stay lines."""
    if not data.translate(None, _ORDINARY):
        return data.decode("ascii")
    return _CONTROL_BUT_LINES.sub("\ufffd", data.decode("utf-8", "replace"))
