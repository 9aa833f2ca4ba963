"""How requests leave, and the way of those inside a dialog, which follow their token, or the flow that the caller has moved to."""

from __future__ import annotations

from daemonkit.address import Address
from sipproxy.core.events import ReportMade
from sipproxy.core.limits import TIMER_C_SECONDS
from sipproxy.core.message_trace import MessageTrace
from sipproxy.core.relay_broker import Refusal, RelayBroker, SdpTransit, has_description
from sipproxy.core.responder import Responder
from sipproxy.core.response_context import Phase, ResponseContext
from sipproxy.core.shared import ContextTimer, Shared
from sipproxy.headers import edits
from sipproxy.headers.call_headers import AGE_HEADER, LATE_HEADER
from sipproxy.headers.dialog import Turned, turn_inside, turn_outside
from sipproxy.headers.flow import Flow
from sipproxy.headers.record_route import RouteToken
from sipproxy.sip import Request
from sipproxy.transactions.events import Key
from sipproxy.transactions.listener import Listener, Side
from voiceapps.rules.reports import CallAnswered


class RequestSender:
    """The way out for requests: each opens a response context and leaves with a Via of ours."""

    def __init__(self, shared: Shared, trace: MessageTrace) -> None:
        self._shared = shared
        self._trace = trace

    def open(self, context: ResponseContext, now: float) -> None:
        """Remember a request that is let through; an INVITE has timer C from now on."""
        self._shared.contexts[context.id] = context
        if context.request.method == "INVITE":
            self._shared.timers.set((ContextTimer.TIMER_C, context.id), now + TIMER_C_SECONDS)

    def send(self, context: ResponseContext, out: Request, egress: Listener, target: Address, now: float) -> None:
        """Send a context's request to a target, in a client transaction."""
        self._push_via(out, egress)
        context.egress, context.target = egress, target
        tells_age = out.method == "BYE" and egress is self._shared.config.internal and not self._shared.config.has_static_targets
        context.client = self._shared.layers[egress].send_request(out, target, now, age_header=AGE_HEADER if tells_age else "")
        self._shared.by_client[egress, context.client] = context
        self._trace.trace(context.call_id, egress, out, now, sent_to=target)

    def send_ack(self, call_id: str, ack: Request, egress: Listener, target: Address, now: float) -> None:
        """Send the ACK of a 2xx, which has no transaction."""
        self._push_via(ack, egress)
        self._shared.layers[egress].send_stateless(bytes(ack), target)
        self._trace.trace(call_id, egress, ack, now, sent_to=target)

    def _push_via(self, out: Request, egress: Listener) -> None:
        config = self._shared.config
        edits.push_via(out, egress, key=config.route_keys[0], random=self._shared.hooks.new_token(), worker=config.worker)


