"""Admission: the facts of an INVITE and the applications that it names lead to one decision and one response.

Nothing is kept for a request that is refused. While its lookup is in flight the INVITE has a transaction, so retransmissions
are absorbed and a CANCEL finds it. A refusal ends the transaction at once; retransmissions that come later are new INVITEs.
All refusals with the same status look alike, whatever their cause.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from daemonkit.address import Address
from sipproxy.admission.digest_check import DigestCheck, Judgement
from sipproxy.admission.nonces import Claim, NonceBook
from sipproxy.admission.quotas import Quotas
from sipproxy.core.events import ClaimWanted, DirectoryWanted, InviteChallenged, InviteRefused
from sipproxy.core.limits import CLAIM_SECONDS, LOOKUP_SECONDS, MAX_LOOKUPS
from sipproxy.core.responder import Responder
from sipproxy.core.shared import Shared
from sipproxy.core.source_gate import SourceGate
from sipproxy.core.waiting import Waiting
from sipproxy.sip import PeerError, Request
from sipproxy.sip.text import printable
from sipproxy.transactions.events import Key
from sipproxy.transactions.listener import Listener
from voiceapps.rules.admission import (
    AdmissionSnapshot,
    Decision,
    DigestState,
    Outcome,
    Reason,
    RequestFacts,
    RuleResult,
    decide,
)
from voiceapps.rules.limits import apply_limits

_SCORED = (DigestState.OTHER_USER, DigestState.WRONG)


@dataclass(slots=True)
class PendingInvite:
    """An INVITE whose applications are being read."""

    listener: Listener
    key: Key
    request: Request
    source: Address
    request_user: str
    to_user: str


@dataclass(frozen=True, slots=True)
class Admission:
    """What an INVITE was admitted by."""

    country: str | None
    """Of its source."""
    trace: tuple[RuleResult, ...]


Snapshots = Mapping[str, AdmissionSnapshot]
OnAdmitted = Callable[[PendingInvite, AdmissionSnapshot, Admission, float], None]


class Guard:
    """The decision about every INVITE without a To tag."""

    def __init__(self, shared: Shared, *, gate: SourceGate, responder: Responder, on_admitted: OnAdmitted) -> None:
        self._shared = shared
        self._gate = gate
        self._responder = responder
        self._on_admitted = on_admitted
        self._lookups: Waiting[PendingInvite] = Waiting(seconds=LOOKUP_SECONDS)
        self._claims: Waiting[tuple[PendingInvite, Snapshots]] = Waiting(seconds=CLAIM_SECONDS)
        self._quotas = Quotas(shared.calls.count)
        config = shared.config
        hooks = shared.hooks
        nonces = self._nonces = NonceBook(
            key=config.nonce_key,
            realm=config.realm,
            new_token=hooks.new_token,
            wall=hooks.wall,
            worker=config.worker,
            workers=config.workers,
        )
        self._digest = DigestCheck(realm=config.realm, hosts=config.hosts, nonces=nonces, allow_no_qop=config.digest_allow_no_qop)

    def __len__(self) -> int:
        return len(self._lookups) + len(self._claims)

    def receive(self, listener: Listener, request: Request, source: Address, *, limited: bool, now: float) -> None:
        """Take an INVITE; `limited` says that its source is over its limit."""
        host = request.uri.host_key
        if host not in self._shared.config.hosts or limited:
            self._refuse_unread(listener, request, source, limited=limited, now=now)
        elif self._shared.draining:
            self._responder.answer(listener, request, self._responder.make_response(request, 503), source)
        elif len(self) >= MAX_LOOKUPS:
            self._refuse_capacity(listener, request, source, now)
        else:
            self._look_up(listener, request, source, now)

    def receive_answer(self, key: str, snapshots: Snapshots | None, now: float) -> None:
        """Take the directory's answer; None means that the database did not answer."""
        invite = self._lookups.take(key)
        if invite is None:
            return
        if snapshots is None:
            self._finish(invite, 503)
            self._tell(invite.request, invite.source, Reason.DATABASE_UNAVAILABLE, 503, now)
            return
        judged = self._digest.judge(invite.request, snapshots.get(invite.request_user), invite.source[0], now)
        self._decide(invite, snapshots, judged, now)

    def receive_claim(self, key: str, granted: bool | None, now: float) -> None:
        """Take the answer to a claim; what nobody could grant is stale, and gets a new nonce."""
        waited = self._claims.take(key)
        if waited is not None:
            invite, snapshots = waited
            self._decide(invite, snapshots, Judgement(DigestState.VALID if granted else DigestState.STALE), now)

    def grant(self, claim: Claim, now: float) -> bool:
        """Answer a claim of another worker of this node."""
        return self._nonces.claim_for(claim, now)

    def share_nonces(self, mark: bytes | None) -> None:
        """Take the mark of the fleet's store of claims, None while it cannot be reached."""
        self._nonces.store_mark = mark

    def cancel(self, listener: Listener, key: Key) -> None:
        """End the lookup of a cancelled INVITE, if there is one."""
        invite = self._lookups.take_first(lambda held: held.listener is listener and held.key == key)
        if invite is None:
            waited = self._claims.take_first(lambda held: held[0].listener is listener and held[0].key == key)
            invite = waited[0] if waited is not None else None
        if invite is not None:
            self._finish(invite, 487)

    def get_timer(self) -> float | None:
        """Return when the next lookup or claim is given up."""
        return min((when for held in (self._lookups, self._claims) if (when := held.get_timer()) is not None), default=None)

    def handle_timer(self, now: float) -> None:
        """Give up the lookups and claims that took too long."""
        while (key := self._lookups.pop_due(now)) is not None:
            self.receive_answer(key, None, now)
        while (key := self._claims.pop_due(now)) is not None:
            self.receive_claim(key, None, now)

    def _decide(self, invite: PendingInvite, snapshots: Snapshots, judged: Judgement, now: float) -> None:
        application = snapshots.get(invite.request_user)
        facts = self._facts(invite, judged.state)
        decision = decide(facts, request_application=application, to_application=snapshots.get(invite.to_user))
        if decision.outcome is Outcome.CHALLENGE:
            self._challenge(invite, application, decision, now)
        elif decision.outcome is not Outcome.ADMIT or application is None:
            self._refuse(invite, application, facts, decision, now)
        elif judged.claim is not None and application.password_auth:
            self._shared.events.tell(ClaimWanted(self._claims.add((invite, snapshots), now), judged.claim))
        else:
            self._admit(invite, application, facts, decision, now)

    def _look_up(self, listener: Listener, request: Request, source: Address, now: float) -> None:
        transaction = self._shared.layers[listener].begin(request, source, now)
        if transaction is None:
            return
        invite = PendingInvite(listener, transaction, request, source, request.uri.user_key, _user(request))
        key = self._lookups.add(invite, now)
        self._shared.events.tell(DirectoryWanted(key, tuple({invite.request_user: None, invite.to_user: None})))

    def _facts(self, invite: PendingInvite, digest: DigestState) -> RequestFacts:
        source_ip = invite.source[0]
        return RequestFacts(
            host=invite.request.uri.host_key,
            host_is_ours=True,
            request_user=printable(invite.request_user),
            to_user=printable(invite.to_user),
            source_ip=source_ip,
            country=self._shared.hooks.country_of(source_ip),
            digest=digest,
            source_limited=False,
        )

    # Outcomes.

    def _admit(self, invite: PendingInvite, application: AdmissionSnapshot, facts: RequestFacts, decision: Decision, now: float) -> None:
        """Admit a call unless a limit is reached or there is no room. Limits count only admitted calls: strangers cannot use them up."""
        decision = self._apply_cap(apply_limits(decision, application, self._quotas.usage(application, now)), application, facts)
        if decision.outcome is Outcome.ADMIT:
            self._quotas.count(application, now)
            self._gate.welcome(facts.source_ip, now, by_password=application.password_auth)
            self._on_admitted(invite, application, Admission(facts.country, decision.trace), now)
            return
        self._finish(invite, decision.status, is_passing=True)
        reason = decision.reason or Reason.CAPACITY
        self._tell(invite.request, invite.source, reason, decision.status, now, application=application, trace=decision.trace)

    def _apply_cap(self, decision: Decision, application: AdmissionSnapshot, facts: RequestFacts) -> Decision:
        """Return the decision after the cap on unacknowledged calls and the proxy's own capacity."""
        calls, most = self._shared.calls, self._shared.config.max_unacknowledged_per_source
        crowded = not application.password_auth and calls.unacknowledged(facts.source_ip) >= most
        if decision.outcome is not Outcome.ADMIT or not (crowded or calls.is_full):
            return decision
        expected = f"at most {most} calls of one source without their ACK" if crowded else "room for one more call"
        trace = (*decision.trace, RuleResult("capacity", "failed", expected, "full"))
        return Decision(Outcome.REFUSE, 503, Reason.CAPACITY, stale=False, trace=trace)

    def _challenge(self, invite: PendingInvite, application: AdmissionSnapshot | None, decision: Decision, now: float) -> None:
        response = self._responder.make_response(invite.request, decision.status)
        for challenge in self._digest.challenges(application, invite.source[0], stale=decision.stale, now=now):
            response.append("Proxy-Authenticate", str(challenge))
        self._responder.finish(invite.listener, invite.key, invite.request, response)
        self._shared.events.tell(InviteChallenged(invite.source[0], printable(invite.request.call_id)))

    def _refuse(
        self, invite: PendingInvite, application: AdmissionSnapshot | None, facts: RequestFacts, decision: Decision, now: float
    ) -> None:
        if facts.digest in _SCORED:
            # The source is not forged: it used a nonce that it was sent.
            self._gate.count_failure(facts.source_ip, invite.request.call_id, now)
        self._finish(invite, decision.status)
        reason = decision.reason or Reason.UNKNOWN_APPLICATION
        self._tell(invite.request, invite.source, reason, decision.status, now, application=application, trace=decision.trace)

    def record_foreign(self, request: Request, source: Address, now: float) -> None:
        """Record an INVITE for a foreign host that gets no response."""
        decision = decide(self._unread_facts(request, source, limited=False), request_application=None, to_application=None)
        self._tell(request, source, Reason.FOREIGN_HOST, 0, now, trace=decision.trace)

    def _refuse_unread(self, listener: Listener, request: Request, source: Address, *, limited: bool, now: float) -> None:
        """Refuse an INVITE that needs no lookup; a source over its limit gets one refusal, then silence."""
        if limited and not self._gate.may_be_refused(source[0]):
            self._shared.drops.silenced += 1
            return
        decision = decide(self._unread_facts(request, source, limited=limited), request_application=None, to_application=None)
        self._responder.answer(listener, request, self._responder.make_response(request, decision.status), source)
        self._tell(request, source, decision.reason or Reason.FOREIGN_HOST, decision.status, now, trace=decision.trace)

    def _unread_facts(self, request: Request, source: Address, *, limited: bool) -> RequestFacts:
        host = request.uri.host_key
        return RequestFacts(
            host=printable(host),
            host_is_ours=host in self._shared.config.hosts,
            request_user=printable(request.uri.user_key),
            to_user=printable(_user(request)),
            source_ip=source[0],
            country=self._shared.hooks.country_of(source[0]),
            digest=DigestState.ABSENT,
            source_limited=limited,
        )

    def _refuse_capacity(self, listener: Listener, request: Request, source: Address, now: float) -> None:
        self._responder.answer(listener, request, self._responder.make_response(request, 503), source)
        self._tell(request, source, Reason.CAPACITY, 503, now)

    def _finish(self, invite: PendingInvite, status: int, *, is_passing: bool = False) -> None:
        response = self._responder.make_response(invite.request, status, is_passing=is_passing)
        self._responder.finish(invite.listener, invite.key, invite.request, response)

    def _tell(
        self,
        request: Request,
        source: Address,
        reason: Reason,
        status: int,
        now: float,
        *,
        application: AdmissionSnapshot | None = None,
        trace: tuple[RuleResult, ...] = (),
    ) -> None:
        hooks = self._shared.hooks
        self._shared.events.tell(
            InviteRefused(
                application_id=application.application_id if application is not None else None,
                source_ip=source[0],
                reason=reason,
                status=status,
                at=hooks.wall(now),
                country=hooks.country_of(source[0]),
                request_user=printable(request.uri.user_key),
                sip_call_id=printable(request.call_id),
                user_agent=printable(request.header("user-agent") or ""),
                trace=trace,
            )
        )


def _user(request: Request) -> str:
    """Return the To user for look-ups, "" where To is no SIP URI."""
    try:
        return request.to.sip_uri.user_key
    except PeerError:
        return ""
