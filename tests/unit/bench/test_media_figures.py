from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import pytest

from bench.media.carriers import KERNEL, PEER, PLAIN, USERSPACE, sdp
from bench.media.cpu import CpuReading
from bench.media.figures import CALM_SHARE, Limit, Run, Turn, added, added_delays, calm_halves, common_rate, costs
from bench.media.measure import Plan
from bench.media.pacing import Delivery
from bench.media.report import figures, ratios, table
from bench.signalling.processes import TICKS
from mediarelay.sdp.description import SessionDescription

PLAN = Plan(few=200, many=2_500, seconds=5, search_seconds=2, rounds=2)
STAT = """cpu  400 10 300 6000 200 5 85 1000 0 0
cpu0 200 5 150 3000 100 2 43 500 0 0
cpu1 200 5 150 3000 100 3 42 500 0 0
intr 1234 0 9
ctxt 99
"""


def run(cost: float, *, calls: int = 100, lost: int = 0, surplus: int = 0, strays: int = 0, sent: int = 1_000, delay: float = 1.0) -> Run:
    """Return a run of a second at 1,000 packets/s whose delivered packets cost so many microseconds."""
    received = sent - lost + surplus
    delivery = Delivery(sent, received, lost, surplus)
    cpu_of = {"sender": 0.002, "receiver": 0.001, "relay": 0.0}
    return Run(calls, 1_000, 1.0, delivery, strays, cost * received / 1e6, cpu_of, {"p50": delay, "p99": 2 * delay})


def turns(few: Sequence[float], many: Sequence[float]) -> list[Turn]:
    return [Turn({200: run(a), 2_500: run(b, calls=1_250)}) for a, b in zip(few, many, strict=True)]


@pytest.fixture
def measured() -> dict[str, list[Turn]]:
    return {
        PLAIN: turns([10, 20], [12, 24]),
        PEER: turns([30, 60], [32, 64]),
        USERSPACE: turns([26, 52], [28, 56]),
        KERNEL: turns([14, 30], [16, 34]),
    }


def test_cpu_time_is_what_the_cores_were_not_idle_waiting_or_stolen() -> None:
    before = CpuReading.parse(STAT, 100.0)
    assert (before.cores, before.unused) == (2, 7200 / TICKS)
    later = CpuReading(105.0, 2, before.unused + 6.5, before.stolen + 0.5)
    assert before.busy_until(later) == 3.5
    assert before.stolen_until(later) == pytest.approx(0.05)


def test_cost_is_counted_for_each_packet_delivered() -> None:
    half_lost = run(0, lost=500)
    assert half_lost.per_packet(0.01) == 20
    assert run(17.5).cost == pytest.approx(17.5)


def test_plain_forwarding_is_subtracted_round_by_round(measured: dict[str, list[Turn]]) -> None:
    assert costs(measured[PEER], 200) == pytest.approx([30, 60])
    assert added(measured[PEER], measured[PLAIN], 200) == pytest.approx([20, 40])


def test_ratios_are_of_added_cost_pair_by_pair(measured: dict[str, list[Turn]]) -> None:
    found = ratios(measured, "kernel", PLAN) | ratios(measured, "userspace", PLAN)
    assert found["kernel_cpu_per_packet"] == {"median": 0.225, "min": 0.2, "max": 0.25}
    assert found["userspace_cpu_per_packet"] == {"median": 0.8, "min": 0.8, "max": 0.8}
    assert found["kernel_cpu_per_packet_2500_flows"] == {"median": 0.225, "min": 0.2, "max": 0.25}
    assert found["kernel_cost_2500_to_200_flows"]["max"] == pytest.approx(16 / 14, abs=1e-4)


def test_there_is_no_ratio_without_a_peer(measured: dict[str, list[Turn]]) -> None:
    del measured[PEER]
    assert set(ratios(measured, "kernel", PLAN)) == {f"kernel_{what}_2500_to_200_flows" for what in ("cost", "plain_cost")}


@pytest.mark.parametrize(
    ("made", "clean"),
    [
        (run(1), True),
        (run(1, lost=1), False),
        (run(1, surplus=1), False),
        (run(1, strays=1), False),
        (run(1, sent=970), False),
        (run(1, sent=985), True),
    ],
)
def test_a_rate_passes_only_whole_and_at_its_pace(made: Run, clean: bool) -> None:
    assert made.clean is clean


