"""Responses on their way back, and what happens when none comes."""

from __future__ import annotations

from functools import partial

from daemonkit.address import Address
from sipproxy.core import edits
from sipproxy.core.forward import Forward
from sipproxy.core.limits import MAX_REWRITTEN, TIMER_C_SECONDS
from sipproxy.core.relay_broker import Refusal, RelayBroker, SdpTransit, has_description
from sipproxy.core.response_context import ResponseContext
from sipproxy.core.state import State
from sipproxy.sip import Request, Response
from sipproxy.transactions.events import Key, RequestTimedOut, ResponseReceived
from sipproxy.transactions.listener import Listener, Side
from voiceapps.rules.endings import EndReason


class ResponseForwarder:
    """Send responses back."""

    def __init__(self, state: State, broker: RelayBroker, forward: Forward) -> None:
        self._state = state
        self._broker = broker
        self._forward = forward

    def receive(self, listener: Listener, event: ResponseReceived, now: float) -> None:
        """Take a response that one of our client transactions let through; raises PeerError where it cannot be turned round."""
        context = self._state.by_client.get((listener, event.key))
        if context is None:
            return
        response = event.response
        _ = response.values("record-route")
        came_from = context.abandoned.get(event.key, context.target)
        self._state.trace(context.call_id, listener, response, now, came_from=came_from)
        if event.key in context.abandoned:
            if 200 <= response.status < 300:
                self._hang_up(context, event.key, context.abandoned[event.key], response, now)
            return
        self._note(context, response, now)
        if response.status != 100:
            self._broker.take_turn(context.call_id, partial(self._pass, context, response), now)

    def time_out(self, listener: Listener, event: RequestTimedOut, now: float) -> None:
        """Take the news that nobody answered."""
        context = self._state.by_client.get((listener, event.key))
        if context is None or event.key in context.abandoned:
            return
        if context.initial and not context.heard and not context.cancelled:
            self.pass_over(context, now)
        elif context.request.method == "INVITE" and not context.finished:
            self._fail(context, 487 if context.cancelled else 408, now)
        elif not context.finished:
            # Nobody waits for a 408 any more, and RFC 4320 4.1 forbids it.
            self._conclude(context, 408, now)
            self._state.layers[context.listener].forget(context.key)

    def pass_over(self, context: ResponseContext, now: float) -> None:
        """Leave a silent node for the next one."""
        if context.finished or context.heard:
            return
        self._forward.leave_node(context, now)
        self._forward.try_next_node(context, now)

    def stop_ringing(self, context: ResponseContext, now: float) -> None:
        """End an INVITE that rang for too long (timer C)."""
        if not context.finished:
            self._abandon(context, now)
            self._fail(context, 408, now)

    def cancel(self, context: ResponseContext, now: float) -> None:
        """Cancel hop by hop: the 487 comes from the next hop, or from us where that one is silent so far."""
        context.cancelled = True
        if context.heard and context.client is not None and context.egress is not None:
            self._state.layers[context.egress].cancel(context.client, now)
        elif not context.finished:
            self._abandon(context, now)
            self._fail(context, 487, now)

    def forget_client(self, listener: Listener, key: Key) -> None:
        """Note that a client transaction is gone."""
        self._state.by_client.pop((listener, key), None)

    # Steps.

    def _abandon(self, context: ResponseContext, now: float) -> None:
        if context.client is not None and context.egress is not None:
            self._state.layers[context.egress].cancel(context.client, now)
            context.abandoned[context.client] = context.target

    def _note(self, context: ResponseContext, response: Response, now: float) -> None:
        if not context.heard:
            context.heard = True
            self._state.timers.cancel(("failover", context.id))
        if 100 < response.status < 200 and context.request.method == "INVITE":
            self._state.timers.set(("ring", context.id), now + TIMER_C_SECONDS)

    def _pass(self, context: ResponseContext, response: Response, now: float) -> None:
        if self._should_fail_over(context, response):
            self._forward.leave_node(context, now)
            self._forward.try_next_node(context, now)
            return
        if response.status >= 300 or not has_description(response):
            self._send_back(context, response, response.body if response.status < 300 else None, now)
            return
        known = context.rewritten.get((response.to.tag, response.body))
        if known is not None:
            self._send_back(context, response, known, now)
        else:
            self._ask_relay(context, response, now)

    def _should_fail_over(self, context: ResponseContext, response: Response) -> bool:
        open_still = context.initial and not context.ringing and not context.cancelled
        return open_still and response.status == 503

    def _ask_relay(self, context: ResponseContext, response: Response, now: float) -> None:
        sender = context.side.other
        answers = context.offered or context.request.method != "INVITE"
        transit = SdpTransit(context.call_id, context.relay, sender, context.target, is_offer=not answers)

        def then(body: bytes | Refusal, later: float) -> None:
            if isinstance(body, Refusal):
                self._lose_broker(context, response, later)
                return
            if len(context.rewritten) < MAX_REWRITTEN:
                context.rewritten[response.to.tag, response.body] = body
            self._send_back(context, response, body, later)

        self._broker.rewrite(response, transit, then, now)

    def _lose_broker(self, context: ResponseContext, response: Response, now: float) -> None:
        """Handle a description that the relay did not take: it must not lead the media past the relay."""
        if response.status < 200:
            return
        if context.initial and context.client is not None:
            self._hang_up(context, context.client, context.target, response, now)
            context.abandoned[context.client] = context.target
        self._fail(context, 503, now)

    def _send_back(self, context: ResponseContext, response: Response, body: bytes | None, now: float) -> None:
        if context.finished and not 200 <= response.status < 300:
            return
        if context.side is Side.EXTERNAL and 300 <= response.status < 400:
            # A redirection would name addresses of the inside.
            self._fail(context, 480, now)
            return
        out = response.copy()
        edits.put_vias_back(out, context.request)
        if context.side is Side.EXTERNAL:
            outer = edits.outer_entry(response, context.signed, context.listener, self._state.config)
            edits.turn_response_outside(out, context.request.uri_text, context.signed, outer)
        if body is not None and body != out.body:
            out.set_body(body)
        elif response.status >= 300 and has_description(response):
            # What the target could do instead names its own addresses, and no relay stands between.
            out.set_body(b"")
            out.remove("Content-Type")
        context.ringing = context.ringing or response.status < 200
        if response.is_final and not context.finished:
            if context.initial and response.status < 300:
                self._state.calls.accept(context.call_id)
            self._conclude(context, response.status, now)
        self._state.respond(context, out, now)

    def _fail(self, context: ResponseContext, status: int, now: float) -> None:
        self._conclude(context, status, now)
        self._state.refuse(context, status, now)

    def _conclude(self, context: ResponseContext, status: int, now: float) -> None:
        """Do what the end of an context means for its call."""
        self._forward.settle(context)
        self._state.timers.cancel(("ring", context.id))
        if context.initial and status >= 300:
            self._forward.release_broker(context)
            cancelled = context.cancelled or self._state.calls.is_given_up(context.call_id)
            reason = EndReason.CALLER_CANCELLED if cancelled else EndReason.TARGET_REFUSED
            self._state.end_call(context.call_id, reason, now, status=status, ours=not context.heard)
        elif context.request.method == "BYE":
            self._forward.release_broker(context)
            self._end_by_bye(context, now)

    def _end_by_bye(self, context: ResponseContext, now: float) -> None:
        if context.side is Side.INTERNAL:
            self._state.end_call(context.call_id, EndReason.APPLICATION_HANGUP, now, status=200)
        elif self._state.calls.is_given_up(context.call_id):
            self._state.end_call(context.call_id, EndReason.CALLER_CANCELLED, now, status=487)
        else:
            self._state.end_call(context.call_id, EndReason.CALLER_HANGUP, now, status=200)

    def _hang_up(self, context: ResponseContext, client: Key, address: Address, response: Response, now: float) -> None:
        """Acknowledge a 2xx that nobody wants and end its dialog; the BYE goes once, the ACK each time."""
        egress = self._state.config.internal
        layer = self._state.layers[egress]
        ack = self._own_request(context, response, "ACK", egress)
        layer.send_stateless(bytes(ack), address)
        self._state.trace(context.call_id, egress, ack, now, sent_to=address)
        if client not in context.hung_up:
            context.hung_up.add(client)
            bye = self._own_request(context, response, "BYE", egress)
            layer.send_request(bye, address, now)
            self._state.trace(context.call_id, egress, bye, now, sent_to=address)

    def _own_request(self, context: ResponseContext, response: Response, method: str, egress: Listener) -> Request:
        request = context.request
        number = request.cseq.number + (method == "BYE")
        headers = [
            ("Via", edits.via_text(egress, self._state.layers[egress].new_branch())),
            ("Max-Forwards", "70"),
            ("From", request.header("from") or ""),
            ("To", response.header("to") or ""),
            ("Call-ID", request.call_id),
            ("CSeq", f"{number} {method}"),
        ]
        return Request.build(method, edits.contact_uri(response) or request.uri_text, headers)
