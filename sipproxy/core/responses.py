"""Responses on their way back (RFC 3261 16.7), and what happens when none comes."""

from __future__ import annotations

from functools import partial

from daemonkit.address import Address
from sipproxy.core.call_end import CallEnd
from sipproxy.core.call_start import CallStart
from sipproxy.core.limits import MAX_REWRITTEN, TIMER_C_SECONDS
from sipproxy.core.message_trace import MessageTrace
from sipproxy.core.relay_broker import Refusal, RelayBroker, SdpTransit, has_description
from sipproxy.core.responder import Responder
from sipproxy.core.response_context import CANCELLED, Input, Phase, ResponseContext
from sipproxy.core.shared import ContextTimer, Shared
from sipproxy.headers import contacts, edits
from sipproxy.sip import Request, Response
from sipproxy.transactions.events import Key, RequestTimedOut, ResponseReceived
from sipproxy.transactions.listener import Listener, Side


class ResponseForwarder:
    """The way of responses back to the sender of their request."""

    def __init__(
        self, shared: Shared, *, responder: Responder, trace: MessageTrace, broker: RelayBroker, start: CallStart, ends: CallEnd
    ) -> None:
        self._shared = shared
        self._responder = responder
        self._trace = trace
        self._broker = broker
        self._start = start
        self._ends = ends

    def receive(self, listener: Listener, event: ResponseReceived, now: float) -> None:
        """Take a response that one of our client transactions let through; raises PeerError if it cannot be forwarded."""
        context = self._shared.by_client.get((listener, event.key))
        if context is None:
            return
        response = event.response
        _ = response.values("record-route")
        came_from = context.abandoned.get(event.key, context.target)
        self._trace.trace(context.call_id, listener, response, now, came_from=came_from)
        if event.key in context.abandoned:
            if 200 <= response.status < 300:
                self._hang_up(context, event.key, context.abandoned[event.key], response, now)
            return
        self._note(context, response, now)
        if response.status != 100:
            self._broker.take_turn(context.call_id, partial(self._pass, context, response), now)

    def time_out(self, listener: Listener, event: RequestTimedOut, now: float) -> None:
        """Handle a request that its target did not answer: another node, 408, or silence."""
        context = self._shared.by_client.get((listener, event.key))
        if context is None or event.key in context.abandoned or context.phase is Phase.FINISHED:
            return
        if context.initial and context.phase is Phase.CALLING:
            self._start.fail_over(context, now)
        elif context.request.method == "INVITE":
            self._ends.refuse(context, 487 if context.phase in CANCELLED else 408, now)
        else:
            # The sender has given up too, and RFC 4320 4.1 forbids the 408.
            self._ends.conclude(context, 408, now)
            self._shared.layers[context.listener].forget(context.key)

    def on_timer(self, timer: ContextTimer, context: ResponseContext, now: float) -> None:
        """Leave a silent node for the next one, or end an INVITE that has no final response for too long (timer C)."""
        if timer is ContextTimer.FAILOVER:
            if context.phase is Phase.CALLING:
                self._start.fail_over(context, now)
        elif context.phase is not Phase.FINISHED:
            self._abandon(context, now)
            self._ends.refuse(context, 408, now)

    def cancel(self, context: ResponseContext, now: float) -> None:
        """Cancel hop by hop: the 487 comes from the next hop, or from us if that one has not answered yet."""
        context.move(Input.CANCEL)
        if context.phase is Phase.CANCELLING:
            self._cancel_client(context, now)
        elif context.phase is Phase.CANCELLED:
            self._abandon(context, now)
            self._ends.refuse(context, 487, now)

    # Steps.

    def _abandon(self, context: ResponseContext, now: float) -> None:
        """Give up the request at its target: a late 2xx is hung up."""
        self._cancel_client(context, now)
        if context.client is not None:
            context.abandoned[context.client] = context.target

    def _cancel_client(self, context: ResponseContext, now: float) -> None:
        if context.client is not None and context.egress is not None:
            self._shared.layers[context.egress].cancel(context.client, now)

    def _note(self, context: ResponseContext, response: Response, now: float) -> None:
        if context.phase is Phase.CALLING:
            context.move(Input.TARGET_ANSWERED)
            self._shared.timers.cancel((ContextTimer.FAILOVER, context.id))
        if 100 < response.status < 200 and context.request.method == "INVITE":
            self._shared.timers.set((ContextTimer.TIMER_C, context.id), now + TIMER_C_SECONDS)

    def _pass(self, context: ResponseContext, response: Response, now: float) -> None:
        if response.status == 503 and context.initial and context.phase in (Phase.CALLING, Phase.PROCEEDING):
            self._start.fail_over(context, now)
            return
        if context.passed_on or response.status >= 300 or not has_description(response):
            self._send_back(context, response, response.body if response.status < 300 else None, now)
            return
        known = context.rewritten.get((response.to.tag, response.body))
        if known is not None:
            self._send_back(context, response, known, now)
        else:
            self._ask_relay(context, response, now)

    def _ask_relay(self, context: ResponseContext, response: Response, now: float, tried: tuple[Address, ...] = ()) -> None:
        """Have the relay rewrite a description, or the next one where it drains, is full or is silent and holds nothing of the call yet."""
        sender = context.side.other
        answers = context.offered or context.request.method != "INVITE"
        transit = SdpTransit(context.call_id, context.relay, sender, context.target, is_offer=not answers, terms=context.terms)

        def on_rewritten(body: bytes | Refusal, later: float) -> None:
            if isinstance(body, Refusal):
                left = (*tried, context.relay)
                if body is Refusal.UNAVAILABLE and self._opens_session(context) and self._start.change_relay(context, left):
                    self._ask_relay(context, response, later, left)
                else:
                    self._lose_media(context, response, later)
                return
            if len(context.rewritten) < MAX_REWRITTEN:
                context.rewritten[response.to.tag, response.body] = body
            self._send_back(context, response, body, later)

        self._broker.rewrite(response, transit, on_rewritten, now)

    def _opens_session(self, context: ResponseContext) -> bool:
        """Return whether the first offer of a call is on its way: the caller made none, and has seen none."""
        return context.initial and not context.offered and not context.rewritten and context.phase is not Phase.FINISHED

    def _lose_media(self, context: ResponseContext, response: Response, now: float) -> None:
        """Drop a response whose description the relay did not rewrite: it would lead the media past the relay."""
        if response.status < 200:
            return
        if context.initial and context.client is not None:
            self._hang_up(context, context.client, context.target, response, now)
            context.abandoned[context.client] = context.target
        self._ends.refuse(context, 503, now)

    def _send_back(self, context: ResponseContext, response: Response, body: bytes | None, now: float) -> None:
        if context.phase is Phase.FINISHED and not 200 <= response.status < 300:
            return
        if context.side is Side.EXTERNAL and 300 <= response.status < 400:
            # A redirection would show addresses of our nodes.
            self._ends.refuse(context, 480, now)
            return
        out = response.copy()
        edits.put_vias_back(out, context.request)
        if context.side is Side.EXTERNAL:
            called, config, recorded = context.request.uri_text, self._shared.config, context.recorded
            edits.turn_response_outside(out, called, context.signed, context.listener, config, recorded=recorded, inner=context.inner)
        elif context.request.method in contacts.REFRESHES:
            # The answer's Contact is a new one to the call flow: it must not lose the flow that the old one carried.
            contacts.show_flow(out, context.signed_flow)
        if body is not None and body != out.body:
            out.set_body(body)
        elif response.status >= 300 and has_description(response):
            # A description in a failure names the target's own addresses, which no relay has rewritten.
            out.set_body(b"")
            out.remove("Content-Type")
        if response.is_final and context.phase is not Phase.FINISHED:
            if context.initial and response.status < 300:
                dialog = response.call_id, response.from_.tag, response.to.tag
                self._shared.calls.accept(context.call_id, dialog, context.signed)
            if response.status < 300 and not has_description(response):
                self._ends.take_offer_back(context, now)
            self._ends.conclude(context, response.status, now)
        self._responder.respond(context, out, now)

    def _hang_up(self, context: ResponseContext, client: Key, address: Address, response: Response, now: float) -> None:
        """Acknowledge a 2xx that came too late and end its dialog; the BYE is sent once, the ACK for each copy."""
        egress = self._shared.config.internal
        layer = self._shared.layers[egress]
        ack = self._own_request(context, response, "ACK", egress)
        layer.send_stateless(bytes(ack), address)
        self._trace.trace(context.call_id, egress, ack, now, sent_to=address)
        if client not in context.hung_up:
            context.hung_up.add(client)
            bye = self._own_request(context, response, "BYE", egress)
            layer.send_request(bye, address, now)
            self._trace.trace(context.call_id, egress, bye, now, sent_to=address)

    def _own_request(self, context: ResponseContext, response: Response, method: str, egress: Listener) -> Request:
        request = context.request
        number = request.cseq.number + (method == "BYE")
        headers = [
            ("Via", edits.via_text(egress, self._shared.layers[egress].new_branch())),
            ("Max-Forwards", "70"),
            ("From", request.header("from") or ""),
            ("To", response.header("to") or ""),
            ("Call-ID", request.call_id),
            ("CSeq", f"{number} {method}"),
        ]
        return Request.build(method, contacts.contact_uri(response) or request.uri_text, headers)
