"""How responses leave: our own and those that are forwarded, counted and traced."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from daemonkit.address import Address
from sipproxy.core.events import ProxyEvent, ResponseSent, method_label
from sipproxy.core.limits import RETRY_AFTER_SECONDS
from sipproxy.core.message_trace import MessageTrace
from sipproxy.core.response_context import Input, ResponseContext
from sipproxy.sip import Request, Response
from sipproxy.transactions.events import Key
from sipproxy.transactions.layer import TransactionLayer
from sipproxy.transactions.listener import Listener, Side


class Responder:
    """The way out for responses to requests of either side."""

    def __init__(
        self,
        layers: Mapping[Listener, TransactionLayer],
        trace: MessageTrace,
        *,
        new_token: Callable[[], str],
        tell: Callable[[ProxyEvent], None],
    ) -> None:
        self._layers = layers
        self._trace = trace
        self._new_token = new_token
        self._tell = tell

    def make_response(self, request: Request, status: int, reason: str | None = None, *, is_passing: bool = False) -> Response:
        """Make a response of our own; a 503, or the refusal of a limit that `is_passing`, asks the sender to come back later."""
        response = request.make_response(status, reason, to_tag=self._new_token())
        if status == 503 or is_passing:
            response.append("Retry-After", str(RETRY_AFTER_SECONDS))
        return response

    def answer(self, listener: Listener, request: Request, response: Response, source: Address) -> None:
        """Send a response without any state."""
        self._layers[listener].answer(request, response, source)
        self._count(listener, request, response)

    def finish(self, listener: Listener, key: Key, request: Request, response: Response) -> None:
        """Send a final response through a server transaction and forget the transaction at once."""
        self._layers[listener].finish(key, response)
        self._count(listener, request, response)

    def refuse(self, context: ResponseContext, status: int, now: float) -> None:
        """Send a final response of our own to a request that was let through."""
        self.respond(context, self.make_response(context.request, status), now)

    def respond(self, context: ResponseContext, response: Response, now: float) -> None:
        """Send a response through the server transaction of a request that was let through."""
        if response.status > 100:
            context.move(Input.FINAL_SENT if response.is_final else Input.PROVISIONAL_SENT)
        self._layers[context.listener].respond(context.key, response, now)
        self._trace.trace(context.call_id, context.listener, response, now, sent_to=context.source)
        self._count(context.listener, context.request, response)

    def _count(self, listener: Listener, request: Request, response: Response) -> None:
        if listener.side is Side.EXTERNAL:
            self._tell(ResponseSent(method_label(request.method), response.status))
