"""A call's messages as the proxy saw them: records for the database, copies for a collector, secrets masked in both."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable
from typing import Literal

from daemonkit.address import Address
from sipproxy.config import SipProxyConfig
from sipproxy.core.events import MessageSeen, ProxyEvent, ReportMade
from sipproxy.sip import Request, Response
from sipproxy.transactions.listener import Listener, Side
from voiceapps.rules.reports import LadderMessage

MAX_LADDER_TEXT = 8_192
MAX_STORED = 500  # messages of one call: as many as its page shows
MAX_COUNTED = 4_096  # calls whose messages are counted: those with the latest messages
# A field up to the end of its line, folds included. The line break before it is a literal, so the search jumps from one to the next.
# Nothing follows the pattern, so it never backtracks. The group must not be possessive: Python 3.11.2 (Debian 12) has a bug there.
_VALUE = rb"(?:[^\r\n]++|\r?\n[ \t]|\r(?!\n))*"
_CREDENTIAL = re.compile(rb"(?i)\n(?:proxy-)?auth(?:orization[ \t]*:(" + _VALUE + rb")|entication-info[ \t]*:" + _VALUE + rb")")
_DIGEST = re.compile(rb"(?i)\s*digest\b")
_PROOF = re.compile(rb'(?is)\b((?:response|rspauth)\s*=\s*)(?:"(?:[^"\\]|\\.)*+"?|[^",\s]*)')
# Controls but for line ends, and characters that change the direction of writing on a page.
_CONTROL_BUT_LINES = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")
_ORDINARY = bytes(range(0x20, 0x7F)) + b"\t\r\n"


class MessageTrace:
    """The messages of calls on their way to the database and to a collector; does nothing where neither wants them."""

    def __init__(self, config: SipProxyConfig, *, wall: Callable[[float], float], tell: Callable[[ProxyEvent], None]) -> None:
        self._stores = config.stores_messages
        self._exports = config.exports_messages
        self._wall = wall
        self._tell = tell
        self._stored: OrderedDict[str, int] = OrderedDict()

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
        """Record a message that came to a listener from `came_from`, or left it for `sent_to`."""
        if not (self._stores or self._exports):
            return
        here = listener.address
        ends = (came_from, here) if sent_to is None else (here, sent_to)
        data, at = masked(bytes(message)), self._wall(now)
        if self._exports:
            self._tell(MessageSeen(call_id, at, listener.transport, *ends, data))
        if self._stores and self._has_room(call_id):
            self._tell(ReportMade(_record(call_id, at, listener, *ends, data)))

    def _has_room(self, call_id: str) -> bool:
        """Count a message of a call; False where it has so many that a peer must be filling the database."""
        count = self._stored[call_id] = self._stored.get(call_id, 0) + 1
        self._stored.move_to_end(call_id)
        if len(self._stored) > MAX_COUNTED:
            self._stored.popitem(last=False)
        return count <= MAX_STORED


def _record(call_id: str, at: float, listener: Listener, source: Address, target: Address, data: bytes) -> LadderMessage:
    text = _readable(data[:MAX_LADDER_TEXT])
    leg: Literal["caller", "callflow"] = "caller" if listener.side is Side.EXTERNAL else "callflow"
    first = text.partition("\r\n")[0]
    return LadderMessage(call_id, at, leg, "{}:{}".format(*source), "{}:{}".format(*target), first, text, listener.transport.value)


def masked(data: bytes) -> bytes:
    """Return a message with its secrets masked: digest responses, and the whole credentials of any other scheme."""
    return _CREDENTIAL.sub(_mask_field, data) if b"auth" in data.lower() else data


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
