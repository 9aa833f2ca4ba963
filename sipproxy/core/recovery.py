"""Answers to calls whose transaction is gone, because the process that held it died.

A node repeats its 2xx until the ACK comes (RFC 3261 13.3.1.4). After `kill -9` the worker that replaces the dead one gets it, and
knows nothing of the call; the caller has got 100 and retransmits nothing. RFC 6026 8.5 forbids forwarding such a 2xx, as anybody
could have sent it. This one is proven: it comes from a node, and its Record-Route returns the token that we signed for this
dialog. The token names the relay, which still has the session, and the response's own Vias lead to the caller.
"""

from __future__ import annotations

from sipproxy.core.message_trace import MessageTrace
from sipproxy.core.relay_broker import Refusal, RelayBroker, SdpTransit, has_description
from sipproxy.core.shared import Shared
from sipproxy.headers import edits
from sipproxy.headers.record_route import RouteToken
from sipproxy.sip import Response
from sipproxy.transactions.listener import Listener, Side


class Recovery:
    """The way of a 2xx without a transaction back to its caller."""

    def __init__(self, shared: Shared, *, trace: MessageTrace, broker: RelayBroker) -> None:
        self._shared = shared
        self._trace = trace
        self._broker = broker

    def receive(self, listener: Listener, response: Response, now: float) -> None:
        """Take a 2xx to an INVITE that no transaction waits for; it is dropped if it has no token of ours. Raises PeerError."""
        signed = edits.recorded_token(response) if listener.side is Side.INTERNAL and len(response.values("via")) > 1 else ""
        token, shown = self._read(signed, response)
        if token is None or self._shared.calls.is_left(token.call_id, token.callflow):
            return
        out = response.copy()
        out.replace_top_value("Via", None)
        listener = self._shared.config.external_listener(token.flow.transport, token.flow.index)
        address = token.flow.caller if listener.transport.is_stream else out.top_via.reply_address()
        edits.turn_response_outside(out, response.to.uri, shown, listener, self._shared.config, recorded=signed)
        self._trace.trace(token.call_id, listener, response, now, came_from=token.callflow)
        transit = SdpTransit(token.call_id, token.relay, Side.INTERNAL, token.callflow, is_offer=not token.offered)

        def on_rewritten(body: bytes | Refusal, later: float) -> None:
            # The node repeats its 2xx: a relay that was silent once is asked again.
            if isinstance(body, bytes):
                out.set_body(body)
                send(later)

        def send(later: float) -> None:
            self._shared.layers[listener].send_stateless(bytes(out), address)
            self._trace.trace(token.call_id, listener, out, later, sent_to=address)

        def step(at: float) -> None:
            if has_description(response):
                self._broker.rewrite(response, transit, on_rewritten, at)
            else:
                send(at)

        self._broker.take_turn(token.call_id, step, now)

    def _read(self, signed: str, response: Response) -> tuple[RouteToken | None, str]:
        """Return a token and the text that the caller gets for it."""
        seal = self._shared.config.seal(response.call_id, response.from_.tag)
        token = RouteToken.parse(signed, seal)
        return (None, "") if token is None else self._shared.calls.renew(token, signed, seal)
