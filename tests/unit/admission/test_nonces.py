from __future__ import annotations

import hashlib
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipproxy.admission.limits import MAX_NONCES, NONCE_SECONDS
from sipproxy.admission.nonces import NonceBook

USE = ("call", "2 INVITE", "z9hG4bKa")
OTHER = ("call-2", "2 INVITE", "z9hG4bKb")


def book(*, key: bytes = b"key", realm: str = "r", start: int = 1, max_nonces: int = MAX_NONCES) -> NonceBook:
    numbers = count(start)
    return NonceBook(key=key, realm=realm, new_token=lambda: hashlib.sha256(str(next(numbers)).encode()).hexdigest(), max_nonces=max_nonces)


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
