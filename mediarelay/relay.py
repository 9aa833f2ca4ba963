"""The relay's core: ng commands in, session descriptions out, and a table of flows for the packets in between.

Theory of operation. Commands come in through `receive_datagram`, replies leave through `datagrams_to_send`. A command
that needs ports asks for them by `PairWanted` events, one at a time; requests to the kernel are the events of
`mediarelay.kernel.events`. The reply is queued once all is done. The shell therefore handles events until there are none
before it feeds the next datagram. Media never passes through the queues: `receive_media` looks up the flow of the local
port and returns the flow to send from, and the shell sends.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial

from daemonkit.address import Address
from mediarelay.config import RelayConfig
from mediarelay.core.addresses import Side
from mediarelay.core.events import EndCause, Event
from mediarelay.core.flow import Buffer, Flow
from mediarelay.core.journal import JournalEntry, entry_of, flows_of, resume
from mediarelay.core.sessions import SessionTable
from mediarelay.kernel.flow import KernelFlow
from mediarelay.kernel.offload import Offload
from mediarelay.ng.commands import Commands, NgReply, Request
from mediarelay.ng.control import Command, ReplyCache, split_cookie
from voiceapps.rules.media_figures import MediaFigures


class MediaRelay:
    """One relay; `choose(n)` returns a random number below n, `epoch` is the Unix time at moment 0."""

    def __init__(self, config: RelayConfig, *, choose: Callable[[int], int], epoch: float = 0.0) -> None:
        self.table = SessionTable(config, choose)
        self._commands = Commands(config, self.table, self._respond, epoch)
        self._replies = ReplyCache()
        self._outbox: list[tuple[bytes, Address]] = []
        self.commands: Counter[tuple[str, str]] = Counter()
        self.malformed_commands = 0

    @property
    def offload(self) -> Offload:
        """What the kernel carries; the shell answers its events here."""
        return self.table.offload

    @property
    def ignored(self) -> Counter[str]:
        """Counts by name the keys and flags of commands that change nothing here."""
        return self._commands.ignored

    def receive_datagram(self, data: bytes, addr: Address, now: float) -> None:
        """Take one ng datagram; never raises on what a peer sent."""
        try:
            cookie, body = split_cookie(data)
        except ValueError:
            self.malformed_commands += 1
            return
        known = self._replies.get(addr, cookie, now)
        if known is not None:
            self._outbox.append((known, addr))
            return
        self._run(addr, cookie, body, now)

    def receive_media(self, local: Address, data: Buffer, size: int, source: Address, now: float) -> Flow | None:
        """Take one datagram of `size` octets that came to a media port; return the flow to send it from, or None."""
        flow = self.table.flows.get(local)
        if flow is not None:
            return flow.receive(data, size, source, now)
        self.table.note_late(local, now)
        return None

    def datagrams_to_send(self) -> list[tuple[bytes, Address]]:
        """Return the replies that are ready, each with its receiver."""
        outbox, self._outbox = self._outbox, []
        return outbox

    def next_event(self) -> Event | None:
        """Return the next event, or None."""
        return self.table.next_event()

    def has_events(self) -> bool:
        """Return whether `next_event` would return an event."""
        return self.table.has_events()

    def get_timer(self) -> float | None:
        """Return when `handle_timer` is to be called, or None."""
        return self.table.next_due()

    def handle_timer(self, now: float) -> None:
        """Do what is due."""
        self.table.handle_timer(now)

    def port_bound(self, side: Side, port: int, now: float) -> None:
        """Report that the pair of a `PairWanted` is bound."""
        self.table.allocator.port_bound(side, port, now)

    def port_failed(self, side: Side, port: int, now: float) -> None:
        """Report that the pair of a `PairWanted` cannot be bound."""
        self.table.allocator.port_failed(side, port, now)

    def drain(self) -> None:
        """Refuse offers for new calls from now on."""
        self._commands.draining = True

    def resume(self) -> None:
        """Accept offers for new calls again."""
        self._commands.draining = False

    def idle(self) -> bool:
        """Return whether no session is left."""
        return not len(self.table)

    def figures(self, call_ids: Iterable[str]) -> dict[str, tuple[MediaFigures, ...]]:
        """Return the media figures of live sessions so far."""
        sessions = filter(None, map(self.table.get, call_ids))
        return {session.call_id: session.figures() for session in sessions}

    def entry_of(self, call_id: str) -> JournalEntry | None:
        """Return the journal entry of a session, or None if it has ended."""
        session = self.table.get(call_id)
        return entry_of(session) if session is not None else None

    def restore(self, entry: JournalEntry, now: float) -> list[tuple[Side, int]]:
        """Resume a session from before a restart; return its pairs, which the shell binds. Raises ValueError."""
        session = resume(entry, partial(self.table.new, now=now))
        return self.table.resume(session, now)

    def adopt(self, entry: JournalEntry, is_carried: Callable[[tuple[KernelFlow, ...]], bool], now: float) -> None:
        """Leave to the kernel what it has carried since before a restart; raises ValueError."""
        session = self.table.get(entry["call"])
        for index, flows in flows_of(entry).items():
            if session is not None and flows and is_carried(flows):
                self.offload.adopt(session.streams[index], flows, now)

    def give_up(self, call_id: str, now: float) -> None:
        """End a session whose ports could not be bound again."""
        session = self.table.get(call_id)
        if session is not None:
            self.table.end(session, EndCause.LOST, now)

    def _run(self, addr: Address, cookie: bytes, body: bytes, now: float) -> None:
        request = Request(addr, cookie, Command({}, body.startswith(b"{")))
        reply: NgReply | None
        try:
            request = Request(addr, cookie, Command.parse(body))
            reply = self._commands.run(request, now)
        except ValueError as error:
            reply = {"result": "error", "error-reason": str(error)}
        if reply is not None:
            self._respond(request, reply, now)

    def _respond(self, request: Request, reply: NgReply, now: float) -> None:
        name = request.command.name if request.command.name in self._commands.names() else "other"
        self.commands[name, "error" if reply["result"] == "error" else "ok"] += 1
        data = request.cookie + b" " + request.command.write(reply)
        self._replies.put(request.sender, request.cookie, data, now)
        self._outbox.append((data, request.sender))
