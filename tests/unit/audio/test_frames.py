"""A recording is as long as the call was, whatever a sender's clock says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callflow.audio.frames import (
    FRAME_OCTETS,
    HELD_SAMPLES,
    MAX_AHEAD_SAMPLES,
    MAX_FILL_SAMPLES,
    SAMPLE_RATE,
    SILENCE_FRAME,
    SLACK_SAMPLES,
    FrameAssembler,
)

SOUND = b"\x01" * FRAME_OCTETS


class Caller:
    """A sender with a clock of its own, and a receiver that counts what comes of it."""

    def __init__(self) -> None:
        self.now = 100.0
        self.clock = 4_000_000_000
        self.assembler = FrameAssembler()
        self.assembler.start(self.now)
        self.frames: list[bytes] = []

    @property
    def seconds(self) -> float:
        return len(self.frames) * FRAME_OCTETS / SAMPLE_RATE

    @property
    def shape(self) -> str:
        """Tenths of a second: loud or not."""
        return "".join(".#"[SOUND in self.frames[at : at + 5]] for at in range(0, len(self.frames) - 4, 5))

    def talk(self, seconds: float, *, step: int = 160, marker: bool = False, ssrc: int = 1) -> None:
        for number in range(round(seconds * 50)):
            self.wait(0.02)
            self.frames += self.assembler.push(ssrc, self.clock & 0xFFFFFFFF, SOUND, self.now, marker=marker and not number)
            self.clock += step

    def wait(self, seconds: float) -> None:
        for _ in range(round(seconds * 50)):
            self.now += 0.02
            self.frames += self.assembler.fill(self.now)

    def burst(self, seconds: float) -> None:
        """Deliver at once what a network has held."""
        for _ in range(round(seconds * 50)):
            self.frames += self.assembler.push(1, self.clock & 0xFFFFFFFF, SOUND, self.now)
            self.clock += 160

    def end(self) -> None:
        self.frames += self.assembler.flush(self.now)


@pytest.mark.parametrize(("clock", "marker"), [("runs", True), ("runs", False), ("stands", True), ("stands", False)])
@pytest.mark.parametrize("gap", [1, 2, 5, 40])
def test_a_silence_is_as_long_as_it_was(clock: str, marker: bool, gap: int) -> None:
    caller = Caller()
    caller.talk(1)
    caller.wait(gap)
    caller.clock += gap * SAMPLE_RATE if clock == "runs" else 160
    caller.talk(1, marker=marker)
    caller.end()
    assert caller.seconds == pytest.approx(gap + 2, abs=0.1)
    assert caller.shape.count("#") == pytest.approx(20, abs=2)


def test_the_silence_is_where_it_was() -> None:
    caller = Caller()
    caller.wait(0.4)
    caller.talk(1)
    caller.wait(3)
    caller.talk(1, marker=True)
    caller.end()
    assert caller.shape == "." * 4 + "#" * 10 + "." * 30 + "#" * 10


def test_a_caller_that_never_sends_is_silent_for_as_long() -> None:
    caller = Caller()
    caller.wait(90)
    caller.end()
    assert caller.frames == [SILENCE_FRAME] * 4500


def test_silence_is_added_only_when_nothing_can_come_any_more() -> None:
    caller = Caller()
    caller.talk(1)
    caller.wait(2.9)
    assert caller.seconds == pytest.approx(1, abs=0.1)
    caller.wait(2)
    assert caller.seconds == pytest.approx(5.9 - HELD_SAMPLES / SAMPLE_RATE, abs=0.1)


@pytest.mark.parametrize("stall", [0.5, 1, 2, 2.8])
def test_what_a_network_has_held_is_neither_lost_nor_made_longer(stall: float) -> None:
    caller = Caller()
    caller.talk(1)
    caller.wait(stall)
    caller.burst(stall)
    caller.talk(1)
    caller.end()
    assert caller.seconds == pytest.approx(2 + stall, abs=0.1)
    assert SILENCE_FRAME not in caller.frames[:-2]


def test_nothing_is_lost_if_the_network_holds_for_longer_than_we_wait() -> None:
    caller = Caller()
    caller.talk(1)
    caller.wait(4)
    caller.burst(4)
    assert caller.frames.count(SOUND) == 250


def test_a_clock_that_never_moves_loses_no_audio() -> None:
    caller = Caller()
    caller.talk(3, step=0)
    assert caller.frames == [SOUND] * 150


@pytest.mark.parametrize("jump", [2**31, -(2**31) + 1, -80_000, 80_000, 5_000])
def test_a_clock_that_jumps_adds_no_more_than_the_time_that_has_passed(jump: int) -> None:
    caller = Caller()
    caller.talk(1)
    caller.clock += jump
    caller.talk(1)
    caller.end()
    assert caller.seconds == pytest.approx(2, abs=0.1)


@pytest.mark.parametrize("step", [80, 320, 640])
def test_a_clock_of_another_rate_keeps_the_length(step: int) -> None:
    caller = Caller()
    caller.talk(10, step=step)
    caller.end()
    assert caller.seconds == pytest.approx(10, abs=SLACK_SAMPLES / SAMPLE_RATE + 0.1)
    assert caller.frames.count(SOUND) == 500 or step > 160


def test_stale_packets_after_a_hold_do_not_count_twice() -> None:
    caller = Caller()
    caller.talk(1)
    stale = caller.clock - 8000
    caller.wait(5)
    caller.clock += 5 * SAMPLE_RATE
    now = caller.clock
    caller.clock = stale
    caller.burst(0.2)
    caller.clock = now
    caller.talk(1)
    caller.end()
    assert caller.seconds == pytest.approx(7, abs=0.25)


def test_two_streams_at_once_make_no_longer_recording() -> None:
    caller = Caller()
    for number in range(1_000):
        caller.talk(0.02, ssrc=1 + number % 2)
        caller.frames += caller.assembler.push(2 - number % 2, 5, SOUND, caller.now)
    caller.end()
    assert caller.seconds <= 20 + MAX_AHEAD_SAMPLES / SAMPLE_RATE


def test_a_new_source_goes_on_at_its_time() -> None:
    caller = Caller()
    caller.talk(1)
    caller.wait(1)
    caller.clock = 77
    caller.talk(1, ssrc=2)
    caller.end()
    assert caller.shape == "#" * 10 + "." * 10 + "#" * 10


def test_a_process_that_stood_still_adds_a_bounded_silence() -> None:
    assembler = FrameAssembler()
    assembler.start(0.0)
    assert len(assembler.flush(10_000.0)) == MAX_FILL_SAMPLES // FRAME_OCTETS
    assert assembler.flush(10_000.0) == []


@given(st.lists(st.tuples(st.sampled_from(["talk", "wait", "jump", "stand", "marker", "burst"]), st.integers(1, 40)), max_size=12))
def test_whatever_a_sender_does_its_recording_is_as_long_as_the_call(story: list[tuple[str, int]]) -> None:
    caller = Caller()
    for kind, tenths in story:
        seconds = tenths / 10
        match kind:
            case "wait":
                caller.wait(seconds)
                caller.clock += round(seconds * SAMPLE_RATE)
            case "stand":
                caller.wait(seconds)
            case "jump":
                caller.clock += tenths * 123_456_789
            case "burst":
                caller.wait(seconds)
                caller.burst(seconds)
            case _:
                caller.talk(seconds, marker=kind == "marker")
    caller.end()
    assert abs(caller.seconds - (caller.now - 100.0)) <= MAX_AHEAD_SAMPLES / SAMPLE_RATE + 0.1
