from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.voice.recordings import span, words
from bench.voice.tally import FRAME_SECONDS, FRAME_TICKS, GAP_SECONDS, Tally, heard
from tests.unit.bench.voice_files import recording

START = 1_700_000_000.0


def hear(tally: Tally, slots: list[int], *, first: int = 0, late: float = 0.0, skipping: bool = False) -> None:
    """Let the packets of some slots come, each in its slot; `skipping` numbers only those that come."""
    for number, slot in enumerate(slots):
        sequence = first + (number if skipping else slot)
        tally.take(sequence & 0xFFFF, (first + slot) * FRAME_TICKS & 0xFFFF_FFFF, START + slot * FRAME_SECONDS + late)


def test_what_comes_as_it_should_counts_nothing_else() -> None:
    tally = Tally()
    hear(tally, list(range(100)))
    tally.end(START + 100 * FRAME_SECONDS)
    found = heard([tally])
    assert (found["received"], found["lost"], found["skipped"], found["gaps"], found["strays"]) == (100, 0, 0, 0, 0)
    assert found["pacing_max_ms"] == pytest.approx(0.0, abs=0.01)
    assert found["longest_pause_ms"] == pytest.approx(20, abs=0.1)


@pytest.mark.parametrize("first", [0xFFFF - 5, 0xFFFF_FFFF // FRAME_TICKS - 5])
def test_numbers_and_timestamps_begin_anew(first: int) -> None:
    tally = Tally()
    hear(tally, list(range(20)), first=first)
    found = heard([tally])
    assert (found["received"], found["lost"], found["skipped"], found["strays"]) == (20, 0, 0, 0)
    assert found["pacing_max_ms"] == pytest.approx(0.0, abs=0.01)


def test_a_packet_that_never_came_is_lost() -> None:
    tally = Tally()
    hear(tally, [0, 1, 3, 4])
    assert (tally.received, tally.lost, tally.skipped, tally.gaps) == (4, 1, 0, 0)


def test_time_without_a_packet_is_skipped_although_the_numbers_go_on() -> None:
    tally = Tally()
    hear(tally, [0, 1, 6, 7], skipping=True)
    assert (tally.received, tally.lost, tally.skipped, tally.gaps) == (4, 0, 4, 1)


def test_an_engine_that_stood_still_leaves_a_gap_also_where_it_catches_up() -> None:
    tally = Tally()
    hear(tally, [0, 1, 2])
    for slot in range(3, 13):
        tally.take(slot, slot * FRAME_TICKS, START + 0.26)
    assert (tally.lost, tally.skipped, tally.gaps) == (0, 0, 1)
    assert heard([tally])["pacing_max_ms"] == pytest.approx(200, abs=0.1)


def test_silence_to_the_end_is_a_gap() -> None:
    tally = Tally()
    hear(tally, [0, 1])
    tally.end(START + FRAME_SECONDS + 1.01 * GAP_SECONDS)
    assert tally.gaps == 1
    deaf = Tally()
    deaf.begin(START)
    deaf.end(START + 20)
    assert (deaf.received, deaf.gaps, deaf.longest_pause) == (0, 1, 20)


def test_a_count_begins_anew_but_the_most_punctual_packet_is_remembered() -> None:
    tally = Tally()
    hear(tally, [0, 1, 5])
    tally.begin(START + 0.1)
    for slot in (6, 7):
        tally.take(slot, slot * FRAME_TICKS, START + slot * FRAME_SECONDS + 0.003)
    assert (tally.received, tally.lost) == (2, 0)
    assert tally.lateness() == pytest.approx([0.003, 0.003], abs=1e-5)


@pytest.mark.parametrize("number", [2, 0, 0xFFF0])
def test_what_comes_twice_or_too_late_is_a_stray(number: int) -> None:
    tally = Tally()
    hear(tally, [0, 1, 2])
    tally.take(number, number * FRAME_TICKS, START + 0.05)
    assert (tally.received, tally.strays, tally.lost) == (3, 1, 0)


@given(st.sets(st.integers(1, 200)))
def test_each_packet_came_or_is_lost(missing: set[int]) -> None:
    tally = Tally()
    hear(tally, [slot for slot in range(202) if slot not in missing])
    assert (tally.received, tally.lost, tally.skipped) == (202 - len(missing), len(missing), 0)


@pytest.mark.parametrize(
    ("frames", "expected"),
    [([], (0, 0)), ([0, 0], (0, 0)), ([0, 1, 1, 0], (2, 0)), ([1, 0, 0, 1, 0], (4, 2)), ([0, 1, 0, 1, 1], (4, 1))],
)
def test_silence_counts_between_the_first_word_and_the_last(frames: list[int], expected: tuple[int, int]) -> None:
    assert span(np.array(frames, dtype=bool)) == expected


@pytest.mark.parametrize("channels", [1, 2])
def test_a_hole_in_the_callers_channel_is_found(channels: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("recordings") / "r.wav"
    recording(path, [False, True, True, False, True, False], channels=channels)
    assert words(path) == (4, 1)