def test_added_delay_is_above_plain_at_the_same_rate() -> None:
    pairs = [(run(1, delay=0.5), run(1, delay=0.2)), (run(1, delay=0.2), run(1, delay=0.3))]
    assert added_delays(pairs, "p99") == pytest.approx([0.6, -0.2])


def test_pairs_count_in_which_the_host_left_the_cores_to_us() -> None:
    calm, stolen = run(1), replace(run(1), stolen=2 * CALM_SHARE)
    turns = [Turn(halves=[(calm, calm), (calm, stolen)]), Turn(halves=[(stolen, calm)]), Turn()]
    assert calm_halves(turns) == [(calm, calm)]


@pytest.mark.parametrize(
    ("cap", "limits", "expected"),
    [
        (50_000, {PLAIN: Limit(100_000, "loss"), PEER: Limit(90_000, "loss")}, (50_000, "cap")),
        (math.inf, {PLAIN: Limit(50_000, "sender"), PEER: Limit(90_000, "loss")}, (40_000, PLAIN)),
        (math.inf, {PLAIN: Limit(100_000, "sender"), USERSPACE: Limit(30_000, "queue")}, (27_000, USERSPACE)),
        (math.inf, {PLAIN: Limit(100_000, "sender"), KERNEL: Limit(80_000, "sender")}, (72_000, KERNEL)),
        (50_000, {}, (50_000, "cap")),
    ],
)
def test_the_rate_is_one_that_all_carry(cap: float, limits: dict[str, Limit], expected: tuple[int, str]) -> None:
    assert common_rate(cap, limits) == expected


def test_a_carriers_figures_name_limit_and_delay(measured: dict[str, list[Turn]]) -> None:
    for turn in measured[KERNEL]:
        turn.halves = [(run(1, delay=0.5), run(1, delay=0.2)), (replace(run(1, delay=1), stolen=0.1), run(1, delay=0.2))]
    found = figures(measured[KERNEL], measured[PLAIN], PLAN, Limit(81_234.5, "sender"))
    assert found["200_flows"]["added_cpu_us"] == {"median": 7, "min": 4, "max": 10}
    assert (found["highest_rate_without_loss"], found["stopped_by"]) == (81_234, "sender")
    at_half = found["at_half_of_it"]
    assert (at_half["pairs"], at_half["calm_pairs"]) == (4, 2)
    assert at_half["added_delay_ms"]["p50"]["max"] == 0.3
    assert at_half["added_delay_ms_of_all_pairs"]["p50"]["max"] == 0.8


def test_without_a_calm_pair_all_count(measured: dict[str, list[Turn]]) -> None:
    measured[KERNEL][0].halves = [(replace(run(1, delay=1), stolen=0.1), run(1, delay=0.2))]
    at_half = figures(measured[KERNEL], measured[PLAIN], PLAN, None)["at_half_of_it"]
    assert (at_half["calm_pairs"], at_half["added_delay_ms"]["p50"]["max"]) == (0, 0.8)


def test_plain_forwarding_adds_nothing_to_itself(measured: dict[str, list[Turn]]) -> None:
    assert "added_cpu_us" not in figures(measured[PLAIN], measured[PLAIN], PLAN, None)["200_flows"]


def test_the_table_has_a_line_for_each_figure(measured: dict[str, list[Turn]]) -> None:
    sides = {name: figures(measured[name], measured[PLAIN], PLAN, Limit(1, "loss")) for name in measured}
    lines = list(table(sides, ratios(measured, "kernel", PLAN)))
    assert any(line.startswith("200 flows, added cpu us") and "7 (4…10)" in line for line in lines)
    assert any(line.startswith("kernel cpu per packet ") for line in lines)


def test_a_description_is_one_that_a_relay_reads() -> None:
    (stream,) = SessionDescription.parse(sdp("10.201.0.2", 10_000)).media
    assert stream.connection is not None
    assert (stream.connection.host, stream.port, stream.live) == ("10.201.0.2", 10_000, True)
