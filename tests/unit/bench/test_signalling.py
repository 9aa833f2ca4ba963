from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import pytest

from bench.signalling.checks import media_of
from bench.signalling.figures import RESOLUTION, knee_search, pairwise_ratios, percentile, percentiles, spread
from bench.signalling.load import Plan, last_row, set_up_times
from bench.signalling.postgres import database_of
from bench.signalling.processes import TICKS, ProcessStat, tree

STAT = "4711 (name (with) blanks) S 42 4711 4711 0 -1 4194560 100 200 0 0 150 50 30 20 20 0 4 0 12345 1000 200"
LIMIT = 3_000


def search(passes: Callable[[int], bool], *, start: int) -> tuple[int, list[int]]:
    """Run a knee search against a rule; return the knee and the rates tried."""
    steps = knee_search(start, LIMIT)
    tried = [next(steps)]
    while True:
        try:
            tried.append(steps.send(passes(tried[-1])))
        except StopIteration as end:
            return end.value, tried


@pytest.mark.parametrize(("percent", "expected"), [(50, 50), (95, 95), (99, 99), (100, 100), (1, 1)])
def test_a_percentile_is_one_of_the_values(percent: float, expected: float) -> None:
    assert percentile(list(range(100, 0, -1)), percent) == expected


@pytest.mark.parametrize(("values", "expected"), [([7.0], 7.0), ([1.0, 9.0], 9.0)])
def test_the_99th_percentile_of_few_is_the_greatest(values: Sequence[float], expected: float) -> None:
    assert percentiles(values)["p99"] == expected


def test_there_is_no_percentile_of_nothing() -> None:
    assert math.isnan(percentile([], 50))


def test_a_spread_names_median_and_ends() -> None:
    assert spread([3, 1, 2]) == {"median": 2, "min": 1, "max": 3}


def test_ratios_are_made_pair_by_pair() -> None:
    assert pairwise_ratios([1, 4], [2, 2]) == [0.5, 2.0]


@pytest.mark.parametrize("limit", [3, 37, 100, 512, 1999])
@pytest.mark.parametrize("start", [50, 400])
def test_the_knee_is_the_first_rate_that_fails(limit: int, start: int) -> None:
    knee, tried = search(lambda rate: rate < limit, start=start)
    assert limit <= knee <= max(limit + 5, limit * (1 + 2 * RESOLUTION))
    assert len(tried) == len(set(tried)) <= 12


def test_a_stack_that_never_fails_has_its_knee_at_the_limit() -> None:
    assert search(lambda _rate: True, start=50)[0] == LIMIT


def test_cpu_time_counts_ended_children() -> None:
    assert ProcessStat.parse(STAT) == ProcessStat(4711, 42, 250 / TICKS)


def test_a_tree_holds_children_of_children_only() -> None:
    table = {pid: ProcessStat(pid, parent, 1.0) for pid, parent in ((1, 0), (2, 1), (3, 2), (4, 1), (5, 3))}
    assert {stat.pid for stat in tree(2, table)} == {2, 3, 5}


def test_a_tree_without_its_root_is_empty() -> None:
    assert not list(tree(9, {}))


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("postgres: sipuri kamailio 127.0.0.1(41000) idle", "kamailio"),
        ("postgres: autovacuum worker kamailio", "kamailio"),
        ("postgres: autovacuum launcher", ""),
        ("postgres: walwriter", ""),
        ("/usr/lib/postgresql/15/bin/postgres -D /tmp/data", ""),
        ("", ""),
    ],
)
def test_a_title_names_the_database(title: str, expected: str) -> None:
    assert database_of(title) == expected


def test_set_up_times_begin_with_the_first_invite() -> None:
    seen = [
        "d\tt\t100.000\tS\ta@x\tCSeq:1 INVITE\tINVITE sip:u@h SIP/2.0",
        "d\tt\t100.500\tS\ta@x\tCSeq:1 INVITE\tINVITE sip:u@h SIP/2.0",
        "d\tt\t100.502\tR\ta@x\tCSeq:1 INVITE\tSIP/2.0 407 Proxy Authentication Required",
        "d\tt\t100.503\tS\ta@x\tCSeq:2 INVITE\tINVITE sip:u@h SIP/2.0",
        "d\tt\t100.610\tR\ta@x\tCSeq:2 INVITE\tSIP/2.0 200 OK",
        "d\tt\t100.700\tR\ta@x\tCSeq:2 INVITE\tSIP/2.0 200 OK",
        "d\tt\t100.800\tR\ta@x\tCSeq:3 BYE\tSIP/2.0 200 OK",
        "d\tt\t100.9",
    ]
    challenge, setup = set_up_times(seen)
    assert challenge == [pytest.approx(502)]
    assert setup == [pytest.approx(610)]


def test_the_last_row_counts() -> None:
    assert last_row("FailedCall(C);SuccessfulCall(C);\n0;1;\n2;3;\n")["FailedCall(C)"] == "2"


def test_calls_are_shared_by_the_ports() -> None:
    assert (Plan(100, 15, 8).calls_each, Plan(100, 15, 8).calls) == (188, 1504)
    assert Plan(1, 1, 8).calls == 8


def test_media_is_read_from_what_sipp_logged() -> None:
    line = "-" * 40 + " 2026-11-23 03:03:25.427865\n"
    body = "c=IN IP4 {}\nt=0 0\nm=audio {} RTP/AVP 0\n"
    log = (
        f"{line}UDP message received [694] bytes :\n\nINVITE sip:u@h SIP/2.0\n\n{body.format('127.0.0.3', 30000)}\n"
        f"{line}UDP message sent (431 bytes):\n\nSIP/2.0 180 Ringing\n\n"
        f"{line}UDP message sent (531 bytes):\n\nSIP/2.0 200 OK\n\n{body.format('127.0.0.4', 6000)}\n"
    )
    assert media_of(log, "received") == [("127.0.0.3", 30000)]
    assert media_of(log, "sent") == [("127.0.0.4", 6000)]
