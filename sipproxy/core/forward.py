"""Requests on their way: the first INVITE to a call-flow node, everything inside a dialog along its token."""

from __future__ import annotations

from daemonkit.address import Address
from sipproxy.core import edits
from sipproxy.core.events import RecordMade
from sipproxy.core.exchange import Exchange
from sipproxy.core.guard import Applicant
from sipproxy.core.inner import InnerRoute
from sipproxy.core.limits import FAILOVER_SECONDS, RING_SECONDS
from sipproxy.core.media import Media, Passage, Refusal, has_description
from sipproxy.core.state import State, printable
from sipproxy.core.token import RouteToken
from sipproxy.sip import Request
from sipproxy.transactions.events import Key
from sipproxy.transactions.listener import Listener, Side
from voiceapps.rules.admission import AdmissionSnapshot
from voiceapps.rules.endings import EndReason
from voiceapps.rules.records import CallAdmitted, CallFacts

NO_RELAY: Address = ("", 0)
_REFUSALS = {Refusal.UNUSABLE: EndReason.UNSUPPORTED_MEDIA, Refusal.UNAVAILABLE: EndReason.NO_MEDIA_RELAY}


class Forward:
    """Send requests on."""

    def __init__(self, state: State, media: Media) -> None:
        self._state = state
        self._media = media

    # The first INVITE.

    def start_call(self, applicant: Applicant, application: AdmissionSnapshot, country: str | None, now: float) -> None:
        """Take an admitted INVITE: relay, node, 100."""
        state, request = self._state, applicant.request
        facts = self._facts(applicant, application, country, now)
        state.tell(RecordMade(CallAdmitted(facts, state.config.name)))
        state.calls.add(facts, capped=not application.password_auth, now=now)
        state.draw(facts.call_id, applicant.listener, request, now, came_from=applicant.source)
        relay = state.sources.choose_relay()
        exchange = self._open(
            applicant.listener, applicant.key, request, applicant.source, facts.call_id, relay or NO_RELAY, now=now, initial=True
        )
        if relay is None:
            self.fail_call(exchange, 503, EndReason.NO_MEDIA_RELAY, now)
        else:
            exchange.outgoing = edits.prepare_invite(request, facts)
            self._offer(exchange, now)

    def try_next_node(self, exchange: Exchange, now: float) -> None:
        """Send the INVITE to the next node, or fail where none is left."""
        state = self._state
        node = state.targets.choose(exchange.tried, now)
        if node is None or exchange.outgoing is None:
            self.fail_call(exchange, 503, EndReason.NO_CALLFLOW, now)
            return
        exchange.tried.append(node)
        state.calls.move(exchange.call_id, node)
        exchange.heard = False
        exchange.token = self._token(exchange, node)
        exchange.signed = self._sign(exchange, exchange.token)
        out = exchange.outgoing.copy()
        edits.push_record_route(out, exchange.signed, state.config.internal)
        self._send(exchange, out, state.config.internal, node, now)
        if len(exchange.tried) == 1:
            # Only now: until a node has it, the caller's repeating is what brings the call through the death of this process. A relay
            # that is slower than 17.2.1's 200 ms costs a repetition, which is absorbed.
            state.respond(exchange, exchange.request.make_response(100), now)
        state.targets.begin(node)
        exchange.counted = True
        state.timers.set(("failover", exchange.id), now + FAILOVER_SECONDS)

    def leave_node(self, exchange: Exchange, now: float) -> None:
        """Give the current node up: it rests, and what it still says is cancelled or hung up."""
        if exchange.client is not None and exchange.leaving is not None:
            self._state.targets.rest(exchange.target, now)
            exchange.abandoned[exchange.client] = exchange.target
            self._state.layers[exchange.leaving].cancel(exchange.client, now)
            self.settle(exchange)
            exchange.client = None

    def fail_call(self, exchange: Exchange, status: int, reason: EndReason, now: float) -> None:
        """End a call that no node has taken."""
        if exchange.finished:
            return
        self._state.refuse(exchange, status, now)
        self.release_media(exchange)
        self._state.end_call(exchange.call_id, reason, now, status=status, ours=True)

    def release_media(self, exchange: Exchange) -> None:
        """End the relay's session of a call, if it has one."""
        if exchange.relay == NO_RELAY:
            return
        tag = edits.side_tag(exchange.request, exchange.side)
        self._media.delete(exchange.call_id, exchange.relay, tag)

    def settle(self, exchange: Exchange) -> None:
        """Note that the current node no longer has an INVITE to answer."""
        self._state.timers.cancel(("failover", exchange.id))
        if exchange.counted:
            exchange.counted = False
            self._state.targets.end(exchange.target)

    def _sign(self, exchange: Exchange, token: RouteToken) -> str:
        request = exchange.request
        tag = edits.side_tag(request, exchange.side)
        return token.sign(key=self._state.config.route_key, sip_call_id=request.call_id, caller_tag=tag)

    # Inside a dialog.

    def forward_inside_dialog(self, listener: Listener, key: Key, request: Request, source: Address, token: RouteToken, now: float) -> None:
        """Send a request along its dialog; its media passes the relay first."""
        state = self._state
        exchange = self._open(listener, key, request, source, token.call_id, token.relay, now=now)
        exchange.token, exchange.signed = token, edits.route_user(request)
        exchange.outgoing = self._prepare(listener.side, request)
        state.calls.touch(token.call_id, now)
        if request.method == "BYE" and listener.side is Side.EXTERNAL:
            state.calls.give_up(token.call_id)
        state.draw(token.call_id, listener, request, now, came_from=source)
        if request.method == "INVITE":
            state.respond(exchange, request.make_response(100), now)
        answers = request.method == "PRACK" and not token.offered
        passage = Passage(token.call_id, token.relay, listener.side, source, is_offer=not answers)

        def then(body: bytes | Refusal, later: float) -> None:
            if isinstance(body, Refusal):
                state.refuse(exchange, body.value, later)
            elif not exchange.finished and exchange.outgoing is not None:
                exchange.outgoing.set_body(body)
                self._send_inside_dialog(exchange, later)

        def step(at: float) -> None:
            if exchange.offered:
                self._media.rewrite(request, passage, then, at)
            else:
                self._send_inside_dialog(exchange, at)

        self._media.take_turn(token.call_id, step, now)

    def forward_ack(self, listener: Listener, request: Request, source: Address, token: RouteToken, now: float) -> None:
        """Send the ACK of a 2xx on, without a transaction; its description is always an answer."""
        state, side = self._state, listener.side
        state.draw(token.call_id, listener, request, now, came_from=source)
        state.calls.touch(token.call_id, now)
        if side is Side.EXTERNAL:
            state.calls.acknowledge(token.call_id, now)
        out = self._prepare(side, request)
        passage = Passage(token.call_id, token.relay, side, source, is_offer=False)

        def then(body: bytes | Refusal, later: float) -> None:
            # Without the relay the answer would lead the media past it: the peer repeats its 2xx and gives up.
            if isinstance(body, bytes):
                out.set_body(body)
                self._send_ack(side, out, token, later)

        def step(at: float) -> None:
            if has_description(request):
                self._media.rewrite(request, passage, then, at)
            else:
                self._send_ack(side, out, token, at)

        self._media.take_turn(token.call_id, step, now)

    # Steps.

    def _facts(self, applicant: Applicant, application: AdmissionSnapshot, country: str | None, now: float) -> CallFacts:
        request = applicant.request
        return CallFacts(
            call_id=self._state.sources.new_call_id(),
            application_id=application.application_id,
            account_id=application.account_id,
            sip_call_id=printable(request.call_id),
            from_uri=printable(request.from_.uri),
            to_uri=printable(request.to.uri),
            source_ip=applicant.source[0],
            source_port=applicant.source[1],
            country=country,
            started_at=self._state.sources.wall(now),
        )

    def _open(
        self,
        listener: Listener,
        key: Key,
        request: Request,
        source: Address,
        call_id: str,
        relay: Address,
        *,
        now: float,
        initial: bool = False,
    ) -> Exchange:
        exchange = Exchange(listener, key, request, source, call_id, relay, initial, offered=has_description(request))
        self._state.exchanges[exchange.id] = exchange
        if request.method == "INVITE":
            self._state.timers.set(("ring", exchange.id), now + RING_SECONDS)
        return exchange

    def _offer(self, exchange: Exchange, now: float) -> None:
        if not exchange.offered:
            self.try_next_node(exchange, now)
            return

        def then(body: bytes | Refusal, later: float) -> None:
            if exchange.finished:
                self.release_media(exchange)
            elif isinstance(body, Refusal):
                self.fail_call(exchange, body.value, _REFUSALS[body], later)
            elif exchange.outgoing is not None:
                exchange.outgoing.set_body(body)
                self.try_next_node(exchange, later)

        passage = Passage(exchange.call_id, exchange.relay, exchange.side, exchange.source, is_offer=True)
        self._media.rewrite(exchange.request, passage, then, now)

    def _token(self, exchange: Exchange, node: Address) -> RouteToken:
        source, listener = exchange.source, exchange.listener
        nat = edits.is_behind_nat(exchange.request, source, listener.transport)
        return RouteToken(exchange.call_id, node, exchange.relay, source, exchange.offered, nat, listener.transport, listener.index)

    def _prepare(self, side: Side, request: Request) -> Request:
        """Return a request inside a dialog as the other side gets it, but for our Via."""
        out = request.copy()
        edits.count_hop(out)
        if side is Side.EXTERNAL:
            inner = self._inner_route(request)
            out.remove_if(("proxy-authorization", "route").__contains__)
            if inner is not None:
                edits.follow_inner_route(out, inner)
            return out
        edits.pop_own_route(out)
        edits.strip_private(out)
        out.remove_if(("via", "record-route").__contains__)
        if self._state.has_static_targets:
            edits.replace_contact(out)
        return out

    def _inner_route(self, request: Request) -> InnerRoute | None:
        sealed = edits.sealed_route(request) if self._state.has_static_targets else ""
        if not sealed:
            return None
        key, tag = self._state.config.route_key, edits.side_tag(request, Side.EXTERNAL)
        return InnerRoute.parse(sealed, key=key, sip_call_id=request.call_id, caller_tag=tag)

    def _way(self, side: Side, out: Request, token: RouteToken) -> tuple[Listener, Address]:
        state = self._state
        if side is Side.EXTERNAL:
            return state.config.internal, token.callflow
        came_to = state.listener(token.transport, token.index)
        if came_to.transport.is_stream and state.sources.is_connected(came_to, token.caller):
            return came_to, token.caller
        transport, address = edits.next_hop_outside(out, token, state.own_hosts)
        return state.listener(transport, token.index), address

    def _send_inside_dialog(self, exchange: Exchange, now: float) -> None:
        if exchange.outgoing is None or exchange.token is None:
            return
        leaving, address = self._way(exchange.side, exchange.outgoing, exchange.token)
        self._send(exchange, exchange.outgoing, leaving, address, now)

    def _send_ack(self, side: Side, out: Request, token: RouteToken, now: float) -> None:
        leaving, address = self._way(side, out, token)
        self._push_via(out, leaving)
        self._state.layers[leaving].send_stateless(bytes(out), address)
        self._state.draw(token.call_id, leaving, out, now, sent_to=address)

    def _send(self, exchange: Exchange, out: Request, leaving: Listener, address: Address, now: float) -> None:
        self._push_via(out, leaving)
        exchange.leaving, exchange.target = leaving, address
        exchange.client = self._state.layers[leaving].send_request(out, address, now)
        self._state.by_client[leaving, exchange.client] = exchange
        self._state.draw(exchange.call_id, leaving, out, now, sent_to=address)

    def _push_via(self, out: Request, leaving: Listener) -> None:
        config = self._state.config
        edits.push_via(out, leaving, key=config.route_key, random=self._state.sources.new_token(), worker=config.worker)
