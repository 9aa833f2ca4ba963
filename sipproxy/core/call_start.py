"""The INVITE that starts a call: relay, call-flow node, the next node where one fails."""

from __future__ import annotations

from dataclasses import replace

from daemonkit.address import Address
from sipproxy.core.call_end import NO_RELAY, CallEnd
from sipproxy.core.events import NodeChosen, ReportMade
from sipproxy.core.forward import RequestSender
from sipproxy.core.guard import Admission, PendingInvite
from sipproxy.core.limits import FAILOVER_SECONDS
from sipproxy.core.message_trace import MessageTrace
from sipproxy.core.relay_broker import MediaTerms, Refusal, RelayBroker, SdpTransit, has_description
from sipproxy.core.responder import Responder
from sipproxy.core.response_context import Input, Phase, ResponseContext
from sipproxy.core.shared import ContextTimer, Shared
from sipproxy.headers import edits
from sipproxy.headers.call_headers import MediaSecurity, seal_invite, tell_call
from sipproxy.headers.caller_headers import carried_text
from sipproxy.headers.flow import Flow
from sipproxy.headers.record_route import RouteToken
from sipproxy.sip import Request
from sipproxy.sip.text import printable
from sipproxy.transactions.listener import Transport
from voiceapps.rules.admission import AdmissionSnapshot
from voiceapps.rules.endings import EndReason
from voiceapps.rules.reports import CallAdmitted, CallFacts

_REFUSALS = {Refusal.UNUSABLE: EndReason.UNSUPPORTED_MEDIA, Refusal.UNAVAILABLE: EndReason.NO_MEDIA_RELAY}


