"""What the workers of one proxy tell each other, through a socket between each two.

A response may reach the wrong worker: the kernel gives each source port to one, and a peer that answers from another port than it
calls from, as gateways do, reaches a worker that sent no request. The branch names the worker that did, and the datagram goes there.

A nonce may come back to another worker than the one that made it, which alone knows the counts that were used: it is asked for each.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import struct
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from itertools import count

from daemonkit.udp import DATAGRAM_BYTES, DATAGRAMS_PER_WAKE
from sipproxy.admission.nonces import Claim
from sipproxy.aio.limits import MAX_CLAIMS_ASKED
from sipproxy.transactions.branches import worker_of
from sipproxy.transactions.listener import Listener

HANDOVER = "handover"
"""The name of a worker's own socket; with a number, the name of the socket to that worker."""
_BRANCH = re.compile(rb"(?i)^SIP/2\.0 .*?\n(?:via|v)[ \t]*:[^,\n]*?;[ \t]*branch=([0-9A-Za-z]+)", re.DOTALL)
_RESPONSE, _CLAIM, _GRANT = 0, 1, 2
_CLAIM_HEAD = struct.Struct("!BBIQ")  # what it is, who asks, the question's number, the count
_GRANT_HEAD = struct.Struct("!BIB")  # what it is, the question's number, whether it is granted

OnGranted = Callable[[bool | None], None]


class Handover:
    """A worker's sockets to the others; a proxy of one worker has none."""

    def __init__(
        self,
        worker: int,
        listeners: Sequence[Listener],
        on_datagram: Callable[[Listener, bytes], None],
        on_claim: Callable[[Claim], bool],
    ) -> None:
        self.handed_over = 0
        self._worker = worker
        self._listeners = listeners
        self._on_datagram = on_datagram
        self._on_claim = on_claim
        self._own: socket.socket | None = None
        self._others: dict[int, socket.socket] = {}
        self._serial = count()
        self._asked: OrderedDict[int, OnGranted] = OrderedDict()

    def start(self, sockets: Mapping[str, socket.socket]) -> None:
        """Take the sockets that the supervisor has opened for this."""
        self._own = sockets.get(HANDOVER)
        prefix = f"{HANDOVER}-"
        self._others = {int(name.removeprefix(prefix)): sock for name, sock in sockets.items() if name.startswith(prefix)}
        if self._own is not None:
            asyncio.get_running_loop().add_reader(self._own, self._drain)

    def stop(self) -> None:
        """Close the sockets."""
        if self._own is not None:
            asyncio.get_running_loop().remove_reader(self._own)
            self._own.close()
        for sock in self._others.values():
            sock.close()

    def take(self, listener: Listener, data: bytes) -> bool:
        """Hand a response of another worker over. Returns whether it was one. A full socket loses it, as UDP may."""
        if not self._others or not data.startswith(b"SIP/2.0 "):
            return False
        found = _BRANCH.match(data)
        number = worker_of(found[1].decode("ascii")) if found else None
        if number is None or number not in self._others:
            return False
        self.handed_over += 1
        self._send(number, bytes((_RESPONSE, self._listeners.index(listener))) + data)
        return True

    def ask(self, claim: Claim, on_granted: OnGranted) -> None:
        """Ask the worker that made a nonce for one of its counts; None where there is no such worker. A full socket loses it."""
        if claim.worker is None or claim.worker not in self._others:
            on_granted(None)
            return
        number = next(self._serial) & 0xFFFFFFFF
        self._asked[number] = on_granted
        if len(self._asked) > MAX_CLAIMS_ASKED:
            # Its answer was lost long ago, and nobody waits for it any more.
            self._asked.popitem(last=False)
        text = "\n".join((claim.nonce, *claim.use)).encode("utf-8", "surrogateescape")
        self._send(claim.worker, _CLAIM_HEAD.pack(_CLAIM, self._worker, number, claim.count) + text)

    def _send(self, worker: int, data: bytes) -> None:
        with contextlib.suppress(OSError):
            self._others[worker].send(data)

    def _drain(self) -> None:
        for _ in range(DATAGRAMS_PER_WAKE):
            if self._own is None:
                return
            try:
                data = self._own.recv(DATAGRAM_BYTES + 2)
            except BlockingIOError:
                return
            self._receive(data)

    def _receive(self, data: bytes) -> None:
        kind = data[0] if data else _RESPONSE
        if kind == _CLAIM:
            self._answer(data)
        elif kind == _GRANT:
            _, number, granted = _GRANT_HEAD.unpack(data)
            on_granted = self._asked.pop(number, None)
            if on_granted is not None:
                on_granted(bool(granted))
        elif len(data) > 1 and data[1] < len(self._listeners):
            self._on_datagram(self._listeners[data[1]], data[2:])

    def _answer(self, data: bytes) -> None:
        _, asker, number, claimed = _CLAIM_HEAD.unpack_from(data)
        nonce, call_id, cseq, branch = data[_CLAIM_HEAD.size :].decode("utf-8", "surrogateescape").split("\n")
        granted = self._on_claim(Claim(nonce, claimed, (call_id, cseq, branch), self._worker))
        if asker in self._others:
            self._send(asker, _GRANT_HEAD.pack(_GRANT, number, granted))
