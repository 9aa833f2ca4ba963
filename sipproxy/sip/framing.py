"""The messages in a stream (RFC 3261 18.3).

A message in a stream ends where its Content-Length says. After a message without one, or with a malformed one, nothing that
follows can be read, and the connection has to be closed.
"""

from __future__ import annotations

import re

from sipproxy.sip.errors import PeerError
from sipproxy.sip.limits import MAX_DATAGRAM, MAX_STREAM_HEAD

PING = b"\r\n\r\n"
"""What `feed` returns for a keep-alive that wants an answer (RFC 5626 3.5.1)."""
PONG = b"\r\n"
_LENGTH = re.compile(rb"\r\n(?:content-length|l)[ \t]*:(?:[ \t]|\r\n[ \t])*([^\r\n]*)", re.IGNORECASE)


class StreamFraming:
    """The octets of a message that is not complete yet."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._head_end = -1
        self._length = 0

    @property
    def is_between_messages(self) -> bool:
        """True if no octet of a further message has come."""
        return not self._buffer

    def feed(self, data: bytes) -> list[bytes]:
        """Take octets and return the messages and pings that are complete. Raises PeerError if the stream cannot be read any further."""
        self._buffer += data
        complete: list[bytes] = []
        while (message := self._next()) is not None:
            complete.append(message)
        return complete

    def _next(self) -> bytes | None:
        if self._head_end < 0:
            if ping := self._skip_blank_lines():
                return ping
            if not self._read_head():
                return None
        end = self._head_end + self._length
        if len(self._buffer) < end:
            return None
        message = bytes(self._buffer[:end])
        del self._buffer[:end]
        self._head_end = -1
        return message

    def _skip_blank_lines(self) -> bytes | None:
        while self._buffer.startswith(b"\r\n"):
            if self._buffer.startswith(PING):
                del self._buffer[: len(PING)]
                return PING
            if len(self._buffer) < len(PING):
                return None
            del self._buffer[:2]
        return None

    def _read_head(self) -> bool:
        separator = self._buffer.find(b"\r\n\r\n")
        if separator < 0 or separator > MAX_STREAM_HEAD:
            if len(self._buffer) > MAX_STREAM_HEAD:
                raise PeerError(513, "Message Too Large")
            return False
        lengths = {value.strip() for value in _LENGTH.findall(self._buffer[:separator])}
        if len(lengths) != 1:
            raise PeerError(400, "One Content-Length Is Needed On A Stream")
        text = lengths.pop()
        if not text.isdigit() or len(text) > 10:
            raise PeerError(400, "Bad Content-Length")
        self._head_end, self._length = separator + 4, int(text)
        if self._head_end + self._length > MAX_DATAGRAM:
            raise PeerError(513, "Message Too Large")
        return True