class CallStart:
    """The way of an admitted INVITE to a call-flow node."""

    def __init__(
        self, shared: Shared, *, responder: Responder, trace: MessageTrace, broker: RelayBroker, sender: RequestSender, ends: CallEnd
    ) -> None:
        self._shared = shared
        self._responder = responder
        self._trace = trace
        self._broker = broker
        self._sender = sender
        self._ends = ends

    def start_call(self, invite: PendingInvite, application: AdmissionSnapshot, admission: Admission, now: float) -> None:
        """Take an admitted INVITE: choose a relay, send the offer there, then the INVITE to a node."""
        shared, request = self._shared, invite.request
        facts = self._facts(invite, application, admission.country, now)
        shared.events.tell(ReportMade(CallAdmitted(facts, shared.config.name, admission.trace)))
        shared.calls.add(facts, capped=not application.password_auth, now=now, shows_digits=not application.mask_digits)
        self._trace.trace(facts.call_id, invite.listener, request, now, came_from=invite.source)
        relay = shared.hooks.choose_relay(())
        context = ResponseContext(
            invite.listener,
            invite.key,
            request,
            invite.source,
            facts.call_id,
            relay or NO_RELAY,
            initial=True,
            offered=has_description(request),
            terms=MediaTerms.of(application),
        )
        self._sender.open(context, now)
        if relay is None:
            self._ends.fail(context, 503, EndReason.NO_MEDIA_RELAY, now)
        else:
            context.outgoing = self._prepare(context, facts, application)
            self._offer(context, now)

    def fail_over(self, context: ResponseContext, now: float) -> None:
        """Leave the current node for the next one."""
        self._leave_node(context, now)
        self._try_next_node(context, now)

    def change_relay(self, context: ResponseContext, tried: tuple[Address, ...]) -> bool:
        """Give a call whose session could not be opened to another relay; False where none is left."""
        relay = self._shared.hooks.choose_relay(tried)
        if relay is None:
            return False
        # One that was silent may have opened a session all the same.
        self._ends.release_relay(context)
        context.relay = relay
        if context.token is not None:
            # The node goes on with the token that it got; the caller has none yet.
            context.token = replace(context.token, relay=relay)
            context.signed = self._sign(context, context.token)
            self._shared.calls.change_relay(context.call_id, relay)
        return True

    def _facts(self, invite: PendingInvite, application: AdmissionSnapshot, country: str | None, now: float) -> CallFacts:
        request = invite.request
        return CallFacts(
            call_id=self._shared.hooks.new_call_id(),
            application_id=application.application_id,
            account_id=application.account_id,
            sip_call_id=printable(request.call_id),
            from_uri=printable(request.from_.uri),
            to_uri=printable(request.to.uri),
            source_ip=invite.source[0],
            source_port=invite.source[1],
            country=country,
            started_at=self._shared.hooks.wall(now),
        )

    def _prepare(self, context: ResponseContext, facts: CallFacts, application: AdmissionSnapshot) -> Request:
        """Return the INVITE for the inside; what we tell of the call is for our own call flow, and no business of a static target."""
        out = edits.prepare_invite(context.request)
        if not self._shared.config.has_static_targets:
            carried = carried_text(context.request) if application.sip_headers else None
            media = MediaSecurity.of(application.secure_media, by_tls=context.listener.transport is Transport.TLS)
            tell_call(out, facts, self._flow(context).reach, carried, by_digest=application.password_auth, media=media)
        return out

    def _offer(self, context: ResponseContext, now: float, tried: tuple[Address, ...] = ()) -> None:
        """Have the relay rewrite the offer, or the next one where it drains, is full or is silent."""
        if not context.offered:
            self._try_next_node(context, now)
            return

        def on_rewritten(body: bytes | Refusal, later: float) -> None:
            if context.phase is Phase.FINISHED:
                self._ends.release_relay(context)
            elif isinstance(body, Refusal):
                self._leave_relay(context, body, (*tried, context.relay), later)
            elif context.outgoing is not None:
                context.outgoing.set_body(body)
                self._try_next_node(context, later)

        transit = SdpTransit(context.call_id, context.relay, context.side, context.source, is_offer=True, terms=context.terms)
        self._broker.rewrite(context.request, transit, on_rewritten, now)

    def _leave_relay(self, context: ResponseContext, refusal: Refusal, tried: tuple[Address, ...], now: float) -> None:
        """Offer to another relay if this one was at fault, or fail where none is left."""
        if refusal is Refusal.UNAVAILABLE and self.change_relay(context, tried):
            self._offer(context, now, tried)
        else:
            self._ends.fail(context, refusal.value, _REFUSALS[refusal], now)

    def _try_next_node(self, context: ResponseContext, now: float) -> None:
        """Send the INVITE to the next node, or fail where none is left."""
        shared = self._shared
        node = shared.targets.choose(context.tried, now)
        if node is None or context.outgoing is None:
            self._ends.fail(context, 503, EndReason.NO_CALLFLOW, now)
            return
        context.tried.append(node)
        shared.calls.move(context.call_id, node)
        context.move(Input.NEXT_TARGET)
        context.token = self._token(context, node)
        context.signed = context.recorded = self._sign(context, context.token)
        out = context.outgoing.copy()
        if not shared.config.has_static_targets:
            seal_invite(out, shared.config.invite_keys[0], node, shared.hooks.wall(now))
        edits.push_record_route(out, context.signed, shared.config.internal)
        self._sender.send(context, out, shared.config.internal, node, now)
        if len(context.tried) == 1:
            # Not earlier: until a node has the INVITE, only the caller's retransmissions save the call if this process dies. A relay
            # that is slower than the 200 ms of RFC 3261 17.2.1 costs one retransmission, which is absorbed.
            self._responder.respond(context, context.request.make_response(100), now)
        shared.events.tell(NodeChosen(context.call_id, node))
        shared.targets.begin(node)
        context.counted = True
        shared.timers.set((ContextTimer.FAILOVER, context.id), now + FAILOVER_SECONDS)

    def _leave_node(self, context: ResponseContext, now: float) -> None:
        """Give up the current node: it rests for a while, its transaction is cancelled, a late 2xx from it is hung up."""
        if context.client is not None and context.egress is not None:
            self._shared.targets.rest(context.target, now)
            context.abandoned[context.client] = context.target
            self._shared.layers[context.egress].cancel(context.client, now)
            self._ends.release_target(context)
            context.client = None

    def _token(self, context: ResponseContext, node: Address) -> RouteToken:
        return RouteToken(context.call_id, node, context.relay, self._flow(context), context.offered)

    def _flow(self, context: ResponseContext) -> Flow:
        listener, source = context.listener, context.source
        return Flow.of(listener, source, behind_nat=edits.is_behind_nat(context.request, source, listener.transport))

    def _sign(self, context: ResponseContext, token: RouteToken) -> str:
        request = context.request
        return token.sign(self._shared.config.seal(request.call_id, edits.side_tag(request, context.side)))
