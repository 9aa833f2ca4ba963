"""A netlink socket: the kernel answers while it is asked, so a request and its answers are one call."""

from __future__ import annotations

import errno
import os
import socket

from mediarelay.kernel.messages import DONE, Message

ROUTE, XFRM, NETFILTER = 0, 6, 12
READ_OCTETS = 1 << 17
SEND_BUFFER_OCTETS = 4 << 20


class KernelRefused(Exception):
    """The kernel has refused a request; the text is its reason."""

    def __init__(self, number: int) -> None:
        super().__init__(os.strerror(number))
        self.number = number


class NetlinkSocket:
    """A socket of one netlink family that also receives the notices of `groups`; raises OSError if the system lacks the family."""

    def __init__(self, family: int, groups: int = 0) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, family)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_OCTETS)
        self._socket.setblocking(False)
        self._socket.bind((0, groups))
        self._sequence = 0

    def fileno(self) -> int:
        """Return the descriptor, for an event loop."""
        return self._socket.fileno()

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def next_sequence(self) -> int:
        """Return a new sequence number, which ties answers to their request."""
        self._sequence += 1
        return self._sequence

    def ask(self, question: bytes) -> list[Message]:
        """Send a request whose messages carry the last number; return its answers. Raises KernelRefused and NetlinkError."""
        try:
            self._socket.send(question)
            # In some versions the notice of a change of our own carries no number.
            answers = [message for message in self._read_all() if message.sequence in (self._sequence, 0)]
        except OSError as error:
            # ENOBUFS here means that answers were lost, perhaps a refusal among them.
            raise KernelRefused(error.errno or errno.EIO) from error
        for answer in answers:
            if answer.error:
                raise KernelRefused(answer.error)
        return [answer for answer in answers if answer.error is None and answer.kind != DONE]

    def read(self) -> list[Message]:
        """Return the notices that have come, perhaps none. Raises NetlinkError."""
        try:
            return self._receive()
        except OSError as error:
            # Copies that were not read in time are lost, and the kernel reports it.
            if error.errno != errno.ENOBUFS:
                raise
            return []

    def _read_all(self) -> list[Message]:
        found: list[Message] = []
        while messages := self._receive():
            found.extend(messages)
        return found

    def _receive(self) -> list[Message]:
        try:
            return list(Message.parse_all(self._socket.recv(READ_OCTETS)))
        except BlockingIOError:
            return []
