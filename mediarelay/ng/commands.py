"""What each ng command does to the sessions (D6), with rtpengine's names.

A handler returns its reply, or None if it answers later through `respond`: an offer when its ports are bound, a
delete when the counts are final.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import islice

from daemonkit.address import Address
from mediarelay.config import Interface, RelayConfig
from mediarelay.core.addresses import Side
from mediarelay.core.allocation import Allocation
from mediarelay.core.events import EndCause
from mediarelay.core.limits import MAX_BRANCHES, MAX_SESSIONS
from mediarelay.core.session import Session
from mediarelay.core.sessions import SessionTable
from mediarelay.core.statement import Statement, served_streams
from mediarelay.kernel.flow import Plane
from mediarelay.ng.control import Command, pong
from mediarelay.ng.figures import describe_session, totals_of
from mediarelay.ng.limits import MAX_LISTED_CALLS, MAX_LISTED_OCTETS
from mediarelay.ng.media_command import DeleteCommand, MediaCommand, WithdrawCommand
from mediarelay.sdp.description import SessionDescription
from mediarelay.sdp.rewrite import Placement, rewrite

NgReply = Mapping[str, object]
_NOT_FOUND = "Call-ID not found or tags didn't match"


class Refusal(ValueError):
    """A command cannot be carried out; the text is the reply's `error-reason`."""


@dataclass(frozen=True, slots=True)
class Request:
    """A command that is being answered."""

    sender: Address
    cookie: bytes
    command: Command


@dataclass(frozen=True, slots=True)
class _Passage:
    """A description on its way through the relay."""

    ask: MediaCommand
    description: SessionDescription
    said: Statement


@dataclass(frozen=True, slots=True)
class _Offer:
    """An offer that waits for its ports."""

    request: Request
    passage: _Passage
    session: Session
    offerer: int


