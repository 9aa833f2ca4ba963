"""Every way in which a call ends at this proxy.

- No node takes it, or no relay its media: `fail`.
- A final response other than 2xx, from the target or from us, ends the INVITE that starts it: `conclude`.
- A BYE of either side is answered: `conclude`.
- Nobody has spoken in it for an hour: `end_overdue`.
- The database has a record of its end already: `forget`.

The call flow writes the record of a call that it had. The proxy writes it for a call that no node has answered, and for every call
where the targets are static; of one that it did not admit itself it knows only the id. A node that refuses an INVITE may have had the
call or not (a merged request, an extension that it does not know): the proxy waits for the node's record, then writes its own. The
first record of a call counts, and the node's knows more.
"""

from __future__ import annotations

from collections.abc import Iterable

from daemonkit.address import Address
from sipproxy.core.events import ReportMade
from sipproxy.core.limits import MAX_OWED, OWED_SECONDS
from sipproxy.core.message_trace import MessageTrace
from sipproxy.core.relay_broker import RelayBroker
from sipproxy.core.responder import Responder
from sipproxy.core.response_context import CANCELLED, UNANSWERED, Phase, ResponseContext
from sipproxy.core.shared import ContextTimer, Shared
from sipproxy.core.waiting import Waiting
from sipproxy.headers import edits
from sipproxy.transactions.listener import Side
from voiceapps.rules.endings import EndReason
from voiceapps.rules.reports import CallEnded, CallHungUp

NO_RELAY: Address = ("", 0)
"""The relay of a call that got none."""


class CallEnd:
    """The end of calls: of their session at the relay and their entry in the call book, with the record of it."""

    def __init__(self, shared: Shared, *, responder: Responder, trace: MessageTrace, broker: RelayBroker) -> None:
        self._shared = shared
        self._responder = responder
        self._trace = trace
        self._broker = broker
        self._owed: Waiting[CallEnded] = Waiting(seconds=OWED_SECONDS)

    def fail(self, context: ResponseContext, status: int, reason: EndReason, now: float) -> None:
        """End a call that no node has taken, with a response of our own."""
        if context.phase is Phase.FINISHED:
            return
        self._trace.finish(context.call_id)
        self._responder.refuse(context, status, now)
        self.release_relay(context)
        self._end(context.call_id, reason, now, status=status, ours=True)

    def refuse(self, context: ResponseContext, status: int, now: float) -> None:
        """Conclude a request and answer it with a response of our own."""
        self.conclude(context, status, now)
        self._responder.refuse(context, status, now)

    def conclude(self, context: ResponseContext, status: int, now: float) -> None:
        """Do what the final response to a request means for its call; called before the response is sent."""
        self.release_target(context)
        self._shared.timers.cancel((ContextTimer.TIMER_C, context.id))
        if (context.initial and status >= 300) or context.request.method == "BYE":
            self._trace.finish(context.call_id)
        if context.initial and status >= 300:
            self.release_relay(context)
            cancelled = context.phase in CANCELLED or self._shared.calls.is_given_up(context.call_id)
            reason = EndReason.CALLER_CANCELLED if cancelled else EndReason.TARGET_REFUSED
            record = self._end(context.call_id, reason, now, status=status, ours=context.phase in UNANSWERED)
            if record is not None:
                self._owe(record, now)
        elif context.request.method == "BYE":
            self.release_relay(context)
            if not context.passed_on:
                self._tell_unknown(context, now)
            self._end_by_bye(context, now)
        elif status >= 300:
            self.take_offer_back(context, now)

    def end_overdue(self, now: float) -> None:
        """End the calls in which nobody has spoken for too long."""
        while (call_id := self._shared.calls.pop_silent(now)) is not None:
            self._end(call_id, EndReason.CALLER_UNREACHABLE, now)

    def get_timer(self) -> float | None:
        """Return when a node has had its time to write a record."""
        return self._owed.get_timer()

    def write_owed(self, now: float) -> None:
        """Write the records of calls that a node refused a while ago."""
        while (key := self._owed.pop_due(now)) is not None:
            self._write(self._owed.take(key))

    def settle(self) -> None:
        """Write all that is owed: this process ends."""
        while (record := self._owed.take_first(lambda _record: True)) is not None:
            self._write(record)

    def forget(self, call_ids: Iterable[str]) -> None:
        """Forget calls whose end is recorded already: no BYE of them passed here, as when their node died."""
        for call_id in call_ids:
            self._shared.calls.remove(call_id)

    def take_offer_back(self, context: ResponseContext, now: float) -> None:
        """Take the offer of a request inside a dialog back at the relay, if it is still open: it got no answer (RFC 3261 14.1)."""
        if context.offered and not (context.initial or context.passed_on):
            self._broker.take_back(context.call_id, context.relay, context.request.from_.tag, now)

    def release_relay(self, context: ResponseContext) -> None:
        """End the relay's session of a call, if it has one."""
        if context.relay == NO_RELAY or context.passed_on:
            return
        tag = edits.side_tag(context.request, context.side)
        self._broker.delete(context.call_id, context.relay, tag)

    def release_target(self, context: ResponseContext) -> None:
        """Note that the current target no longer has an INVITE to answer."""
        self._shared.timers.cancel((ContextTimer.FAILOVER, context.id))
        if context.counted:
            context.counted = False
            self._shared.targets.end(context.target)

    def _end_by_bye(self, context: ResponseContext, now: float) -> None:
        if context.side is Side.INTERNAL:
            self._end(context.call_id, EndReason.APPLICATION_HANGUP, now, status=200)
        elif self._shared.calls.is_given_up(context.call_id):
            self._end(context.call_id, EndReason.CALLER_CANCELLED, now, status=487)
        else:
            self._end(context.call_id, EndReason.CALLER_HANGUP, now, status=200)

    def _tell_unknown(self, context: ResponseContext, now: float) -> None:
        """Tell the end of a call at a static target that is not in the book: another proxy admitted it, or an earlier boot."""
        shared, call_id = self._shared, context.call_id
        if not shared.config.has_static_targets or shared.calls.has(call_id) or shared.calls.is_over(call_id, now):
            return
        shared.calls.close(call_id, now)
        reason = EndReason.APPLICATION_HANGUP if context.side is Side.INTERNAL else EndReason.CALLER_HANGUP
        shared.events.tell(ReportMade(CallHungUp(call_id, shared.config.name, shared.hooks.wall(now), reason)))

    def _owe(self, record: CallEnded, now: float) -> None:
        if len(self._owed) < MAX_OWED:
            self._owed.add(record, now)
        else:
            self._write(record)

    def _end(self, call_id: str, reason: EndReason, now: float, *, status: int | None = None, ours: bool = False) -> CallEnded | None:
        """Remove a call from the book; write its record, or return it where the call flow may write one."""
        shared = self._shared
        call = shared.calls.remove(call_id)
        if call is None:
            return None
        shared.calls.close(call_id, now)
        wall = shared.hooks.wall
        answered = None if call.answered_at is None else wall(call.answered_at)
        record = CallEnded(call.facts, shared.config.name, wall(now), reason, answered, status, None, None, None)
        if not (ours or shared.config.has_static_targets):
            return record
        self._write(record)
        return None

    def _write(self, record: CallEnded | None) -> None:
        if record is not None:
            self._shared.events.tell(ReportMade(record))
