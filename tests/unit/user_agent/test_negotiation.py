"""Whose turn it is to offer, whatever the order of events."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callflow.sip.negotiation import Negotiation
from callflow.sip.sdp_answer import RemoteSdp, SdpError
from callflow.sip.states import OFFER_STATES, OfferMove, OfferState
from sipproxy.headers.call_headers import MediaSecurity
from sipproxy.sip import PeerError, UsageError
from tests.unit.user_agent.raw import OFFER, VIDEO

GOOD, BAD = RemoteSdp.parse(OFFER.encode()), RemoteSdp.parse(VIDEO.encode())


def negotiation() -> Negotiation:
    made = Negotiation(1, MediaSecurity.PLAIN, bytes)
    made.open(("127.0.0.1", 5000))
    return made


def test_every_state_is_reached_and_left() -> None:
    assert {state for moves in OFFER_STATES.values() for state in moves.values()} == {OfferState.OFFERED, OfferState.AGREED}
    assert all(OFFER_STATES[state] for state in OfferState)


def test_nothing_is_written_before_the_address_is_known() -> None:
    with pytest.raises(UsageError):
        Negotiation(1, MediaSecurity.PLAIN, bytes).answer_first(GOOD)


def test_the_first_address_stays() -> None:
    made = negotiation()
    made.open(("127.0.0.9", 9))
    assert b"m=audio 5000 " in made.offer()


@given(
    st.lists(st.sampled_from(("offered", "badly offered", "offer", "answered", "badly answered", "unanswered", "withdraw")), max_size=12)
)
def test_an_exchange_that_fails_changes_nothing(script: list[str]) -> None:
    made = negotiation()
    made.answer_first(GOOD)
    for step in script:
        before = made.media, made.offering
        if step in ("offered", "badly offered"):
            check_offered(made, BAD if step == "badly offered" else GOOD)
        elif step == "offer" and made.complete:
            assert made.offer()
        elif made.offering and step == "withdraw":
            made.withdraw()
            assert made.complete
        elif made.offering and "answered" in step:
            check_answered(made, {"answered": GOOD, "badly answered": BAD}.get(step))
        else:
            assert (made.media, made.offering) == before
        assert made.media == GOOD.audio()


def check_offered(made: Negotiation, offer: RemoteSdp) -> None:
    if made.offering:
        with pytest.raises(PeerError) as caught:
            made.answer_next(offer)
        assert caught.value.status == 491
    elif offer is BAD:
        with pytest.raises(SdpError):
            made.answer_next(offer)
    else:
        made.answer_next(offer)
        assert made.complete


def check_answered(made: Negotiation, answer: RemoteSdp | None) -> None:
    if answer is GOOD:
        made.take_answer(answer)
        assert made.complete
        return
    with pytest.raises(PeerError):
        made.take_answer(answer)
    assert made.offering


def test_the_table_is_of_moves_that_happen() -> None:
    assert {move for moves in OFFER_STATES.values() for move in moves} == set(OfferMove)
