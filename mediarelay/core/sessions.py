"""The sessions of one relay: created, looked up by call and by port, watched, ended.

Ending a session takes until the kernel has reported its last counts; see `mediarelay.kernel.offload`. Commands no
longer reach the session, but its ports serve until then.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import replace

from daemonkit.address import Address
from mediarelay.config import RelayConfig
from mediarelay.core.addresses import AddressPolicy, Side
from mediarelay.core.allocation import Allocator
from mediarelay.core.events import EndCause, Event, SessionChanged, SessionEnded
from mediarelay.core.flow import Drop, Flow
from mediarelay.core.one_way import OneWayWatch
from mediarelay.core.ports import PortPool
from mediarelay.core.session import Party, Session
from mediarelay.core.stream import Stream
from mediarelay.kernel.offload import Continuation, Offload

HOLD_SECONDS = 3600.0
"""How long a session on hold may be silent."""
SWEEP_SECONDS = 1.0
"""How often each session is examined."""
SWEEP_SHARES = 10
"""The sweep is split into this many parts, so that thousands of sessions never keep a packet waiting."""


class SessionTable:
    """All sessions, with their ports, flows and kernel flows; `choose(n)` returns a random number below n."""

    def __init__(self, config: RelayConfig, choose: Callable[[int], int]) -> None:
        self._config = config
        self._interfaces = {Side.EXTERNAL: config.external, Side.INTERNAL: config.internal}
        self._policies = {side: self._policy(side) for side in Side}
        self._by_call: dict[str, Session] = {}
        self._changed: dict[str, None] = {}
        self._sweep_at: float | None = None
        self._to_sweep: deque[str] = deque()
        self._share = 1
        self.flows: dict[Address, Flow] = {}
        self.events: deque[Event] = deque()
        pools = {Side.EXTERNAL: PortPool(config.external_ports, choose), Side.INTERNAL: PortPool(config.internal_ports, choose)}
        self.allocator = Allocator(pools, self.events)
        self.offload = Offload(config.marks, config.max_kernel_flows, ask=self.events.append, note=self._write_down)
        self.drops: Counter[Drop] = Counter()
        self.ended: Counter[EndCause] = Counter()
        self._one_way = OneWayWatch()

    def __len__(self) -> int:
        return len(self._by_call)

    def __iter__(self) -> Iterator[Session]:
        return iter(self._by_call.values())

    def get(self, call_id: str) -> Session | None:
        """Return the session of a call, or None."""
        return self._by_call.get(call_id)

    def new(self, call_id: str, sides: tuple[Side, Side], now: float) -> Session:
        """Return a session that is not in the table yet."""
        first, second = (Party(side, self._policies[side]) for side in sides)
        return Session(call_id, (first, second), self.drops, now, self._stream_changed)

    def register(self, session: Session, now: float) -> None:
        """Put a session into the table, or the ports that it has got since."""
        if session.call_id not in self._by_call:
            self._by_call[session.call_id] = session
        for flow in session.flows():
            self.flows[flow.local] = flow
        self.note_change(session)
        if self._sweep_at is None:
            self._sweep_at = now + SWEEP_SECONDS / SWEEP_SHARES

    def resume(self, session: Session, now: float) -> list[tuple[Side, int]]:
        """Put back a session from before a restart; return its pairs, which are to be bound next.

        Raises ValueError if one of them is not free.
        """
        pairs = session.pairs()
        for number, (side, port) in enumerate(pairs):
            try:
                self.allocator.pools[side].claim(port)
            except ValueError:
                for claimed in pairs[:number]:
                    self.allocator.release(*claimed, now)
                raise
        self.register(session, now)
        return pairs

    def note_change(self, session: Session) -> None:
        """Have a session's present state journalled."""
        self._changed[session.call_id] = None

    def end_streams(self, session: Session, now: float) -> None:
        """End the streams that a session no longer needs."""
        gone = session.ended_streams()
        if gone:
            self._one_way.forget(gone)
            self.offload.take_back(gone, lambda at: self._release(session, gone, at), now)

    def end(self, session: Session, cause: EndCause, now: float, then: Continuation | None = None) -> None:
        """End a session; `then` is called when its figures are final."""

        def finish(at: float) -> None:
            self._release(session, list(session.every_stream()), at)
            self.ended[cause] += 1
            self.events.append(SessionEnded(session.call_id, cause, tuple(replace(leg, plane=plane.value) for leg in session.figures())))
            self.note_change(session)
            if then is not None:
                then(at)

        plane = session.plane
        del self._by_call[session.call_id]
        self._one_way.forget(session.streams.values())
        self.offload.take_back(session.every_stream(), finish, now)

    def note_late(self, local: Address, now: float) -> None:
        """Count a datagram for a port that no session has."""
        self.drops[Drop.LATE] += 1
        for side, interface in self._interfaces.items():
            if interface.local == local[0]:
                self.allocator.pools[side].note_packet(local[1], now)

    def next_event(self) -> Event | None:
        """Return the next event, or None; changed sessions are reported after all other events."""
        if self.events:
            return self.events.popleft()
        if self._changed:
            call_id = next(iter(self._changed))
            del self._changed[call_id]
            return SessionChanged(call_id)
        return None

    def has_events(self) -> bool:
        """Return whether `next_event` would return an event."""
        return bool(self.events or self._changed)

    def next_due(self) -> float | None:
        """Return when `handle_timer` is next worth a call, or None."""
        times = (self.allocator.next_expiry(), self.offload.next_due(), self._sweep_at)
        return min((at for at in times if at is not None), default=None)

    def handle_timer(self, now: float) -> None:
        """Free quarantined ports, move streams between planes, look for silence."""
        self.allocator.expire(now)
        self.offload.handle_timer(now)
        if self._sweep_at is not None and now >= self._sweep_at:
            self._sweep_share(now)
            self._sweep_at = now + SWEEP_SECONDS / SWEEP_SHARES if self._by_call else None

    def _sweep_share(self, now: float) -> None:
        if not self._to_sweep:
            self._to_sweep.extend(self._by_call)
            self._share = 1 + len(self._to_sweep) // SWEEP_SHARES
        for _ in range(min(len(self._to_sweep), self._share)):
            session = self._by_call.get(self._to_sweep.popleft())
            if session is not None:
                self._sweep(session, now)

    def _sweep(self, session: Session, now: float) -> None:
        if session.expire_offers(now):
            self.end_streams(session, now)
        if session.delete_at is not None and now >= session.delete_at:
            self.end(session, EndCause.DELETED, now)
        elif self._is_dead(session, now):
            self.end(session, EndCause.TIMEOUT, now)
        else:
            self.events.extend(self._one_way.look(session, now))

    def _is_dead(self, session: Session, now: float) -> bool:
        timeout = self._config.session_timeout
        return not session.was_active_after(now - (max(timeout, HOLD_SECONDS) if session.on_hold else timeout))

    def _write_down(self, call_id: str) -> None:
        self.events.append(SessionChanged(call_id))

    def _policy(self, side: Side) -> AddressPolicy:
        config = self._config
        own = {address for interface in self._interfaces.values() for address in (interface.local, interface.advertised)}
        return AddressPolicy(
            trusted=side is Side.INTERNAL,
            allow_private=config.allow_private,
            own_addresses=config.own_addresses | own,
            is_own_socket=self._is_own_socket,
        )

    def _is_own_socket(self, address: Address) -> bool:
        if address in self.flows:
            return True
        host, port = address
        return any((face.local, port) in self.flows for face in self._interfaces.values() if face.advertised == host)

    def _release(self, session: Session, streams: list[Stream], now: float) -> None:
        for stream in streams:
            for party, leg in zip(session.parties, stream.legs, strict=True):
                for flow in leg.flows():
                    del self.flows[flow.local]
                self.allocator.release(party.side, leg.rtp.local[1], now)

    def _stream_changed(self, session: Session, stream: Stream) -> None:
        self.offload.stream_changed(stream)
        self.note_change(session)
