"""The offers and answers of one call (RFC 3264, RFC 6337): whose turn it is, and what was agreed on last."""

from __future__ import annotations

from collections.abc import Callable

from callflow.secure.sdes import KeyRing
from callflow.sip.sdp_answer import LocalSession, RemoteMedia, RemoteSdp
from callflow.sip.states import OFFER_STATES, OfferMove, OfferState
from daemonkit.address import Address
from sipproxy.headers.call_headers import MediaSecurity
from sipproxy.sip import PeerError, UsageError

_BUSY = {
    OfferState.NEW: (500, "The first offer has no answer yet."),
    OfferState.OFFERED: (491, "An offer of ours has no answer yet."),
}


class Negotiation:
    """One call's exchanges of offer and answer; ours can be written once `open` has said where we receive audio."""

    def __init__(self, number: int, security: MediaSecurity, new_key: Callable[[int], bytes]) -> None:
        self.media: RemoteMedia | None = None
        """What the last complete exchange agreed on."""
        self.security = security
        self._number = number
        self._ring = KeyRing(new_key)
        self._session: LocalSession | None = None
        self._state = OfferState.NEW

    @property
    def complete(self) -> bool:
        """True if an exchange is complete and none is open."""
        return self._state is OfferState.AGREED

    @property
    def offering(self) -> bool:
        """True while an offer of ours waits for its answer."""
        return self._state is OfferState.OFFERED

    def open(self, address: Address) -> None:
        """Take the address at which we receive audio; a second one changes nothing."""
        if self._session is None:
            self._session = LocalSession(address, self._number, self.security, self._ring)

    def answer_first(self, offer: RemoteSdp) -> bytes:
        """Return our answer to the offer of the first INVITE; raises SdpError."""
        body, media = self._local.answer(offer)
        self._agree(media)
        return body

    def answer_next(self, offer: RemoteSdp) -> bytes:
        """Return our answer to a further offer; raises SdpError, and PeerError 491 or 500 while another exchange is open.

        RFC 3261 section 14.2, RFC 3311 section 5.2.
        """
        if self._state is not OfferState.AGREED:
            raise PeerError(*_BUSY[self._state])
        return self.answer_first(offer)

    def offer(self) -> bytes:
        """Return an offer of ours."""
        self._move(OfferMove.OFFER)
        return self._local.offer()

    def offer_again(self) -> bytes:
        """Return an offer that repeats our last description, for the refresh of a session (RFC 4028 section 7.4)."""
        self._move(OfferMove.OFFER)
        return self._local.repeat()

    def take_answer(self, answer: RemoteSdp | None) -> None:
        """Take the answer to our offer; raises SdpError."""
        if answer is None:
            raise PeerError(400, "The answer to our offer is missing.")
        self._agree(self._local.take_answer(answer))

    def withdraw(self) -> None:
        """Forget an offer of ours that was refused or never answered: what was agreed on before stays."""
        self._move(OfferMove.WITHDRAW)

    @property
    def _local(self) -> LocalSession:
        if self._session is None:
            raise UsageError("Nothing can be offered or answered before the address of the audio is known.")
        return self._session

    def _agree(self, media: RemoteMedia) -> None:
        self.media = media
        self._move(OfferMove.AGREE)

    def _move(self, move: OfferMove) -> None:
        self._state = OFFER_STATES[self._state][move]
