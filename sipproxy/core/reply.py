"""Responses on their way back, and what happens when none comes."""

from __future__ import annotations

from functools import partial

from daemonkit.address import Address
from sipproxy.core import edits
from sipproxy.core.exchange import Exchange
from sipproxy.core.forward import Forward
from sipproxy.core.limits import MAX_REWRITTEN, RING_SECONDS
from sipproxy.core.media import Media, Passage, Refusal, has_description
from sipproxy.core.state import State
from sipproxy.sip import Request, Response
from sipproxy.transactions.events import Key, RequestTimedOut, ResponseReceived
from sipproxy.transactions.listener import Listener, Side
from voiceapps.rules.endings import EndReason


class Reply:
    """Send responses back."""

    def __init__(self, state: State, media: Media, forward: Forward) -> None:
        self._state = state
        self._media = media
        self._forward = forward

    def receive(self, listener: Listener, event: ResponseReceived, now: float) -> None:
        """Take a response that one of our client transactions let through; raises PeerError where it cannot be turned round."""
        exchange = self._state.by_client.get((listener, event.key))
        if exchange is None:
            return
        response = event.response
        _ = response.values("record-route")
        came_from = exchange.abandoned.get(event.key, exchange.target)
        self._state.draw(exchange.call_id, listener, response, now, came_from=came_from)
        if event.key in exchange.abandoned:
            if 200 <= response.status < 300:
                self._hang_up(exchange, event.key, exchange.abandoned[event.key], response, now)
            return
        self._note(exchange, response, now)
        if response.status != 100:
            self._media.take_turn(exchange.call_id, partial(self._pass, exchange, response), now)

    def time_out(self, listener: Listener, event: RequestTimedOut, now: float) -> None:
        """Take the news that nobody answered."""
        exchange = self._state.by_client.get((listener, event.key))
        if exchange is None or event.key in exchange.abandoned:
            return
        if exchange.initial and not exchange.heard and not exchange.cancelled:
            self.pass_over(exchange, now)
        elif exchange.request.method == "INVITE" and not exchange.finished:
            self._fail(exchange, 487 if exchange.cancelled else 408, now)
        elif not exchange.finished:
            # Nobody waits for a 408 any more, and RFC 4320 4.1 forbids it.
            self._conclude(exchange, 408, now)
            self._state.layers[exchange.listener].forget(exchange.key)

    def pass_over(self, exchange: Exchange, now: float) -> None:
        """Leave a silent node for the next one."""
        if exchange.finished or exchange.heard:
            return
        self._forward.leave_node(exchange, now)
        self._forward.try_next_node(exchange, now)

    def stop_ringing(self, exchange: Exchange, now: float) -> None:
        """End an INVITE that rang for too long (timer C)."""
        if not exchange.finished:
            self._abandon(exchange, now)
            self._fail(exchange, 408, now)

    def cancel(self, exchange: Exchange, now: float) -> None:
        """Cancel hop by hop: the 487 comes from the next hop, or from us where that one is silent so far."""
        exchange.cancelled = True
        if exchange.heard and exchange.client is not None and exchange.leaving is not None:
            self._state.layers[exchange.leaving].cancel(exchange.client, now)
        elif not exchange.finished:
            self._abandon(exchange, now)
            self._fail(exchange, 487, now)

    def forget_client(self, listener: Listener, key: Key) -> None:
        """Note that a client transaction is gone."""
        self._state.by_client.pop((listener, key), None)

    # Steps.

    def _abandon(self, exchange: Exchange, now: float) -> None:
        if exchange.client is not None and exchange.leaving is not None:
            self._state.layers[exchange.leaving].cancel(exchange.client, now)
            exchange.abandoned[exchange.client] = exchange.target

    def _note(self, exchange: Exchange, response: Response, now: float) -> None:
        if not exchange.heard:
            exchange.heard = True
            self._state.timers.cancel(("failover", exchange.id))
        if 100 < response.status < 200 and exchange.request.method == "INVITE":
            self._state.timers.set(("ring", exchange.id), now + RING_SECONDS)

    def _pass(self, exchange: Exchange, response: Response, now: float) -> None:
        if self._should_fail_over(exchange, response):
            self._forward.leave_node(exchange, now)
            self._forward.try_next_node(exchange, now)
            return
        if response.status >= 300 or not has_description(response):
            self._send_back(exchange, response, response.body if response.status < 300 else None, now)
            return
        known = exchange.rewritten.get((response.to.tag, response.body))
        if known is not None:
            self._send_back(exchange, response, known, now)
        else:
            self._ask_relay(exchange, response, now)

    def _should_fail_over(self, exchange: Exchange, response: Response) -> bool:
        open_still = exchange.initial and not exchange.ringing and not exchange.cancelled
        return open_still and response.status == 503

    def _ask_relay(self, exchange: Exchange, response: Response, now: float) -> None:
        sender = exchange.side.other
        answers = exchange.offered or exchange.request.method != "INVITE"
        passage = Passage(exchange.call_id, exchange.relay, sender, exchange.target, is_offer=not answers)

        def then(body: bytes | Refusal, later: float) -> None:
            if isinstance(body, Refusal):
                self._lose_media(exchange, response, later)
                return
            if len(exchange.rewritten) < MAX_REWRITTEN:
                exchange.rewritten[response.to.tag, response.body] = body
            self._send_back(exchange, response, body, later)

        self._media.rewrite(response, passage, then, now)

    def _lose_media(self, exchange: Exchange, response: Response, now: float) -> None:
        """Handle a description that the relay did not take: it must not lead the media past the relay."""
        if response.status < 200:
            return
        if exchange.initial and exchange.client is not None:
            self._hang_up(exchange, exchange.client, exchange.target, response, now)
            exchange.abandoned[exchange.client] = exchange.target
        self._fail(exchange, 503, now)

    def _send_back(self, exchange: Exchange, response: Response, body: bytes | None, now: float) -> None:
        if exchange.finished and not 200 <= response.status < 300:
            return
        if exchange.side is Side.EXTERNAL and 300 <= response.status < 400:
            # A redirection would name addresses of the inside.
            self._fail(exchange, 480, now)
            return
        out = response.copy()
        edits.put_vias_back(out, exchange.request)
        if exchange.side is Side.EXTERNAL:
            outer = edits.outer_entry(response, exchange.signed, exchange.listener, self._state.config)
            edits.turn_response_outside(out, exchange.request.uri_text, exchange.signed, outer)
        if body is not None and body != out.body:
            out.set_body(body)
        elif response.status >= 300 and has_description(response):
            # What the target could do instead names its own addresses, and no relay stands between.
            out.set_body(b"")
            out.remove("Content-Type")
        exchange.ringing = exchange.ringing or response.status < 200
        if response.is_final and not exchange.finished:
            if exchange.initial and response.status < 300:
                self._state.calls.accept(exchange.call_id)
            self._conclude(exchange, response.status, now)
        self._state.respond(exchange, out, now)

    def _fail(self, exchange: Exchange, status: int, now: float) -> None:
        self._conclude(exchange, status, now)
        self._state.refuse(exchange, status, now)

    def _conclude(self, exchange: Exchange, status: int, now: float) -> None:
        """Do what the end of an exchange means for its call."""
        self._forward.settle(exchange)
        self._state.timers.cancel(("ring", exchange.id))
        if exchange.initial and status >= 300:
            self._forward.release_media(exchange)
            cancelled = exchange.cancelled or self._state.calls.is_given_up(exchange.call_id)
            reason = EndReason.CALLER_CANCELLED if cancelled else EndReason.TARGET_REFUSED
            self._state.end_call(exchange.call_id, reason, now, status=status, ours=not exchange.heard)
        elif exchange.request.method == "BYE":
            self._forward.release_media(exchange)
            self._end_by_bye(exchange, now)

    def _end_by_bye(self, exchange: Exchange, now: float) -> None:
        if exchange.side is Side.INTERNAL:
            self._state.end_call(exchange.call_id, EndReason.APPLICATION_HANGUP, now, status=200)
        elif self._state.calls.is_given_up(exchange.call_id):
            self._state.end_call(exchange.call_id, EndReason.CALLER_CANCELLED, now, status=487)
        else:
            self._state.end_call(exchange.call_id, EndReason.CALLER_HANGUP, now, status=200)

    def _hang_up(self, exchange: Exchange, client: Key, address: Address, response: Response, now: float) -> None:
        """Acknowledge a 2xx that nobody wants and end its dialog; the BYE goes once, the ACK each time."""
        leaving = self._state.config.internal
        layer = self._state.layers[leaving]
        ack = self._own_request(exchange, response, "ACK", leaving)
        layer.send_stateless(bytes(ack), address)
        self._state.draw(exchange.call_id, leaving, ack, now, sent_to=address)
        if client not in exchange.hung_up:
            exchange.hung_up.add(client)
            bye = self._own_request(exchange, response, "BYE", leaving)
            layer.send_request(bye, address, now)
            self._state.draw(exchange.call_id, leaving, bye, now, sent_to=address)

    def _own_request(self, exchange: Exchange, response: Response, method: str, leaving: Listener) -> Request:
        request = exchange.request
        number = request.cseq.number + (method == "BYE")
        headers = [
            ("Via", edits.via_text(leaving, self._state.layers[leaving].new_branch())),
            ("Max-Forwards", "70"),
            ("From", request.header("from") or ""),
            ("To", response.header("to") or ""),
            ("Call-ID", request.call_id),
            ("CSeq", f"{number} {method}"),
        ]
        return Request.build(method, edits.contact_uri(response) or request.uri_text, headers)
