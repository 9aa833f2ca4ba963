"""The relay's core: ng commands in, session descriptions out, and a table of flows for the packets in between.

Theory of operation. Commands come in through `receive_datagram`, replies leave through `datagrams_to_send`. A command
that needs ports asks for them by `PairWanted` events, one at a time; its reply is queued when the last is bound. The
shell therefore handles events until there are none before it feeds the next datagram. Media never passes through the
queues: `receive_media` looks up the flow of the local port and returns the flow to send from, and the shell sends.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import islice

from mediarelay.core.addresses import AddressPolicy, Side
from mediarelay.core.allocation import Allocation, Allocator
from mediarelay.core.config import Address, Interface, RelayConfig
from mediarelay.core.control import Command, MediaCommand, ReplyCache, split_cookie
from mediarelay.core.events import EndCause, Event, LegFigures, SessionEnded, SessionOpened
from mediarelay.core.figures import describe_session, totals_of
from mediarelay.core.flow import Buffer, Drop, Flow
from mediarelay.core.limits import MAX_LISTED_CALLS, MAX_LISTED_OCTETS, MAX_SESSIONS, MAX_STREAMS
from mediarelay.core.ports import PortPool
from mediarelay.core.session import Leg, Party, Session
from mediarelay.sdp.description import SessionDescription
from mediarelay.sdp.rewrite import rewrite

__all__ = ["MediaRelay", "Refusal"]

HOLD_SECONDS = 3600.0
"""How long a session on hold may be silent."""
SWEEP_SECONDS = 5.0

Reply = Mapping[str, object]


class Refusal(ValueError):
    """A command that cannot be done; its text is the `error-reason`."""


@dataclass(frozen=True, slots=True)
class _Request:
    """A command that is being answered."""

    sender: Address
    cookie: bytes
    command: Command


@dataclass(frozen=True, slots=True)
class _Offer:
    """An offer that waits for its ports."""

    request: _Request
    ask: MediaCommand
    description: SessionDescription
    session: Session
    offerer: int


class MediaRelay:
    """One relay; `choose(n)` returns a random number below n."""

    def __init__(self, config: RelayConfig, *, choose: Callable[[int], int]) -> None:
        self._config = config
        # Where we are.
        self._interfaces = {Side.EXTERNAL: config.external, Side.INTERNAL: config.internal}
        self._policies = {side: self._policy(side) for side in Side}
        # What is going on.
        self.sessions: dict[str, Session] = {}
        self.flows: dict[Address, Flow] = {}
        self._replies = ReplyCache()
        self._draining = False
        self._sweep_at: float | None = None
        # What leaves.
        self._events: deque[Event] = deque()
        self._outbox: list[tuple[bytes, Address]] = []
        pools = {Side.EXTERNAL: PortPool(config.external_ports, choose), Side.INTERNAL: PortPool(config.internal_ports, choose)}
        self.allocator = Allocator(pools, self._events)
        # What is counted.
        self.drops: Counter[Drop] = Counter()
        self.commands: Counter[tuple[str, str]] = Counter()
        self.malformed_commands = 0
        self.ended: Counter[EndCause] = Counter()

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
        flow = self.flows.get(local)
        if flow is not None:
            return flow.receive(data, size, source, now)
        self.drops[Drop.LATE] += 1
        for side, interface in self._interfaces.items():
            if interface.local == local[0]:
                self.allocator.pools[side].note_packet(local[1], now)
        return None

    def datagrams_to_send(self) -> list[tuple[bytes, Address]]:
        """Return the replies that are ready, each with its receiver."""
        outbox, self._outbox = self._outbox, []
        return outbox

    def next_event(self) -> Event | None:
        """Return the next event, or None."""
        return self._events.popleft() if self._events else None

    def get_timer(self) -> float | None:
        """Return when `handle_timer` is to be called, or None."""
        times = (self.allocator.next_expiry(), self._sweep_at)
        return min((at for at in times if at is not None), default=None)

    def handle_timer(self, now: float) -> None:
        """Free quarantined ports and remove sessions that have been silent for too long."""
        self.allocator.expire(now)
        if self._sweep_at is not None and now >= self._sweep_at:
            for session in [session for session in self.sessions.values() if self._is_dead(session, now)]:
                self._end(session, EndCause.TIMEOUT, now)
            self._sweep_at = now + SWEEP_SECONDS if self.sessions else None

    def port_bound(self, side: Side, port: int, now: float) -> None:
        """Report that the pair of a `PairWanted` is bound."""
        self.allocator.port_bound(side, port, now)

    def port_failed(self, side: Side, port: int, now: float) -> None:
        """Report that the pair of a `PairWanted` cannot be bound."""
        self.allocator.port_failed(side, port, now)

    def drain(self) -> None:
        """Refuse offers for new calls from now on."""
        self._draining = True

    def idle(self) -> bool:
        """Tell whether no session is left."""
        return not self.sessions

    def figures(self) -> dict[str, tuple[LegFigures, ...]]:
        """Return what each live session's sides have seen so far."""
        return {call_id: session.figures() for call_id, session in self.sessions.items()}

    def _run(self, addr: Address, cookie: bytes, body: bytes, now: float) -> None:
        request = _Request(addr, cookie, Command({}, body.startswith(b"{")))
        try:
            request = _Request(addr, cookie, Command.parse(body))
            handler = self._HANDLERS.get(request.command.name)
            if handler is None:
                raise Refusal("Unrecognized command.")
            reply = handler(self, request, now)
        except ValueError as error:
            reply = {"result": "error", "error-reason": str(error)}
        if reply is not None:
            self._respond(request, reply, now)

    def _respond(self, request: _Request, reply: Reply, now: float) -> None:
        name = request.command.name if request.command.name in self._HANDLERS else "other"
        self.commands[name, "error" if reply["result"] == "error" else "ok"] += 1
        data = request.cookie + b" " + request.command.write(reply)
        self._replies.put(request.sender, request.cookie, data, now)
        self._outbox.append((data, request.sender))

    def _handle_answer(self, request: _Request, now: float) -> Reply:
        ask = MediaCommand.parse(request.command)
        session = self._session(ask.call_id)
        answerer = _place_answerer(session, ask)
        description = SessionDescription.parse(ask.sdp)
        if not session.covers(description):
            raise Refusal("The answer has media that was not offered.")
        if ask.to_tag is not None:
            session.parties[answerer].tag = ask.to_tag
        session.touched_at = now
        ports = session.answer(answerer, description, ask.received_from, nat=ask.learn_nat)
        self._release(session, session.drop_dead_streams(description), now)
        return self._rewritten(session, 1 - answerer, ask, description, ports)

    def _handle_delete(self, request: _Request, now: float) -> Reply:
        session = self.sessions.get(request.command.require("call-id"))
        tag = request.command.text("from-tag")
        if session is None or (tag is not None and session.answered and session.party_of(tag) is None):
            return {"result": "ok", "warning": "Call-ID not found or tags didn't match"}
        reply = {"result": "ok", **describe_session(session, now)}
        self._end(session, EndCause.DELETED, now)
        return reply

    def _handle_list(self, request: _Request, now: float) -> Reply:
        limit = max(0, min(request.command.number("limit", 32), MAX_LISTED_CALLS))
        calls: list[str] = []
        size = 0
        for call_id in islice(self.sessions, limit):
            size += len(call_id.encode()) + 8
            if size > MAX_LISTED_OCTETS:
                break
            calls.append(call_id)
        return {"result": "ok", "calls": calls}

    def _handle_offer(self, request: _Request, now: float) -> Reply | None:
        ask = MediaCommand.parse(request.command)
        description = SessionDescription.parse(ask.sdp)
        if sum(media.live for media in description.media) > MAX_STREAMS:
            raise Refusal("The offer has too many streams.")
        session = self.sessions.get(ask.call_id) or self._new_session(ask, now)
        offer = _Offer(request, ask, description, session, _place_offerer(session, ask))
        self.allocator.begin(Allocation(session.missing(description), partial(self._finish_offer, offer)), now)
        return None

    def _handle_ping(self, request: _Request, now: float) -> Reply:
        return {"result": "pong"}

    def _handle_query(self, request: _Request, now: float) -> Reply:
        return {"result": "ok", **describe_session(self._session(request.command.require("call-id")), now)}

    def _handle_statistics(self, request: _Request, now: float) -> Reply:
        pools = {side.value: {"free": pool.free, "used": pool.in_use, "quarantined": pool.quarantined} for side, pool in self._pools()}
        current = {"sessionstotal": len(self.sessions), "ports": pools, "totals": totals_of(self.sessions.values())}
        return {"result": "ok", "statistics": {"currentstatistics": current}}

    _HANDLERS: Mapping[str, Callable[[MediaRelay, _Request, float], Reply | None]] = {
        "answer": _handle_answer,
        "delete": _handle_delete,
        "list": _handle_list,
        "offer": _handle_offer,
        "ping": _handle_ping,
        "query": _handle_query,
        "statistics": _handle_statistics,
    }

    def _finish_offer(self, offer: _Offer, allocation: Allocation, complete: bool, now: float) -> None:
        if not complete:
            self._respond(offer.request, {"result": "error", "error-reason": "Ran out of ports."}, now)
            return
        session, ask = offer.session, offer.ask
        session.parties[offer.offerer].tag = ask.from_tag
        session.touched_at = now

        def take(side: Side) -> Address:
            return self._interfaces[side].local, allocation.take(side)

        ports = session.offer(offer.offerer, offer.description, ask.received_from, nat=ask.learn_nat, take=take)
        self._register(session)
        self._respond(offer.request, self._rewritten(session, 1 - offer.offerer, ask, offer.description, ports), now)
        if self._sweep_at is None:
            self._sweep_at = now + SWEEP_SECONDS

    def _end(self, session: Session, cause: EndCause, now: float) -> None:
        del self.sessions[session.call_id]
        figures = session.figures()
        self._release(session, list(session.streams.values()), now)
        self.ended[cause] += 1
        self._events.append(SessionEnded(session.call_id, cause, figures))

    def _is_dead(self, session: Session, now: float) -> bool:
        timeout = self._config.session_timeout
        return now - session.last_activity() >= (max(timeout, HOLD_SECONDS) if session.on_hold else timeout)

    def _new_session(self, ask: MediaCommand, now: float) -> Session:
        if self._draining:
            raise Refusal("draining")
        if len(self.sessions) >= MAX_SESSIONS:
            raise Refusal("Too many sessions.")
        sides = ask.direction or (Side.EXTERNAL, Side.EXTERNAL)
        parties = (Party(sides[0], self._policies[sides[0]]), Party(sides[1], self._policies[sides[1]]))
        return Session(ask.call_id, parties, self.drops, now)

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

    def _pools(self) -> list[tuple[Side, PortPool]]:
        return list(self.allocator.pools.items())

    def _register(self, session: Session) -> None:
        if session.call_id not in self.sessions:
            self.sessions[session.call_id] = session
            self._events.append(SessionOpened(session.call_id))
        for flow in session.flows():
            self.flows[flow.local] = flow

    def _release(self, session: Session, streams: list[tuple[Leg, Leg]], now: float) -> None:
        for legs in streams:
            for party, leg in zip(session.parties, legs, strict=True):
                for flow in leg.flows():
                    del self.flows[flow.local]
                self.allocator.release(party.side, leg.rtp.local[1], now)

    def _rewritten(self, session: Session, receiver: int, ask: MediaCommand, description: SessionDescription, ports: list[int]) -> Reply:
        interface: Interface = self._interfaces[session.parties[receiver].side]
        sdp = rewrite(description, interface.advertised, ports, origin=ask.origin, remove_ice=ask.remove_ice)
        return {"result": "ok", "sdp": sdp}

    def _session(self, call_id: str) -> Session:
        session = self.sessions.get(call_id)
        if session is None:
            raise Refusal("Unknown call-id.")
        return session


def _place_answerer(session: Session, ask: MediaCommand) -> int:
    """Return the index of the party that answers: not the one whose tag is `from-tag`."""
    offerer = session.party_of(ask.from_tag)
    if offerer is not None:
        return 1 - offerer
    answerer = session.party_of(ask.to_tag) if ask.to_tag is not None else None
    if answerer is None:
        raise Refusal("Unknown from-tag.")
    return answerer


def _place_offerer(session: Session, ask: MediaCommand) -> int:
    """Return the index of the party that offers: by its side where that is clear, else by its tag."""
    first, second = session.parties
    if ask.direction is not None and first.side is not second.side:
        return 0 if ask.direction[0] is first.side else 1
    known = session.party_of(ask.from_tag)
    if known is not None:
        return known
    other = session.party_of(ask.to_tag) if ask.to_tag is not None else None
    if other is not None:
        return 1 - other
    if session.answered:
        raise Refusal("Neither tag belongs to this call.")
    return 0
