from __future__ import annotations

import hashlib
from dataclasses import replace
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipproxy.admission.limits import CLAIM_KEPT_SECONDS, CLOCK_SKEW_SECONDS, NONCE_SECONDS
from sipproxy.admission.nonces import Claim, NonceBook

USE = ("call", "2 INVITE", "z9hG4bKa")
OTHER = ("call-2", "2 INVITE", "z9hG4bKb")


MARK = b"store1"
EPOCH = 1_700_000_000.0


def book(*, key: bytes = b"key", realm: str = "r", start: int = 1, worker: int = 0, workers: int = 1, **options: int) -> NonceBook:
    numbers = count(start)

    def new_token() -> str:
        return hashlib.sha256(str(next(numbers)).encode()).hexdigest()

    return NonceBook(key=key, realm=realm, new_token=new_token, wall=lambda now: EPOCH + now, worker=worker, workers=workers, **options)


def test_a_nonce_is_fresh_for_a_minute_and_one_source() -> None:
    nonces = book()
    nonce = nonces.make("192.0.2.1", 100.0)
    assert nonces.is_fresh(nonce, "192.0.2.1", 100.0)
    assert nonces.is_fresh(nonce, "192.0.2.1", 100.0 + NONCE_SECONDS - 0.1)
    assert not nonces.is_fresh(nonce, "192.0.2.1", 100.1 + NONCE_SECONDS)
    assert not nonces.is_fresh(nonce, "192.0.2.2", 100.0)
    assert not nonces.is_fresh(nonce, "192.0.2.1", 50.0)


@pytest.mark.parametrize("other", [book(key=b"x"), book(realm="x"), book(start=50)])
def test_a_nonce_of_another_process_is_not_fresh(other: NonceBook) -> None:
    assert not book().is_fresh(other.make("192.0.2.1", 100.0), "192.0.2.1", 100.0)


@given(st.one_of(st.text(max_size=50), st.binary(max_size=40).map(lambda data: data.hex())))
def test_invented_nonces_are_not_fresh(text: str) -> None:
    assert not book().is_fresh(text, "192.0.2.1", 100.0)


def test_nonces_differ() -> None:
    nonces = book()
    assert len({nonces.make("192.0.2.1", 100.0) for _ in range(100)}) == 100
    assert len(nonces) == 0


def test_a_count_is_claimed_once() -> None:
    nonces = book()
    assert nonces.claim("n", 1, USE, 0.0)
    assert nonces.claim("n", 1, USE, 0.5)
    assert not nonces.claim("n", 1, OTHER, 0.5)
    assert nonces.claim("n", 5, OTHER, 0.6)
    assert not nonces.claim("n", 3, USE, 0.7)
    assert not nonces.claim("n", 1, USE, 0.7)


def test_the_table_is_bounded_and_forgets() -> None:
    nonces = book(max_nonces=3)
    assert all(nonces.claim(str(number), 1, USE, 0.0) for number in range(3))
    assert not nonces.claim("late", 1, USE, 1.0)
    assert nonces.claim("late", 1, USE, NONCE_SECONDS)
    assert len(nonces) == 1


# Other workers of the node.


def test_a_nonce_of_a_sibling_is_claimed_there() -> None:
    here, there = book(worker=0, workers=2), book(worker=1, workers=2, start=50)
    nonce = there.make("192.0.2.1", 100.0)
    assert here.is_fresh(nonce, "192.0.2.1", 100.0)
    assert not here.is_fresh(nonce, "192.0.2.2", 100.0)
    assert not here.is_fresh(nonce, "192.0.2.1", 100.1 + NONCE_SECONDS)
    claim = here.use(nonce, 1, USE, 100.0)
    assert isinstance(claim, Claim)
    assert (claim.nonce, claim.count, claim.worker) == (nonce, 1, 1)
    assert there.claim_for(claim, 100.0)
    assert there.claim_for(claim, 100.5), "a retransmission"
    assert not there.claim_for(replace(claim, use=OTHER), 100.5)
    assert there.use(nonce, 1, OTHER, 100.5) is False
    assert len(here) == 0


def test_a_count_that_its_own_worker_has_used_is_gone_for_the_others() -> None:
    here, there = book(worker=0, workers=2), book(worker=1, workers=2, start=50)
    nonce = there.make("192.0.2.1", 100.0)
    assert there.use(nonce, 1, USE, 100.0) is True
    claim = here.use(nonce, 1, OTHER, 100.0)
    assert isinstance(claim, Claim)
    assert not there.claim_for(claim, 100.0)


