"""Audio that is spoken into a leg: frames in order, marks at their places, and bounds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callflow.audio import live as module
from callflow.audio.frames import SILENCE_FRAME
from callflow.audio.live import LiveAudio
from tests.unit.audio.test_session import started

FRAME = bytes(range(160))


def read(live: LiveAudio) -> bytes:
    """Return all that is left, frame by frame; two silences in a row are the end."""
    found, silent = b"", 0
    while silent < 2:
        frame = live.take()
        silent = silent + 1 if frame is None else 0
        found += frame or b""
    return found


@given(st.lists(st.binary(min_size=1, max_size=700), max_size=8))
def test_pieces_of_any_size_are_one_sound(pieces: list[bytes]) -> None:
    live = LiveAudio()
    for piece in pieces:
        assert live.write(piece)
    whole = b"".join(pieces)
    assert read(live) == whole.ljust(-(-len(whole) // 160) * 160, b"\xff")
    assert len(live) == 0


def test_a_part_of_a_frame_waits_for_the_rest() -> None:
    live = LiveAudio()
    live.write(FRAME[:100])
    assert live.take() is None
    live.write(FRAME[100:] + FRAME[:10])
    assert live.take() == FRAME
    assert live.take() is None
    assert live.take() == FRAME[:10] + b"\xff" * 150
    assert live.take() is None


def test_marks_are_reached_behind_their_audio() -> None:
    live = LiveAudio()
    live.mark("at once")
    live.write(FRAME)
    live.mark("one")
    live.write(FRAME)
    live.mark("two")
    assert live.reached == ["at once"]
    live.take()
    assert live.reached == ["at once", "one"]
    live.clear()
    assert live.reached == ["at once", "one", "two"]
    assert live.take() is None


def test_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_OCTETS", 320)
    monkeypatch.setattr(module, "MAX_MARKS", 2)
    live = LiveAudio()
    assert [live.write(FRAME) for _ in range(3)] == [True, True, False]
    assert [live.mark("m") for _ in range(3)] == [True, True, False]
    live.take()
    assert live.write(FRAME)


def test_speakers_are_heard_in_a_session_until_they_leave() -> None:
    made, clock = started()
    live, other = LiveAudio(), LiveAudio()
    made.join(live)
    made.join(other)
    live.write(FRAME * 2)
    clock.run(0.059)
    assert made.frames_out == [FRAME, FRAME, SILENCE_FRAME]
    live.write(b"\x80" * 160)
    other.write(b"\x80" * 160)
    clock.run(0.02)
    # Both at full scale: the sum is clipped.
    assert made.frames_out[3:] == [b"\x80" * 160]
    live.write(FRAME)
    made.leave(live)
    made.leave(live)
    clock.run(0.02)
    assert made.frames_out[4:] == [SILENCE_FRAME]


def test_prompts_come_before_speakers() -> None:
    made, clock = started()
    live = LiveAudio()
    made.join(live)
    live.write(FRAME)
    made.play(b"\x01" * 160)
    clock.run(0.039)
    assert made.frames_out == [b"\x01" * 160, FRAME]


def test_marks_that_nobody_fetches_are_bounded() -> None:
    live = LiveAudio()
    for number in range(module.MAX_MARKS + 5):
        assert live.mark(str(number)) == (number < module.MAX_MARKS)
    assert len(live.reached) == module.MAX_MARKS