class Commands:
    """Carries out commands; `respond` takes the replies that come later, `epoch` is the Unix time at moment 0."""

    def __init__(self, config: RelayConfig, table: SessionTable, respond: Callable[[Request, NgReply, float], None], epoch: float) -> None:
        self._interfaces = {Side.EXTERNAL: config.external, Side.INTERNAL: config.internal}
        self._table = table
        self._respond = respond
        self._epoch = epoch
        self.draining = False
        self.ignored: Counter[str] = Counter()
        """Counts by name the keys and flags that were read and change nothing; the names are those of `media_command`."""

    def names(self) -> frozenset[str]:
        """Return the names of all commands."""
        return frozenset(self._HANDLERS)

    def run(self, request: Request, now: float) -> NgReply | None:
        """Carry out a command; raises ValueError with a sentence."""
        handler = self._HANDLERS.get(request.command.name)
        if handler is None:
            raise Refusal("Unrecognized command.")
        return handler(self, request, now)

    def _handle_answer(self, request: Request, now: float) -> NgReply:
        passage = self._read(request.command, is_offer=False)
        ask, said = passage.ask, passage.said
        session = self._session(ask.call_id)
        answerer = _place_answerer(session, ask)
        if not session.covers(said):
            raise Refusal("The answer has media that was not offered.")
        session.touched_at = now
        session.set_rules(answerer, learn_nat=ask.learn_nat, sources=ask.media_sources)
        mux = session.answer(answerer, said)
        self._table.register(session, now)
        self._table.end_streams(session, now)
        return self._rewritten(session, 1 - answerer, passage, session.answered_ports(answerer, said), mux)

    def _handle_delete(self, request: Request, now: float) -> NgReply | None:
        ask = DeleteCommand.parse(request.command)
        self.ignored.update(ask.ignored)
        session = self._table.get(ask.call_id)
        if session is None or _is_of_another_dialog(session, ask):
            if ask.fatal:
                raise Refusal(_NOT_FOUND)
            return {"result": "ok", "warning": _NOT_FOUND}
        if ask.via_branch in session.branches and len(session.branches) > 1:
            session.branches.discard(ask.via_branch)
        elif ask.delay:
            session.delete_at = now + ask.delay
            self._table.note_change(session)
        else:
            self._table.end(session, EndCause.DELETED, now, lambda at: self._respond(request, self._described(session, at), at))
            return None
        return self._described(session, now)

    def _handle_list(self, request: Request, now: float) -> NgReply:
        limit = max(0, min(request.command.number("limit", 32), MAX_LISTED_CALLS))
        calls: list[str] = []
        size = 0
        for session in islice(self._table, limit):
            size += len(session.call_id.encode()) + 8
            if size > MAX_LISTED_OCTETS:
                break
            calls.append(session.call_id)
        return {"result": "ok", "calls": calls}

    def _handle_offer(self, request: Request, now: float) -> NgReply | None:
        passage = self._read(request.command, is_offer=True)
        session = self._table.get(passage.ask.call_id) or self._new_session(passage.ask, now)
        offer = _Offer(request, passage, session, _place_offerer(session, passage.ask))
        self._table.allocator.begin(Allocation(session.missing(passage.said), partial(self._finish_offer, offer)), now)
        return None

    def _handle_ping(self, request: Request, now: float) -> NgReply:
        return pong(draining=self.draining)

    def _handle_query(self, request: Request, now: float) -> NgReply:
        return self._described(self._session(request.command.require("call-id")), now)

    def _handle_withdraw(self, request: Request, now: float) -> NgReply:
        ask = WithdrawCommand.parse(request.command)
        session = self._session(ask.call_id)
        offerer = session.party_of(ask.from_tag)
        if offerer is None:
            raise Refusal("Unknown from-tag.")
        session.touched_at = now
        session.withdraw(offerer, ask.via_branch)
        self._table.end_streams(session, now)
        return {"result": "ok"}

    def _handle_statistics(self, request: Request, now: float) -> NgReply:
        table = self._table
        pools = {
            side.value: {"free": pool.free, "used": pool.in_use, "quarantined": pool.quarantined}
            for side, pool in table.allocator.pools.items()
        }
        planes = Counter(stream.plane for session in table for stream in session.streams.values())
        # The kernel still forwards the streams that are leaving it.
        planes[Plane.KERNEL] += planes.pop(Plane.LEAVING, 0)
        current = {
            "sessionsown": len(table),
            "sessionsforeign": 0,
            "sessionstotal": len(table),
            "ports": pools,
            "planes": {plane.value: planes[plane] for plane in (Plane.USERSPACE, Plane.KERNEL)},
            "directflows": table.offload.direct_flows,
            "totals": totals_of(table),
        }
        ended = {f"{cause.value}sessions": table.ended[cause] for cause in EndCause}
        return {"result": "ok", "statistics": {"currentstatistics": current, "totalstatistics": ended}}

    _HANDLERS: Mapping[str, Callable[[Commands, Request, float], NgReply | None]] = {
        "answer": _handle_answer,
        "delete": _handle_delete,
        "list": _handle_list,
        "offer": _handle_offer,
        "ping": _handle_ping,
        "query": _handle_query,
        "sipuri-withdraw": _handle_withdraw,
        "statistics": _handle_statistics,
    }

    def _finish_offer(self, offer: _Offer, allocation: Allocation, complete: bool, now: float) -> None:
        if not complete:
            self._respond(offer.request, {"result": "error", "error-reason": "Ran out of ports."}, now)
            return
        session, ask, said = offer.session, offer.passage.ask, offer.passage.said
        session.touched_at, session.delete_at = now, None
        if ask.via_branch and len(session.branches) < MAX_BRANCHES:
            session.branches.add(ask.via_branch)

        def take(side: Side) -> Address:
            return self._interfaces[side].local, allocation.take(side)

        session.set_rules(offer.offerer, learn_nat=ask.learn_nat, sources=ask.media_sources)
        is_provisional = session.offer(offer.offerer, said, take, now)
        self._table.register(session, now)
        self._table.end_streams(session, now)
        ports = session.offered_ports(offer.offerer, said)
        reply = self._rewritten(session, 1 - offer.offerer, offer.passage, ports, said.mux_shown())
        self._respond(offer.request, {**reply, "sipuri-provisional": 1} if is_provisional else reply, now)

    def _described(self, session: Session, now: float) -> NgReply:
        return {"result": "ok", **describe_session(session, now, self._epoch)}

    def _new_session(self, ask: MediaCommand, now: float) -> Session:
        if self.draining:
            raise Refusal("draining")
        if len(self._table) >= MAX_SESSIONS:
            raise Refusal("Too many sessions.")
        return self._table.new(ask.call_id, ask.direction or (Side.EXTERNAL, Side.EXTERNAL), now)

    def _read(self, command: Command, *, is_offer: bool) -> _Passage:
        ask = MediaCommand.parse(command)
        self.ignored.update(ask.ignored)
        description = SessionDescription.parse(ask.sdp)
        said = Statement(
            sections=len(description.media),
            streams=served_streams(description),
            tag=ask.from_tag if is_offer else ask.to_tag,
            label=ask.label,
            branch=ask.via_branch,
            signalling=ask.received_from,
            sip_source=ask.sip_source,
            rtcp_mux=ask.rtcp_mux,
        )
        return _Passage(ask, description, said)

    def _rewritten(self, session: Session, receiver: int, passage: _Passage, ports: list[int], mux: list[bool | None]) -> NgReply:
        interface: Interface = self._interfaces[session.parties[receiver].side]
        ask = passage.ask
        address = ask.media_address or interface.advertised
        placement = Placement(address, ports, origin=ask.origin, mux=mux, zero_address=ask.zero_address)
        created = int(self._epoch + session.created_at)
        return {"result": "ok", "sdp": rewrite(passage.description, placement), "created": created}

    def _session(self, call_id: str) -> Session:
        session = self._table.get(call_id)
        if session is None:
            raise Refusal("Unknown call-id.")
        return session


def _is_of_another_dialog(session: Session, ask: DeleteCommand) -> bool:
    """Return whether a delete names a tag that is not of this call, although both tags are known."""
    return session.answered and any(tag is not None and session.party_of(tag) is None for tag in (ask.from_tag, ask.to_tag))


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
    """Return the index of the party that offers: by its side if that is clear, else by its tag."""
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