def test_a_copy_at_another_worker_is_no_retransmission() -> None:
    """Copies from another port reach another worker, which has no transaction to absorb them."""
    one, two, there = (book(worker=number, workers=3, start=100 * number + 1) for number in range(3))
    for first in (one, two, there):
        nonce = there.make("192.0.2.1", 100.0)
        claims = {asker: claim for asker in (one, two) if isinstance(claim := asker.use(nonce, 1, USE, 100.0), Claim)}

        def granted(asker: NonceBook, nonce: str = nonce, claims: dict[NonceBook, Claim] = claims) -> bool:
            return there.use(nonce, 1, USE, 100.0) is True if asker is there else there.claim_for(claims[asker], 100.0)

        assert granted(first)
        assert [granted(other) for other in (one, two, there)] == [other is first for other in (one, two, there)]


def test_a_worker_that_began_anew_grants_nothing_of_before() -> None:
    here, before, after = book(worker=0, workers=2), book(worker=1, workers=2, start=50), book(worker=1, workers=2, start=90)
    nonce = before.make("192.0.2.1", 100.0)
    claim = here.use(nonce, 1, USE, 100.0)
    assert isinstance(claim, Claim)
    assert not after.claim_for(claim, 100.0)
    assert not after.is_fresh(nonce, "192.0.2.1", 100.0)
    assert not after.claim_for(replace(claim, nonce="nonsense"), 100.0)


def test_a_worker_that_there_is_not_is_not_asked() -> None:
    assert not book(workers=2).is_fresh(book(worker=2, start=50).make("192.0.2.1", 100.0), "192.0.2.1", 100.0)


# The store of the fleet.


def shared(start: int, mark: bytes | None = MARK) -> NonceBook:
    made = book(start=start)
    made.store_mark = mark
    return made


def test_with_a_store_a_nonce_is_good_at_every_proxy_and_claimed_there_alone() -> None:
    one, other = shared(1), shared(50)
    nonce = one.make("192.0.2.1", 100.0)
    for proxy in (one, other):
        assert proxy.is_fresh(nonce, "192.0.2.1", 100.0)
        assert len(proxy) == 0
    claims = [proxy.use(nonce, 1, USE, 100.0) for proxy in (one, other)]
    assert [claim.worker for claim in claims if isinstance(claim, Claim)] == [None, None]
    assert claims[0] != claims[1]


def test_nobody_else_grants_what_the_store_has() -> None:
    one = shared(1)
    nonce = one.make("192.0.2.1", 100.0)
    assert not one.claim_for(Claim(nonce, 1, USE, 0), 100.0)


@pytest.mark.parametrize("mark", [None, b"store2"])
def test_a_nonce_of_a_store_that_is_away_or_new_is_stale(mark: bytes | None) -> None:
    one = shared(1)
    nonce = one.make("192.0.2.1", 100.0)
    one.store_mark = mark
    assert not one.is_fresh(nonce, "192.0.2.1", 100.0)
    assert not shared(50, mark).is_fresh(nonce, "192.0.2.1", 100.0)


def test_a_nonce_from_before_the_store_came_stays_with_its_worker() -> None:
    one, other = shared(1, None), shared(50)
    nonce = one.make("192.0.2.1", 100.0)
    one.store_mark = MARK
    assert one.is_fresh(nonce, "192.0.2.1", 100.0)
    assert one.use(nonce, 1, USE, 100.0) is True
    assert not other.is_fresh(nonce, "192.0.2.1", 100.0)


def test_clocks_of_two_nodes_may_differ_a_little() -> None:
    one, other = shared(1), shared(50)
    nonce = one.make("192.0.2.1", 100.0)
    assert other.is_fresh(nonce, "192.0.2.1", 100.0 - CLOCK_SKEW_SECONDS)
    assert not other.is_fresh(nonce, "192.0.2.1", 99.0 - CLOCK_SKEW_SECONDS)
    assert not other.is_fresh(nonce, "192.0.2.1", 100.1 + NONCE_SECONDS)
    assert CLAIM_KEPT_SECONDS > NONCE_SECONDS + 2 * CLOCK_SKEW_SECONDS
