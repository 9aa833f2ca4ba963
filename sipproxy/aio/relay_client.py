"""The client of the relays' ng protocol: one datagram per command, with a cookie that matches its answer.

A command without an answer is repeated with the same cookie, so the relay executes it once. Each relay is pinged. A relay that
misses its pings gets no new calls until it answers again, nor does one whose answers say that it drains; the commands of its calls
still go to it.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge

from daemonkit.address import Address
from daemonkit.rounds import Rounds
from daemonkit.udp import UdpEndpoint
from mediarelay.ng import bencode
from sipproxy.aio.relay_turns import RelayTurns
from sipproxy.config import Relay

REPEAT_SECONDS = (0.25, 0.5, 1.0)
PING_SECONDS = 1.0
SEARCH_SECONDS = 0.25
MISSED_PINGS = 2
MAX_PENDING = 10_000

NgReply = dict[bytes, object]
OnReply = Callable[[NgReply | None], None]

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Pending:
    """A command that waits for its answer."""

    relay: Address
    datagram: bytes
    on_reply: OnReply | None
    repeats: int = 0
    timer: asyncio.TimerHandle | None = None


class RelayClient:
    """The commands that wait for an answer, and which relays live."""

    def __init__(self, relays: tuple[Relay, ...], *, bind_host: str, registry: CollectorRegistry) -> None:
        self._turns = RelayTurns(relays)
        self._missed = {relay.address: MISSED_PINGS for relay in relays}
        self._heard = dict.fromkeys(self._missed, 0)
        self._draining: set[Address] = set()
        self._pings = 0
        self._endpoint = UdpEndpoint((bind_host, 0), self._on_datagram)
        self._pending: dict[bytes, _Pending] = {}
        self._rounds = Rounds("relay_pings", self._ping, lambda: PING_SECONDS if self._live() else SEARCH_SECONDS)
        self._timeouts = Counter("sipuri_relay_timeouts", "ng commands that no relay answered", registry=registry)
        Gauge("sipuri_relay_commands", "ng commands that wait for an answer", registry=registry).set_function(lambda: len(self._pending))
        lives = Gauge("sipuri_relay_live", "Whether a relay answers its pings", ["relay"], registry=registry)
        for relay in self._missed:
            lives.labels("{}:{}".format(*relay)).set_function(partial(self._is_live, relay))

    def start(self) -> None:
        """Open the socket and start pinging."""
        self._endpoint.open()
        self._rounds.start()

    def stop(self) -> None:
        """Stop pinging and close the socket."""
        self._rounds.stop()
        for pending in self._pending.values():
            if pending.timer:
                pending.timer.cancel()
        self._pending.clear()
        self._endpoint.close()

    def ready(self) -> bool:
        """Return whether any relay takes new calls."""
        return bool(self._open())

    def choose(self, tried: Collection[Address] = ()) -> Address | None:
        """Return the relay whose turn it is among those that take new calls and were not `tried`, None when there is none."""
        return self._turns.next([relay for relay in self._open() if relay not in tried])

    def send(self, relay: Address, command: Mapping[str, object], on_reply: OnReply | None) -> None:
        """Send a command; `on_reply` gets the answer's dictionary, or None if no answer came in time. Without it the answer is not read."""
        if len(self._pending) >= MAX_PENDING:
            if on_reply:
                on_reply(None)
            return
        cookie = secrets.token_hex(8).encode()
        pending = _Pending(relay, cookie + b" " + bencode.encode(command), on_reply)
        self._pending[cookie] = pending
        self._transmit(cookie, pending)

    def _live(self) -> list[Address]:
        return [relay for relay in self._missed if self._is_live(relay)]

    def _open(self) -> list[Address]:
        return [relay for relay in self._live() if relay not in self._draining]

    def _is_live(self, relay: Address) -> bool:
        return self._missed[relay] < MISSED_PINGS

    def _transmit(self, cookie: bytes, pending: _Pending) -> None:
        self._endpoint.send(pending.datagram, pending.relay)
        wait = REPEAT_SECONDS[pending.repeats]
        pending.timer = asyncio.get_running_loop().call_later(wait, self._on_silence, cookie)

    def _on_silence(self, cookie: bytes) -> None:
        pending = self._pending[cookie]
        pending.repeats += 1
        if pending.repeats < len(REPEAT_SECONDS):
            self._transmit(cookie, pending)
            return
        del self._pending[cookie]
        self._timeouts.inc()
        if pending.on_reply:
            pending.on_reply(None)

    def _on_datagram(self, data: bytes, address: Address) -> None:
        cookie, _, body = data.partition(b" ")
        pending = self._pending.get(cookie)
        if pending is None or pending.relay != address:
            return
        reply = _read(body, address) if pending.on_reply else {}
        if reply is None:
            return
        del self._pending[cookie]
        if pending.timer:
            pending.timer.cancel()
        if pending.on_reply:
            pending.on_reply(reply)

    def _ping(self) -> None:
        self._pings += 1
        for relay in self._missed:
            self.send(relay, {"command": "ping"}, partial(self._on_pong, relay, self._pings))

    def _on_pong(self, relay: Address, number: int, reply: NgReply | None) -> None:
        if reply is not None and reply.get(b"result") == b"pong":
            self._missed[relay] = 0
            if number > self._heard[relay]:
                self._heard[relay] = number
                (self._draining.add if b"sipuri-draining" in reply else self._draining.discard)(relay)
        elif number > self._heard[relay]:
            # An older ping that times out now says nothing about a relay that has come up since.
            self._missed[relay] += 1


def _read(body: bytes, relay: Address) -> NgReply | None:
    """Return an answer's dictionary, None if it is malformed: the command is then repeated."""
    try:
        reply = bencode.decode(body)
    except ValueError as error:
        log.warning("relay_answer_malformed", relay=relay, error=str(error))
        return None
    return reply if isinstance(reply, dict) else None
