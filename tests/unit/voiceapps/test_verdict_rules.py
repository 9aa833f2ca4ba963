"""What became of a call: each way to end has its verdict, and the audio decides about those that ended as calls do."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiceapps.rules.diagnosis.verdicts import POOR_MOS, Level, Story, VerdictCode, explain, judge
from voiceapps.rules.endings import EndClass, EndReason
from voiceapps.rules.media_figures import MediaFigures

OUTSIDE = MediaFigures("external", 250, 43_000, 250, 0, 1.0, 20.0, 4.3, 0, "kernel", 0, "203.0.113.5:4000", "203.0.113.5:4000")
INSIDE = replace(OUTSIDE, side="internal", advertised="10.0.0.2:5000")
TALK = Story(EndReason.CALLER_HANGUP, seconds=5.0, sip_status=200, media=(OUTSIDE, INSIDE))


def heard(outside: int, inside: int, **changes: object) -> Story:
    sides = replace(OUTSIDE, packets_in=outside), replace(INSIDE, packets_in=inside)
    return replace(TALK, media=sides, **changes)  # type: ignore[arg-type]  # the tests below name its fields


def test_a_call_that_goes_on_has_no_verdict_yet() -> None:
    assert judge(Story()) is VerdictCode.GOING_ON
    assert explain(Story()).level is Level.GOING_ON


@pytest.mark.parametrize(
    ("story", "code", "level"),
    [
        (TALK, VerdictCode.HEARD, Level.GOOD),
        (heard(0, 250), VerdictCode.CALLER_UNHEARD, Level.BAD),
        (heard(250, 0), VerdictCode.CALLER_DEAF, Level.BAD),
        (heard(0, 0), VerdictCode.NO_AUDIO, Level.BAD),
        (heard(0, 50, seconds=1.9), VerdictCode.SHORT, Level.DOUBTFUL),
        (heard(1, 1, seconds=0.1), VerdictCode.HEARD, Level.GOOD),
        (heard(0, 250, end_reason=EndReason.APPLICATION_HANGUP), VerdictCode.CALLER_UNHEARD, Level.BAD),
        (replace(TALK, media=()), VerdictCode.UNMEASURED, Level.GOOD),
        (replace(TALK, media=(OUTSIDE,)), VerdictCode.UNMEASURED, Level.GOOD),
        (replace(TALK, media=(replace(OUTSIDE, mos=POOR_MOS - 0.1), INSIDE)), VerdictCode.POOR_AUDIO, Level.DOUBTFUL),
        (replace(TALK, media=(OUTSIDE, replace(INSIDE, mos=POOR_MOS))), VerdictCode.HEARD, Level.GOOD),
        (replace(TALK, media=(OUTSIDE, INSIDE, replace(OUTSIDE, side="callflow", mos=1.5))), VerdictCode.POOR_AUDIO, Level.DOUBTFUL),
    ],
)
def test_the_audio_decides_about_a_call_that_somebody_ended(story: Story, code: VerdictCode, level: Level) -> None:
    assert (judge(story), explain(story).level) == (code, level)


@pytest.mark.parametrize("reason", EndReason)
def test_every_end_has_a_verdict_that_says_something(reason: EndReason) -> None:
    verdict = explain(replace(TALK, end_reason=reason, error="What went wrong."))
    assert verdict.title
    assert verdict.cause
    assert (verdict.level is Level.GOOD) == (reason.end_class is EndClass.SUCCESS)
    assert verdict.remedy or verdict.level is Level.GOOD


def test_the_cause_is_that_of_this_call() -> None:
    notice = "The session description says 10.0.0.5:4000, packets come from 203.0.113.9:47."
    assert explain(heard(0, 250, notice=notice)).cause == f"We sent 250 packets and got none. {notice}"
    assert explain(heard(0, 250)).cause.endswith("The caller's session description asked for 203.0.113.5:4000.")
    assert "The caller sent 250 packets" in explain(heard(250, 0)).cause
    lossy = replace(OUTSIDE, mos=2.0, lost=250, jitter_ms=12.345)
    assert explain(replace(TALK, media=(lossy, INSIDE))).cause == (
        "The caller's audio scored 2.0 of 4.4: 50.0 % of its packets were lost, with 12.3 ms of jitter."
    )
    refused = Story(EndReason.TARGET_REFUSED, sip_status=486)
    assert explain(refused).cause == "The target answered 486."
    assert explain(Story(EndReason.CALLBACK_ERROR, error="The webhook answered 500.")).cause == "The webhook answered 500."
    assert explain(Story(EndReason.CALLBACK_ERROR)).cause == "No document came."


@given(st.builds(Story, st.none() | st.sampled_from(EndReason), st.booleans(), st.floats(0, 1e6)), st.text(max_size=20))
def test_any_story_has_a_verdict(story: Story, error: str) -> None:
    verdict = explain(replace(story, error=error))
    assert verdict.code is judge(story)
    assert verdict.title == verdict.code.headline
