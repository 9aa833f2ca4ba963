"""What a fault cost: each kind of harm is seen, and what is allowed is excused."""

from __future__ import annotations

from dataclasses import replace

from tests.chaos.callers import Attempt
from tests.chaos.verdict import Allowed, Row, Seen, cost

NOTHING = Allowed()
SOLE = Allowed(refusals=True, back_off=2.0)
GOOD = Attempt(1, begun_at=100.0, answered_at=101.0, ended_at=106.0, asked=2)
ROW = Row(GOOD.user, 2, "c-1", is_open=False, answered_at=101.0, ended_at=106.4, reason="caller_hangup")
SEEN = Seen([GOOD], [ROW], 0, ["c-1"], ["c-1"], began_at=110.0, ended_at=120.0, is_well=True)


def test_a_line_without_harm_is_good() -> None:
    found = cost(SEEN, NOTHING)
    assert (found.calls, found.faults) == (1, ())
    assert round(found.seconds_off, 3) == 0.4


def test_what_is_left_open_is_seen() -> None:
    assert cost(replace(SEEN, open_rows=2), SOLE).faults == ("2 rows open",)
    assert cost(replace(SEEN, rows=[replace(ROW, is_open=True)]), SOLE).faults == ("1 rows open",)


def test_a_webhook_that_is_missing_is_seen_and_a_doubled_one_counted() -> None:
    assert cost(replace(SEEN, disconnected=[]), SOLE).faults == ("1 webhooks missing",)
    assert cost(replace(SEEN, initiated=["c-1", "c-2"]), SOLE).missing == 1
    assert cost(replace(SEEN, disconnected=["c-1", "c-1"]), NOTHING).doubled == 1


def test_a_call_that_is_cut_is_excused_where_its_node_died() -> None:
    seen = replace(SEEN, attempts=[replace(GOOD, is_cut=True)])
    assert cost(seen, NOTHING).faults == ("1 calls cut",)
    assert cost(seen, Allowed(cuts=True)).faults == ()


def test_a_refusal_is_excused_while_the_sole_node_is_away() -> None:
    for begun_at, excused in ((100.0, False), (108.0, True), (115.0, True), (124.9, True), (126.0, False)):
        seen = replace(SEEN, attempts=[Attempt(1, begun_at, refused=[503])])
        assert (cost(seen, SOLE).faults == ()) is excused, begun_at
        assert cost(seen, NOTHING).refused == 1
        assert cost(seen, NOTHING).faults


def test_the_last_call_that_failed_tells_when_it_was_over() -> None:
    attempts = [Attempt(number, 118.0 + number, dead=2) for number in range(5)]
    found = cost(replace(SEEN, attempts=attempts), NOTHING)
    assert (found.recovered_after, found.dead) == (2.0, 10)


def test_a_record_that_is_wrong_by_more_than_a_second_is_seen() -> None:
    assert cost(replace(SEEN, rows=[replace(ROW, ended_at=107.5)]), SOLE).faults == ("a record is 1.5 s off",)


def test_a_system_that_stays_ill_is_seen() -> None:
    assert cost(replace(SEEN, is_well=False), SOLE).faults == ("the system did not become well",)


def test_bad_calls_are_told() -> None:
    cut = replace(GOOD, number=2, is_cut=True)
    assert cost(SEEN, NOTHING).examples == ()
    assert cost(replace(SEEN, attempts=[GOOD, cut]), Allowed(cuts=True)).examples == ()
    assert cost(replace(SEEN, attempts=[GOOD, cut]), NOTHING).examples == (
        "chaos000002 without a record: begun -10.0, answered -9.0, ended -4.0; dead 0, refused []",
    )
    assert cost(replace(SEEN, rows=[replace(ROW, ended_at=107.5)]), NOTHING).examples == (
        "chaos000001 c-1: begun -10.0, answered -9.0, ended -4.0, record answered -9.0, record ended -2.5; dead 0, refused []",
    )


def test_a_bye_to_a_host_that_is_away_may_be_heard_late() -> None:
    proxy, other = ("192.0.2.1", 5060), ("192.0.2.2", 5060)
    attempt = replace(GOOD, ended_at=112.0, proxy=proxy)
    seen = replace(SEEN, attempts=[attempt], rows=[replace(ROW, ended_at=121.0)], harmed=frozenset({proxy}))
    host = Allowed(unheard=True)
    assert cost(seen, host).faults == ()
    assert cost(seen, NOTHING).faults == ("a record is 9.0 s off",)
    for at, ended_at in ((other, 112.0), (proxy, 108.0), (proxy, 130.0)):
        changed = replace(attempt, proxy=at, ended_at=ended_at)
        assert cost(replace(seen, attempts=[changed]), host).faults == (f"a record is {abs(121.0 - ended_at):.1f} s off",)
    assert cost(replace(seen, rows=[replace(ROW, ended_at=128.0)]), host).faults == ("a record is 16.0 s off",)


def test_of_several_records_the_one_of_the_last_proxy_counts() -> None:
    first = replace(ROW, asked=1, call_id="c-0", answered_at=101.0, ended_at=101.0)
    seen = replace(SEEN, rows=[ROW, first], disconnected=["c-1", "c-0"])
    assert round(cost(seen, NOTHING).seconds_off, 3) == 0.4


def test_a_call_that_was_not_answered_when_its_host_went_may_fail() -> None:
    host = Allowed(unheard=True)
    for begun_at, excused in ((106.0, False), (109.8, True), (110.1, False)):
        seen = replace(SEEN, attempts=[Attempt(1, begun_at, refused=[500])])
        assert (cost(seen, host).faults == ()) is excused, begun_at
