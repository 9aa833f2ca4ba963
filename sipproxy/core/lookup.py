"""The first look at a request that belongs to no transaction: in a dialog or not, from whom, and which part takes it."""

from __future__ import annotations

from daemonkit.address import Address
from sipproxy.core.events import RequestSeen, method_label
from sipproxy.core.forward import DialogForwarder
from sipproxy.core.guard import Guard
from sipproxy.core.responder import Responder
from sipproxy.core.shared import Shared
from sipproxy.core.source_gate import SourceGate
from sipproxy.headers import contacts, edits
from sipproxy.headers.record_route import RouteToken, looks_like_token
from sipproxy.sip import BadRequestError, PeerError, Request
from sipproxy.sip.methods import ALLOW, METHODS, Use, methods_for
from sipproxy.transactions.branches import has_looped
from sipproxy.transactions.listener import Listener, Side

_OFFERS = methods_for(Use.OFFER)


class Lookup:
    """The way of each new request to the part that handles it, or to its refusal."""

    def __init__(self, shared: Shared, *, gate: SourceGate, responder: Responder, guard: Guard, dialogs: DialogForwarder) -> None:
        self._shared = shared
        self._gate = gate
        self._responder = responder
        self._guard = guard
        self._dialogs = dialogs

    def receive(self, listener: Listener, request: Request, source: Address, now: float) -> None:
        """Take a new request; may raise PeerError for a part that is read only here."""
        side = listener.side
        self._shared.events.tell(RequestSeen(side, method_label(request.method)))
        if request.method == "CANCEL":
            self._answer_within_limit(listener, request, 481, source, now)
        elif request.to.tag or request.method == "ACK":
            self._receive_inside_dialog(listener, request, source, now)
        elif side is Side.INTERNAL:
            self._receive_from_node(listener, request, source)
        else:
            self._receive_from_stranger(listener, request, source, now)

    def receive_ack(self, listener: Listener, request: Request, source: Address, now: float) -> None:
        """Take an ACK of a 2xx."""
        token, signed = self._token(listener.side, request, source)
        if token is None or not self._may_pass(listener.side, token) or request.max_forwards == 0:
            self._shared.drops.lost_acks += 1
        else:
            self._dialogs.forward_ack(listener, request, source, token, signed, now)

    def answer_broken(self, listener: Listener, error: BadRequestError, source: Address, now: float) -> None:
        """Answer a request that cannot be used, as far as its source and its host get an answer at all."""
        if listener.side is Side.EXTERNAL and not self._gate.count_request(source[0], now):
            self._shared.drops.silenced += 1
            return
        request = error.request
        if self._gate.ignores_host(listener, request, source):
            self._shared.drops.foreign += 1
            return
        try:
            self._responder.answer(listener, request, request.make_response(error.status, error.reason), source)
        except PeerError:
            # Its Via is broken too: there is no address to answer to.
            return

    def _receive_inside_dialog(self, listener: Listener, request: Request, source: Address, now: float) -> None:
        if request.method == "ACK":
            self.receive_ack(listener, request, source, now)
            return
        token, signed = self._token(listener.side, request, source)
        if token is None:
            status = 403 if looks_like_token(signed) else 481
            self._answer_within_limit(listener, request, status, source, now)
            return
        if listener.side is Side.EXTERNAL and not self._shared.targets.learned:
            # Its sender repeats it; by a 481 it would give up a call that its node still holds.
            self._shared.drops.early += 1
            return
        status = self._trouble(request, source) or (
            0 if self._may_pass(listener.side, token) and not self._comes_late(request, token, now) else 481
        )
        if status:
            self._answer(listener, request, status, source)
            return
        key = self._shared.layers[listener].begin(request, source, now)
        if key is not None:
            self._dialogs.forward(listener, key, request, source, token, signed, now)

    def _receive_from_node(self, listener: Listener, request: Request, source: Address) -> None:
        # The proxy places no calls to the outside; a node may ask whether it lives.
        self._answer(listener, request, 200 if request.method == "OPTIONS" else 405, source)

    def _receive_from_stranger(self, listener: Listener, request: Request, source: Address, now: float) -> None:
        limited = not self._gate.count_request(source[0], now)
        if self._gate.ignores_host(listener, request, source):
            self._ignore(request, source, now)
            return
        if limited and request.method != "INVITE":
            self._silence(listener, request, source)
            return
        ours = request.uri.host_key in self._shared.config.hosts
        if request.method == "OPTIONS" and ours:
            response = self._responder.make_response(request, 200, "Keepalive")
            response.append("Allow", ALLOW)
            self._responder.answer(listener, request, response, source)
            return
        status = self._trouble(request, source)
        if status == 0 and request.method != "INVITE":
            status = 403 if request.method == "OPTIONS" else 405
        if status:
            self._answer(listener, request, status, source)
        else:
            self._guard.receive(listener, request, source, limited=limited, now=now)

    def _trouble(self, request: Request, source: Address) -> int:
        """Return the status that refuses a request for its hops, its loop or its Proxy-Require, 0 if none does."""
        if request.max_forwards == 0:
            return 483
        # What another proxy of the fleet passes on bears its Via, and goes no further than to the caller.
        if source not in self._shared.proxies and has_looped(request, keys=self._shared.config.route_keys):
            return 482
        return 420 if request.count("proxy-require") else 0

    def _token(self, side: Side, request: Request, source: Address) -> tuple[RouteToken | None, str]:
        """Return the token of a request inside a dialog and its text; None for one that is forged, or where there is none."""
        signed = self._signed(side, request, source)
        seal = self._shared.config.seal(request.call_id, edits.side_tag(request, side))
        token = RouteToken.parse(signed, seal)
        return (None, signed) if token is None else self._shared.calls.renew(token, signed, seal)

    def _signed(self, side: Side, request: Request, source: Address) -> str:
        """Return the text that a request inside a dialog brings, or that this proxy remembers for its caller."""
        user = edits.route_user(request)
        if side is Side.INTERNAL or looks_like_token(user):
            return user
        brought = contacts.token_of(request) or user
        return brought or self._shared.calls.token_of((request.call_id, request.from_.tag, request.to.tag), source[0])

    def _may_pass(self, side: Side, token: RouteToken) -> bool:
        if side is Side.INTERNAL:
            # A node that was passed over must neither end nor renegotiate a call that another node has.
            return not self._shared.calls.is_left(token.call_id, token.callflow)
        return self._shared.targets.knows(token.callflow)

    def _comes_late(self, request: Request, token: RouteToken, now: float) -> bool:
        """Return whether an offer comes after its call's end: it would open a session at the relay that nobody closes."""
        return request.method in _OFFERS and self._shared.calls.is_over(token.call_id, now)

    def _answer(self, listener: Listener, request: Request, status: int, source: Address) -> None:
        response = self._responder.make_response(request, status)
        if status == 405:
            response.append("Allow", self._allow(listener.side, request))
        if status == 420:
            response.append("Unsupported", ", ".join(request.values("proxy-require")))
        self._responder.answer(listener, request, response, source)

    def _allow(self, side: Side, request: Request) -> str:
        """Return what a side serves. Inside, that is what comes in a dialog, and OPTIONS: a call begins with a caller."""
        return ALLOW if side is Side.EXTERNAL else ", ".join(method for method in METHODS if method != request.method)

    def _answer_within_limit(self, listener: Listener, request: Request, status: int, source: Address, now: float) -> None:
        if listener.side is Side.INTERNAL:
            self._answer(listener, request, status, source)
        elif self._gate.ignores_host(listener, request, source):
            self._gate.count_request(source[0], now)
            self._shared.drops.foreign += 1
        elif self._gate.count_request(source[0], now):
            self._answer(listener, request, status, source)
        else:
            self._silence(listener, request, source)

    def _ignore(self, request: Request, source: Address, now: float) -> None:
        self._shared.drops.foreign += 1
        if request.method == "INVITE":
            self._guard.record_foreign(request, source, now)

    def _silence(self, listener: Listener, request: Request, source: Address) -> None:
        if self._gate.may_be_refused(source[0]):
            self._answer(listener, request, 503, source)
        else:
            self._shared.drops.silenced += 1
