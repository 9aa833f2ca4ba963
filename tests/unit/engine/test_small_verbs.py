"""Verbs of one step: `<Ring>`, `<SendDtmf>`, `<Tag>`."""

from __future__ import annotations

from callflow.engine.effects import Alert, Answer, FetchDocument, Play, SendDigits, SpeechWanted, StopPlaying, WriteReport
from tests.unit.engine.driver import Driver
from voiceapps.rules.reports import CallNotice


def test_ringing_answers_and_plays_for_its_time() -> None:
    driver = Driver()
    driver.run("<Ring duration='2.5'/><SpeakSentence>Hi</SpeakSentence>")
    assert len(driver.last(Play).ulaw) == 20_000
    driver.wait(2.4)
    assert driver.count(SpeechWanted) == 0
    driver.wait(0.2)
    assert driver.last(StopPlaying)
    assert driver.count(SpeechWanted) == 1


def test_ringing_can_leave_the_call_unanswered() -> None:
    driver = Driver()
    driver.run("<Ring answerCall='False'/><Redirect redirectUrl='/x'/>")
    assert driver.count(Answer) == driver.count(Play) == 0
    driver.wait(5)
    assert driver.last(FetchDocument).event_type == "redirect"
    assert "answerTime" not in driver.last(FetchDocument).body
    driver.answer_fetch("<Response><Ring/></Response>")
    assert driver.count(Answer) == 1


def test_a_caller_that_hears_us_early_hears_the_rest_of_the_ringing() -> None:
    driver = Driver()
    driver.run("<Ring answerCall='false' duration='4'/><Ring answerCall='false' duration='2'/><Hangup/>")
    assert driver.count(Alert) == 1
    driver.wait(1)
    driver.engine.early_media_opened(driver.now)
    assert len(driver.last(Play).ulaw) == 24_000
    driver.wait(3)
    # The second one is heard from its beginning.
    assert (driver.count(Alert), driver.count(Play), driver.count(StopPlaying)) == (1, 2, 1)
    assert len(driver.last(Play).ulaw) == 16_000
    driver.wait(2)
    assert driver.ended.sip_status == 603


def test_early_media_without_ringing_is_silent() -> None:
    driver = Driver()
    driver.run("<Redirect redirectUrl='/x'/>")
    driver.engine.early_media_opened(driver.now)
    driver.answer_fetch("<Response><Pause/></Response>")
    driver.engine.early_media_opened(driver.now)
    assert driver.count(Play) == 0


def test_an_answered_call_rings_whatever_the_verb_says() -> None:
    driver = Driver()
    driver.run("<Pause/><Ring answerCall='false'/>")
    driver.wait(1)
    assert driver.count(Play) == 1


def test_digits_are_sent_before_the_next_verb() -> None:
    driver = Driver()
    driver.run("<SendDtmf toneDuration='50' toneInterval='60.4'> 1w2W,aD* </SendDtmf><SpeakSentence>Hi</SpeakSentence>")
    sent = driver.last(SendDigits)
    assert (sent.digits, sent.tone_ms, sent.interval_ms) == ("1w2W,aD*", 50, 60)
    assert driver.count(SpeechWanted) == 0
    driver.engine.playback_finished(sent.number, driver.now)
    assert driver.count(SpeechWanted) == 1


def test_a_tag_sticks_until_it_is_cleared() -> None:
    driver = Driver()
    driver.run("<Tag> first </Tag><Redirect redirectUrl='/x'/>")
    assert driver.last(FetchDocument).body["tag"] == "first"
    driver.answer_fetch("<Response><Tag/><Redirect redirectUrl='/x'/></Response>")
    assert "tag" not in driver.last(FetchDocument).body


def test_a_voice_that_is_not_there_is_noted_once() -> None:
    driver = Driver()
    driver.run(
        "<SpeakSentence voice='hal'>a</SpeakSentence>"
        "<Gather repeatCount='2'><SpeakSentence locale='tlh'>b</SpeakSentence><SpeakSentence>c</SpeakSentence></Gather>"
    )
    driver.play_out()
    driver.play_out()
    driver.play_out()
    driver.wait(5)
    driver.collect()
    notices = [e.report for e in driver.seen if isinstance(e, WriteReport) and isinstance(e.report, CallNotice)]
    assert [notice.text for notice in notices] == [
        "There is no voice 'hal': a female voice of en_US speaks instead.",
        "There is no locale 'tlh': a female voice of en_US speaks instead.",
    ]
