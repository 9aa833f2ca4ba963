"""The flow of packets: when a steady one broke off, and that any other tells nothing."""

from __future__ import annotations

from callflow.audio.flow import GAP_SECONDS, STEADY_SECONDS, Flow

FRAME = 0.02


def flow(*spans: tuple[float, float]) -> Flow:
    """Return a flow with a packet each 20 ms in each span of time."""
    made = Flow()
    for begin, end in spans:
        for number in range(round((end - begin) / FRAME) + 1):
            made.receive(begin + number * FRAME)
    return made


def test_a_steady_one_that_broke_off_tells_when() -> None:
    assert round(flow((10, 15)).broke_off(18.5), 6) == 15.0


def test_one_that_goes_on_has_not_broken_off() -> None:
    assert flow((10, 15)).broke_off(15 + GAP_SECONDS - 0.01) == 15 + GAP_SECONDS - 0.01


def test_one_with_gaps_tells_nothing() -> None:
    # Silence is suppressed: some words now and then.
    assert flow((10, 11.5), (14, 14 + STEADY_SECONDS / 2)).broke_off(20) == 20


def test_nothing_tells_nothing() -> None:
    assert Flow().broke_off(7) == 7