class DialogForwarder:
    """The way of requests inside a dialog; their session descriptions pass the relay first."""

    def __init__(self, shared: Shared, *, responder: Responder, trace: MessageTrace, broker: RelayBroker, sender: RequestSender) -> None:
        self._shared = shared
        self._responder = responder
        self._trace = trace
        self._broker = broker
        self._sender = sender

    def forward(self, listener: Listener, key: Key, request: Request, source: Address, token: RouteToken, signed: str, now: float) -> None:  # noqa: PLR0913  # one request with all that is known of it
        """Send a request along the dialog that its token describes; `signed` is the token's text."""
        context = ResponseContext(
            listener, key, request, source, token.call_id, token.relay, initial=False, offered=has_description(request)
        )
        self._sender.open(context, now)
        context.token, context.signed = token, signed
        turned = self._turn(listener, request, source, token, signed)
        context.outgoing, context.signed_flow, context.inner = turned.out, turned.signed_flow, turned.inner
        self._note(listener.side, request, token, now)
        if request.method == "BYE" and listener.side is Side.EXTERNAL and self._shared.hooks.is_late(now):
            turned.out.append(LATE_HEADER, "1")
        self._trace.trace(token.call_id, listener, request, now, came_from=source)
        if request.method == "INVITE":
            self._responder.respond(context, request.make_response(100), now)
        other = self._other_proxy(turned)
        if other is not None:
            self._pass_on(context, other, now)
        else:
            self._send_in_turn(context, turned.flow, now)

    def forward_ack(self, listener: Listener, request: Request, source: Address, token: RouteToken, signed: str, now: float) -> None:
        """Forward the ACK of a 2xx, without a transaction; its description is always an answer."""
        side = listener.side
        self._trace.trace(token.call_id, listener, request, now, came_from=source)
        self._shared.calls.touch(token.call_id, now)
        if side is Side.EXTERNAL:
            self._acknowledge(token.call_id, now)
        turned = self._turn(listener, request, source, token, signed)
        other = self._other_proxy(turned)
        if other is not None:
            self._sender.send_ack(token.call_id, _counted(request, signed), self._shared.config.internal, other, now)
            return
        out = turned.out
        transit = SdpTransit(token.call_id, token.relay, side, source, is_offer=False)

        def on_rewritten(body: bytes | Refusal, later: float) -> None:
            # An answer that the relay did not rewrite would lead the media past it: the peer repeats its 2xx and gives up.
            if isinstance(body, bytes):
                out.set_body(body)
                self._send_ack(side, out, token, turned.flow, later)

        def step(at: float) -> None:
            if has_description(request):
                self._broker.rewrite(request, transit, on_rewritten, at)
            else:
                self._send_ack(side, out, token, turned.flow, at)

        self._broker.take_turn(token.call_id, step, now)
        if not has_description(request):
            # The 2xx may have made an offer, which this ACK does not answer.
            self._broker.take_back(token.call_id, token.relay, request.to.tag, now)

    # Steps.

    def _note(self, side: Side, request: Request, token: RouteToken, now: float) -> None:
        calls = self._shared.calls
        calls.touch(token.call_id, now)
        if request.method == "BYE" and side is Side.EXTERNAL:
            calls.give_up(token.call_id)

    def _acknowledge(self, call_id: str, now: float) -> None:
        """Note the ACK of a call; at a static target nobody else tells that it is answered."""
        shared = self._shared
        answered = shared.calls.acknowledge(call_id, now)
        if answered is not None and shared.config.has_static_targets:
            shared.events.tell(ReportMade(CallAnswered(answered, shared.config.name, shared.hooks.wall(now))))

    def _turn(self, listener: Listener, request: Request, source: Address, token: RouteToken, signed: str) -> Turned:
        config = self._shared.config
        if listener.side is Side.INTERNAL:
            return turn_outside(request, token, signed, config)
        came_by = Flow.of(listener, source, behind_nat=edits.is_behind_nat(request, source, listener.transport))
        return turn_inside(request, token, came_by, config, is_here=self._shared.calls.has(token.call_id))

    def _other_proxy(self, turned: Turned) -> Address | None:
        """Return the proxy that has the caller's flow, None where this one sends: it has it, or that one is gone."""
        proxy = turned.proxy
        return proxy if proxy in self._shared.proxies else None

    def _pass_on(self, context: ResponseContext, proxy: Address, now: float) -> None:
        """Let another proxy of the fleet send a request: it does for it all that this one would have done."""
        context.passed_on = True
        self._sender.send(context, _counted(context.request, context.signed), self._shared.config.internal, proxy, now)

    def _send_in_turn(self, context: ResponseContext, flow: Flow, now: float) -> None:
        """Send a request as soon as no earlier message of its call waits at the relay, and its own description has passed there."""
        request, token = context.request, context.token
        answers = request.method == "PRACK" and token is not None and not token.offered
        transit = SdpTransit(context.call_id, context.relay, context.side, context.source, is_offer=not answers)

        def on_rewritten(body: bytes | Refusal, later: float) -> None:
            if isinstance(body, Refusal):
                self._responder.refuse(context, body.value, later)
            elif context.phase is not Phase.FINISHED and context.outgoing is not None:
                context.outgoing.set_body(body)
                self._send(context, flow, later)

        def step(at: float) -> None:
            if context.offered:
                self._broker.rewrite(request, transit, on_rewritten, at)
            else:
                self._send(context, flow, at)

        self._broker.take_turn(context.call_id, step, now)

    def _way(self, side: Side, out: Request, token: RouteToken, flow: Flow) -> tuple[Listener, Address]:
        shared = self._shared
        config = shared.config
        if side is Side.EXTERNAL:
            return config.internal, token.callflow
        came_to = config.external_listener(flow.transport, flow.index)
        if came_to.transport.is_stream and shared.hooks.is_connected(came_to, flow.caller):
            return came_to, flow.caller
        transport, address = edits.next_hop_outside(out, flow, shared.own_hosts)
        return config.external_listener(transport, flow.index), address

    def _send(self, context: ResponseContext, flow: Flow, now: float) -> None:
        if context.outgoing is None or context.token is None:
            return
        egress, address = self._way(context.side, context.outgoing, context.token, flow)
        self._sender.send(context, context.outgoing, egress, address, now)

    def _send_ack(self, side: Side, out: Request, token: RouteToken, flow: Flow, now: float) -> None:  # noqa: PLR0913  # as `_way`
        egress, address = self._way(side, out, token, flow)
        self._sender.send_ack(token.call_id, out, egress, address, now)


def _counted(request: Request, signed: str) -> Request:
    """Return a request that has gone one hop further, with its token as it is by now: only this proxy knows of another relay."""
    out = request.copy()
    edits.count_hop(out)
    edits.renew_own_route(out, signed)
    return out
