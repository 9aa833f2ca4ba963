"""Requests on their way: the first INVITE to a call-flow node, everything inside a dialog along its token."""

from __future__ import annotations

from daemonkit.address import Address
from sipproxy.core import edits
from sipproxy.core.events import ReportMade
from sipproxy.core.guard import PendingInvite
from sipproxy.core.inner import InnerRoute
from sipproxy.core.limits import FAILOVER_SECONDS, TIMER_C_SECONDS
from sipproxy.core.relay_broker import Refusal, RelayBroker, SdpTransit, has_description
from sipproxy.core.response_context import ResponseContext
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

    def __init__(self, state: State, broker: RelayBroker) -> None:
        self._state = state
        self._broker = broker

    # The first INVITE.

    def start_call(self, invite: PendingInvite, application: AdmissionSnapshot, country: str | None, now: float) -> None:
        """Take an admitted INVITE: relay, node, 100."""
        state, request = self._state, invite.request
        facts = self._facts(invite, application, country, now)
        state.tell(ReportMade(CallAdmitted(facts, state.config.name)))
        state.calls.add(facts, capped=not application.password_auth, now=now)
        state.trace(facts.call_id, invite.listener, request, now, came_from=invite.source)
        relay = state.sources.choose_relay()
        context = self._open(invite.listener, invite.key, request, invite.source, facts.call_id, relay or NO_RELAY, now=now, initial=True)
        if relay is None:
            self.fail_call(context, 503, EndReason.NO_MEDIA_RELAY, now)
        else:
            context.outgoing = edits.prepare_invite(request, facts)
            self._offer(context, now)

    def try_next_node(self, context: ResponseContext, now: float) -> None:
        """Send the INVITE to the next node, or fail where none is left."""
        state = self._state
        node = state.targets.choose(context.tried, now)
        if node is None or context.outgoing is None:
            self.fail_call(context, 503, EndReason.NO_CALLFLOW, now)
            return
        context.tried.append(node)
        state.calls.move(context.call_id, node)
        context.heard = False
        context.token = self._token(context, node)
        context.signed = self._sign(context, context.token)
        out = context.outgoing.copy()
        edits.push_record_route(out, context.signed, state.config.internal)
        self._send(context, out, state.config.internal, node, now)
        if len(context.tried) == 1:
            # Only now: until a node has it, the caller's repeating is what brings the call through the death of this process. A relay
            # that is slower than 17.2.1's 200 ms costs a repetition, which is absorbed.
            state.respond(context, context.request.make_response(100), now)
        state.targets.begin(node)
        context.counted = True
        state.timers.set(("failover", context.id), now + FAILOVER_SECONDS)

    def leave_node(self, context: ResponseContext, now: float) -> None:
        """Give the current node up: it rests, and what it still says is cancelled or hung up."""
        if context.client is not None and context.egress is not None:
            self._state.targets.rest(context.target, now)
            context.abandoned[context.client] = context.target
            self._state.layers[context.egress].cancel(context.client, now)
            self.settle(context)
            context.client = None

    def fail_call(self, context: ResponseContext, status: int, reason: EndReason, now: float) -> None:
        """End a call that no node has taken."""
        if context.finished:
            return
        self._state.refuse(context, status, now)
        self.release_broker(context)
        self._state.end_call(context.call_id, reason, now, status=status, ours=True)

    def release_broker(self, context: ResponseContext) -> None:
        """End the relay's session of a call, if it has one."""
        if context.relay == NO_RELAY:
            return
        tag = edits.side_tag(context.request, context.side)
        self._broker.delete(context.call_id, context.relay, tag)

    def settle(self, context: ResponseContext) -> None:
        """Note that the current node no longer has an INVITE to answer."""
        self._state.timers.cancel(("failover", context.id))
        if context.counted:
            context.counted = False
            self._state.targets.end(context.target)

    def _sign(self, context: ResponseContext, token: RouteToken) -> str:
        request = context.request
        tag = edits.side_tag(request, context.side)
        return token.sign(key=self._state.config.route_key, sip_call_id=request.call_id, caller_tag=tag)

    # Inside a dialog.

    def forward_inside_dialog(self, listener: Listener, key: Key, request: Request, source: Address, token: RouteToken, now: float) -> None:
        """Send a request along its dialog; its media passes the relay first."""
        state = self._state
        context = self._open(listener, key, request, source, token.call_id, token.relay, now=now)
        context.token, context.signed = token, edits.route_user(request)
        context.outgoing = self._prepare(listener.side, request)
        state.calls.touch(token.call_id, now)
        if request.method == "BYE" and listener.side is Side.EXTERNAL:
            state.calls.give_up(token.call_id)
        state.trace(token.call_id, listener, request, now, came_from=source)
        if request.method == "INVITE":
            state.respond(context, request.make_response(100), now)
        answers = request.method == "PRACK" and not token.offered
        transit = SdpTransit(token.call_id, token.relay, listener.side, source, is_offer=not answers)

        def then(body: bytes | Refusal, later: float) -> None:
            if isinstance(body, Refusal):
                state.refuse(context, body.value, later)
            elif not context.finished and context.outgoing is not None:
                context.outgoing.set_body(body)
                self._send_inside_dialog(context, later)

        def step(at: float) -> None:
            if context.offered:
                self._broker.rewrite(request, transit, then, at)
            else:
                self._send_inside_dialog(context, at)

        self._broker.take_turn(token.call_id, step, now)

    def forward_ack(self, listener: Listener, request: Request, source: Address, token: RouteToken, now: float) -> None:
        """Send the ACK of a 2xx on, without a transaction; its description is always an answer."""
        state, side = self._state, listener.side
        state.trace(token.call_id, listener, request, now, came_from=source)
        state.calls.touch(token.call_id, now)
        if side is Side.EXTERNAL:
            state.calls.acknowledge(token.call_id, now)
        out = self._prepare(side, request)
        transit = SdpTransit(token.call_id, token.relay, side, source, is_offer=False)

        def then(body: bytes | Refusal, later: float) -> None:
            # Without the relay the answer would lead the media past it: the peer repeats its 2xx and gives up.
            if isinstance(body, bytes):
                out.set_body(body)
                self._send_ack(side, out, token, later)

        def step(at: float) -> None:
            if has_description(request):
                self._broker.rewrite(request, transit, then, at)
            else:
                self._send_ack(side, out, token, at)

        self._broker.take_turn(token.call_id, step, now)

    # Steps.

    def _facts(self, invite: PendingInvite, application: AdmissionSnapshot, country: str | None, now: float) -> CallFacts:
        request = invite.request
        return CallFacts(
            call_id=self._state.sources.new_call_id(),
            application_id=application.application_id,
            account_id=application.account_id,
            sip_call_id=printable(request.call_id),
            from_uri=printable(request.from_.uri),
            to_uri=printable(request.to.uri),
            source_ip=invite.source[0],
            source_port=invite.source[1],
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
    ) -> ResponseContext:
        context = ResponseContext(listener, key, request, source, call_id, relay, initial, offered=has_description(request))
        self._state.contexts[context.id] = context
        if request.method == "INVITE":
            self._state.timers.set(("ring", context.id), now + TIMER_C_SECONDS)
        return context

    def _offer(self, context: ResponseContext, now: float) -> None:
        if not context.offered:
            self.try_next_node(context, now)
            return

        def then(body: bytes | Refusal, later: float) -> None:
            if context.finished:
                self.release_broker(context)
            elif isinstance(body, Refusal):
                self.fail_call(context, body.value, _REFUSALS[body], later)
            elif context.outgoing is not None:
                context.outgoing.set_body(body)
                self.try_next_node(context, later)

        transit = SdpTransit(context.call_id, context.relay, context.side, context.source, is_offer=True)
        self._broker.rewrite(context.request, transit, then, now)

    def _token(self, context: ResponseContext, node: Address) -> RouteToken:
        source, listener = context.source, context.listener
        nat = edits.is_behind_nat(context.request, source, listener.transport)
        return RouteToken(context.call_id, node, context.relay, source, context.offered, nat, listener.transport, listener.index)

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

    def _send_inside_dialog(self, context: ResponseContext, now: float) -> None:
        if context.outgoing is None or context.token is None:
            return
        egress, address = self._way(context.side, context.outgoing, context.token)
        self._send(context, context.outgoing, egress, address, now)

    def _send_ack(self, side: Side, out: Request, token: RouteToken, now: float) -> None:
        egress, address = self._way(side, out, token)
        self._push_via(out, egress)
        self._state.layers[egress].send_stateless(bytes(out), address)
        self._state.trace(token.call_id, egress, out, now, sent_to=address)

    def _send(self, context: ResponseContext, out: Request, egress: Listener, address: Address, now: float) -> None:
        self._push_via(out, egress)
        context.egress, context.target = egress, address
        context.client = self._state.layers[egress].send_request(out, address, now)
        self._state.by_client[egress, context.client] = context
        self._state.trace(context.call_id, egress, out, now, sent_to=address)

    def _push_via(self, out: Request, egress: Listener) -> None:
        config = self._state.config
        edits.push_via(out, egress, key=config.route_key, random=self._state.sources.new_token(), worker=config.worker)
