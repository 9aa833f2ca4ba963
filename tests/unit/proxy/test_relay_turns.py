from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from daemonkit.address import Address
from sipproxy.aio.relay_turns import RelayTurns
from sipproxy.config import Relay

A, B, C = (("10.0.0.1", 22222), ("10.0.0.2", 22222), ("10.0.0.3", 22222))

weights = st.lists(st.integers(1, 1000), min_size=1, max_size=6)
small_weights = st.lists(st.integers(1, 20), min_size=1, max_size=6)


def addresses(count: int) -> list[Address]:
    return [(f"10.0.0.{number}", 22222) for number in range(1, count + 1)]


def histories(every: list[Address]) -> st.SearchStrategy[list[set[Address]]]:
    """The relays that live at each turn: random ones, or the same failures again and again."""
    some = st.lists(st.sets(st.sampled_from(every)), max_size=6)
    return st.tuples(some, st.integers(1, 20)).map(lambda drawn: drawn[0] * drawn[1])


def turns(*given_weights: int) -> RelayTurns:
    return RelayTurns([Relay(address, weight) for address, weight in zip(addresses(len(given_weights)), given_weights, strict=True)])


def test_weights_interleave() -> None:
    some = turns(3, 1)
    assert [some.next([A, B]) for _ in range(8)] == [A, A, B, A] * 2


def test_without_weights_each_has_its_turn() -> None:
    some = turns(1, 1, 1)
    assert [some.next([A, B, C]) for _ in range(6)] == [A, B, C] * 2


def test_a_relay_that_comes_back_comes_last() -> None:
    some = turns(1, 1, 1)
    assert [some.next([A, B, C]), some.next([A, C])] == [A, C]
    assert [some.next([A, B, C]) for _ in range(3)] == [C, A, B]


def test_without_a_live_relay_none_is_chosen() -> None:
    assert turns(3, 1).next([]) is None
    assert RelayTurns([]).next([A]) is None


def test_an_unknown_relay_gets_no_turn() -> None:
    assert turns(1).next([C]) is None


@given(small_weights)
def test_a_round_gives_each_its_weight(given_weights: list[int]) -> None:
    some, live = turns(*given_weights), addresses(len(given_weights))
    for _ in range(2):
        got = Counter(some.next(live) for _ in range(sum(given_weights)))
        assert got == dict(zip(live, given_weights, strict=True))


@given(weights, st.data())
def test_no_relay_exceeds_its_share_whatever_failed_before(given_weights: list[int], data: st.DataObject) -> None:
    """A relay that comes back, too, never gets more than its share since then, rounded up."""
    some, every = turns(*given_weights), addresses(len(given_weights))
    for live in data.draw(histories(every)):
        chosen = some.next(live)
        assert chosen in live if live else chosen is None
    back = data.draw(st.sampled_from(every))
    some.next([other for other in every if other != back])
    got = 0
    for number in range(1, 200):
        got += some.next(every) == back
        assert got < number * given_weights[every.index(back)] / sum(given_weights) + 1


@given(small_weights, st.data())
def test_after_any_failures_the_shares_are_right_again(given_weights: list[int], data: st.DataObject) -> None:
    some, every = turns(*given_weights), addresses(len(given_weights))
    for live in data.draw(histories(every)):
        some.next(live)
    rounds = 10
    got = Counter(some.next(every) for _ in range(rounds * sum(given_weights)))
    # The imbalance that failures have left is evened out once.
    for address, weight in zip(every, given_weights, strict=True):
        assert abs(got[address] - rounds * weight) <= len(every)
