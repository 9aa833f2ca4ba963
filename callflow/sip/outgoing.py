"""A call that our phone places: the client side of its first INVITE."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from callflow.sip.call import SipCall
from callflow.sip.call_context import SDP_TYPE, USER_AGENT, CallContext
from callflow.sip.dialogs import Dialog
from callflow.sip.events import OutgoingCallFailed
from callflow.sip.states import CallMove, CallState
from daemonkit.address import Address
from sipproxy.headers.call_headers import MediaSecurity
from sipproxy.sip import Challenge, PeerError, Request, Response, UsageError
from sipproxy.sip.digest import ALGORITHMS, answer_challenge, make_ha1
from sipproxy.sip.methods import ALLOW
from sipproxy.transactions.events import Key
from voiceapps.rules.endings import EndReason

_CHALLENGES = {
    401: ("www-authenticate", "Authorization"),
    407: ("proxy-authenticate", "Proxy-Authorization"),
}
MAX_CHALLENGES = 2
"""Answered for one INVITE."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """A name and what is known of its password for one realm; a challenge of another realm, or of another algorithm, gets no answer."""

    username: str
    realm: str
    ha1: Mapping[str, str] = field(repr=False)
    """By base algorithm."""

    @classmethod
    def of_password(cls, username: str, password: str, realm: str) -> Self:
        """Return the credentials of who knows the password itself."""
        return cls(username, realm, {algorithm: make_ha1(username, realm, password, algorithm) for algorithm in ALGORITHMS})


@dataclass(frozen=True, slots=True)
class Destination:
    """Whom to call, through which proxy, and as whom."""

    uri: str
    proxy: Address
    from_user: str
    credentials: Credentials | None
    security: MediaSecurity = MediaSecurity.PLAIN
    call_id: str | None = None
    """One that the caller has chosen; None if any will do."""


class OutgoingCall(SipCall):
    """A call that we place."""

    def __init__(self, context: CallContext, number: int, destination: Destination, media: Address) -> None:
        super().__init__(context, number, CallState.CALLING, destination.security)
        host, port = context.config.local
        self._answered_challenges = 0
        self._call_id = destination.call_id or f"{context.new_token()}@{host}"
        self._contact = f"sip:{destination.from_user}@{host}:{port}"
        self._cseq = 0
        self._destination = destination
        self._from = f"<sip:{destination.from_user}@{host}>;tag={context.new_token()}"
        self._invite_key: Key | None = None
        self._negotiation.open(media)
        self._offer = self._negotiation.offer()

    def hang_up(self, status: int, now: float) -> None:
        """Cancel the call, or send BYE if it is answered."""
        if self.state is CallState.CALLING and self._invite_key:
            self._move(CallMove.LEAVE)
            self._context.layer.cancel(self._invite_key, now)
        else:
            super().hang_up(status, now)

    def place(self, now: float, authorisation: tuple[str, str] | None = None) -> None:
        """Send the INVITE; `authorisation` is the header that answers a challenge."""
        self._cseq += 1
        headers = [
            ("Via", self._context.via()),
            ("From", self._from),
            ("To", f"<{self._destination.uri}>"),
            ("Call-ID", self._call_id),
            ("CSeq", f"{self._cseq} INVITE"),
            ("Contact", f"<{self._contact}>"),
            ("Max-Forwards", "70"),
            ("Allow", ALLOW),
            ("User-Agent", USER_AGENT),
            ("Content-Type", SDP_TYPE),
            *([authorisation] if authorisation else []),
        ]
        invite = Request.build("INVITE", self._destination.uri, headers, self._offer)
        self._invite_key = self._context.send(self.number, invite, self._destination.proxy, now)

    def request_timed_out(self, key: Key, request: Request, now: float) -> None:
        """Report that nobody answered the INVITE, or take the time-out of a later request."""
        if key == self._invite_key and self.dialog is None:
            self._refused(408, "Request Timeout")
        else:
            super().request_timed_out(key, request, now)

    def response_received(self, key: Key, response: Response, request: Request, now: float) -> None:
        """Take a response to our INVITE, or to a later request."""
        if key != self._invite_key:
            super().response_received(key, response, request, now)
        elif response.is_final:
            if response.status < 300:
                self._on_answer(response, request, now)
            else:
                self._on_refusal(response, request, now)

    def transaction_ended(self, key: Key) -> None:
        """Report an INVITE that ended without an answer that we could read."""
        if key == self._invite_key and self.dialog is None and self.state is not CallState.OVER:
            self._refused(408, "Request Timeout")

    def _on_answer(self, response: Response, request: Request, now: float) -> None:
        """Acknowledge every 2xx. The first one makes the dialog; if we have cancelled meanwhile, BYE ends it."""
        first = self.dialog is None
        if first:
            self.dialog = Dialog.of_client(request, response, self._contact, self._destination.proxy)
        self._acknowledge(request.cseq.number)
        if not first:
            return
        if self.state is CallState.LEAVING:
            self._send_bye(now)
            return
        self._move(CallMove.CONFIRM)
        try:
            self._negotiation.take_answer(self._read(response))
        except PeerError:
            self._lose(EndReason.UNSUPPORTED_MEDIA)
        else:
            self._agreed(now)

    def _on_refusal(self, response: Response, request: Request, now: float) -> None:
        authorisation = self._authorise(response, request)
        if authorisation and self.state is CallState.CALLING:
            self._answered_challenges += 1
            self.place(now, authorisation)
        else:
            self._refused(response.status, response.reason)

    def _authorise(self, response: Response, request: Request) -> tuple[str, str] | None:
        """Return the header that answers a challenge of our realm, None for others.

        A second one is answered if only the nonce was too old (RFC 7616 section 3.3), and no third.
        """
        names = _CHALLENGES.get(response.status)
        credentials = self._destination.credentials
        if names is None or credentials is None or self._answered_challenges >= MAX_CHALLENGES:
            return None
        for text in response.headers(names[0]):
            try:
                challenge = Challenge.parse(text)
                ha1 = credentials.ha1.get(challenge.base_algorithm)
                if ha1 is None or challenge.realm != credentials.realm or (self._answered_challenges and not challenge.stale):
                    continue
                answer = answer_challenge(
                    challenge,
                    username=credentials.username,
                    ha1=ha1,
                    method="INVITE",
                    uri=request.uri_text,
                    cnonce=self._context.new_token(),
                )
            except (PeerError, UsageError):
                continue
            return names[1], str(answer)
        return None

    def _refused(self, status: int, reason: str) -> None:
        self._context.tell(OutgoingCallFailed(self.number, status, reason))
        self._end()
