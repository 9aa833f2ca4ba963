"""Digest authentication of requests (RFC 3261 22, RFC 7616)."""

from __future__ import annotations

import contextlib
import hmac
from dataclasses import dataclass

from sipproxy.admission.nonces import Claim, NonceBook
from sipproxy.sip import Challenge, Credentials, PeerError, Request, SipUri
from sipproxy.sip.digest import MD5, SHA256, expected_response
from sipproxy.sip.limits import MAX_CREDENTIALS
from voiceapps.rules.admission import AdmissionSnapshot, DigestState

# Stands in for the HA1 of an unknown application, so that the comparison takes the same time.
_NOBODY = "0" * 64
_PREFERENCE = (SHA256, MD5)


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a request's credentials are worth."""

    state: DigestState
    """Their state."""
    claim: Claim | None = None
    """What has to be granted elsewhere before valid ones count."""


class DigestCheck:
    """The check of credentials and the challenges of one realm.

    `allow_no_qop` also accepts credentials in the form of RFC 2069. They have no nonce count, so their nonce is good for one request.
    """

    def __init__(self, *, realm: str, hosts: frozenset[str], nonces: NonceBook, allow_no_qop: bool = False) -> None:
        self._realm = realm
        self._hosts = hosts
        self._nonces = nonces
        self._allow_no_qop = allow_no_qop

    def challenges(self, application: AdmissionSnapshot | None, source_ip: str, *, stale: bool, now: float) -> list[Challenge]:
        """Return one challenge for each algorithm that the application accepts, the preferred one first (RFC 8760 2.4)."""
        offered = application.digest_algorithms if application is not None else (MD5,)
        nonce = self._nonces.make(source_ip, now)
        return [Challenge(self._realm, nonce, algorithm, stale=stale) for algorithm in _PREFERENCE if algorithm in offered]

    def judge(self, request: Request, application: AdmissionSnapshot | None, source_ip: str, now: float) -> Judgement:
        """Return the state of the credentials for our realm; correct ones claim their nonce count, or tell where it has to be claimed."""
        credentials = self._find(request, source_ip, now)
        if credentials is None:
            return Judgement(DigestState.ABSENT)
        if not self._nonces.is_fresh(credentials.nonce, source_ip, now):
            return Judgement(DigestState.STALE)
        if application is not None and not credentials.userhash and credentials.username.lower() not in application.users:
            return Judgement(DigestState.OTHER_USER)
        if not self._is_right(request, credentials, application):
            return Judgement(DigestState.WRONG)
        use = (request.call_id, str(request.cseq), request.top_via.branch)
        claimed = self._nonces.use(credentials.nonce, credentials.count, use, now)
        if isinstance(claimed, Claim):
            return Judgement(DigestState.VALID, claimed)
        return Judgement(DigestState.VALID if claimed else DigestState.STALE)

    def _find(self, request: Request, source_ip: str, now: float) -> Credentials | None:
        """Return the credentials for our realm; what answers no challenge of ours is as good as none (RFC 3261 22.3).

        A client that adds its new credentials to the old ones is known by the fresh ones.
        """
        ours = []
        for text in request.headers("proxy-authorization")[:MAX_CREDENTIALS]:
            with contextlib.suppress(PeerError):
                credentials = Credentials.parse(text)
                if credentials.realm == self._realm:
                    ours.append(credentials)
        if len(ours) < 2:
            # Nearly every request; whether its nonce is fresh is asked once, by the caller.
            return ours[0] if ours else None
        return next((one for one in ours if self._nonces.is_fresh(one.nonce, source_ip, now)), ours[0])

    def _is_right(self, request: Request, credentials: Credentials, application: AdmissionSnapshot | None) -> bool:
        ha1 = _ha1(application, credentials)
        expected = expected_response(credentials, ha1=ha1 or _NOBODY, method=request.method)
        given = credentials.response.encode("utf-8", "surrogateescape")
        agrees = hmac.compare_digest(given, expected.encode())
        allowed = application is not None and credentials.base_algorithm in application.digest_algorithms
        counted = bool(credentials.qop) or self._allow_no_qop
        fits = counted and not credentials.userhash and self._names(request, credentials.uri)
        return agrees and allowed and fits and ha1 is not None

    def _names(self, request: Request, uri_text: str) -> bool:
        """Return whether the digest's uri is the Request-URI, or a URI of ours without user: sipp and others write the server's address."""
        if uri_text == request.uri_text:
            return True
        try:
            uri = SipUri.parse(uri_text)
        except PeerError:
            return False
        return uri.host_key in self._hosts and (uri.user is None or uri.user_key == request.uri.user_key)


def _ha1(application: AdmissionSnapshot | None, credentials: Credentials) -> str | None:
    if application is None:
        return None
    wanted = (credentials.username.lower(), credentials.base_algorithm)
    return next((ha1 for user, algorithm, ha1 in application.ha1 if (user, algorithm) == wanted), None)
