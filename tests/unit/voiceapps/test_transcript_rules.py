"""Transcripts: who said what, and how much of it is kept."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiceapps.rules import transcripts
from voiceapps.rules.transcripts import Clip, Speech, Transcript

HELLO, YES, NO = Clip(0, "hello", 0.9, 0.5, 1.0), Clip(1, "yes please", 0.5, 1.5, 2.0), Clip(0, "no", 0.7, 2.5, 3.0)
parts = st.floats(0, 1)
seconds = st.floats(0, 14_400)
clips = st.builds(Clip, st.integers(0, 1), st.text(max_size=5), parts, seconds, seconds)


def test_each_speaker_has_all_that_it_said_and_the_mean_of_its_confidence() -> None:
    first, second = Transcript((HELLO, YES, NO)).speeches()
    assert (first.speaker, first.text) == (0, "hello no")
    assert first.confidence == pytest.approx(0.8)
    assert second == Speech(1, "yes please", 0.5)


def test_of_silence_nobody_said_anything() -> None:
    assert Transcript(()).speeches() == []
    assert Transcript.parse(str(Transcript(()))) == Transcript(())


def test_channels_that_were_heard_one_after_the_other_are_put_in_order() -> None:
    assert Transcript((HELLO, NO, YES)).kept().clips == (HELLO, YES, NO)


@pytest.mark.parametrize(
    ("bound", "value", "kept"),
    [("MAX_CLIPS", 2, 2), ("MAX_CHARACTERS", 16, 2), ("MAX_CHARACTERS", 17, 3), ("MAX_CHARACTERS", 4, 0)],
)
def test_what_is_beyond_a_bound_is_dropped(bound: str, value: int, kept: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transcripts, bound, value)
    assert Transcript((HELLO, YES, NO)).kept().clips == (HELLO, YES, NO)[:kept]


@given(st.lists(clips, max_size=8))
def test_what_is_stored_is_read(said: list[Clip]) -> None:
    transcript = Transcript(tuple(said)).kept()
    text = str(transcript)
    assert "\0" not in text
    assert Transcript.parse(text) == transcript
    assert sum(len(speech.text) for speech in transcript.speeches()) >= sum(len(clip.text) for clip in said)
