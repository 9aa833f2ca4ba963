"""What goes on behind the verbs: reports of digits, recordings."""

from __future__ import annotations

from dataclasses import replace

import pytest

from callflow.bxml.recording import Sides
from callflow.engine.effects import (
    FetchDocument,
    PauseRecording,
    Play,
    ResumeRecording,
    SpeechWanted,
    StartRecording,
    StopRecording,
    WriteReport,
)
from callflow.engine.limits import DIGIT_EVENTS_PER_SECOND, MAX_BEGUN, MAX_DIGIT_EVENTS
from tests.unit.engine.driver import APPLICATION, EPOCH, Driver
from voiceapps.rules.endings import EndReason
from voiceapps.rules.reports import RecordingStored, StatusEventQueued

START_GATHER = "<StartGather dtmfUrl='/digit' dtmfMethod='GET' username='u' password='p' tag='t'/>"
START = "<StartRecording recordingAvailableUrl='/a' multiChannel='true' recordingName='sale' tag='t'/>"


def events(driver: Driver, event_type: str) -> list[StatusEventQueued]:
    driver.collect()
    reports = [effect.report for effect in driver.seen if isinstance(effect, WriteReport)]
    return [report for report in reports if isinstance(report, StatusEventQueued) and report.event_type == event_type]


def test_each_digit_is_reported_while_other_verbs_run() -> None:
    driver = Driver()
    driver.run(f"{START_GATHER}<Pause duration='9'/>")
    driver.press("1#")
    first, second = events(driver, "dtmf")
    assert (first.url, first.method, first.username, first.password) == ("https://app.example.com/digit", "GET", "u", "p")
    assert [event.body["digit"] for event in (first, second)] == ["1", "#"]
    assert (first.body["eventType"], first.body["tag"], first.body["answerTime"]) == ("dtmf", "t", "2023-11-14T22:13:20.000Z")


def test_digits_that_are_wanted_nowhere_are_sent_and_not_shown() -> None:
    driver = Driver(replace(APPLICATION, mask_digits=True))
    driver.run(f"{START_GATHER}<Pause duration='9'/>")
    driver.press("7")
    (event,) = events(driver, "dtmf")
    assert (event.body["digit"], event.hidden) == ("*", {"digit": "7"})


def test_a_gather_has_its_digits_for_itself() -> None:
    driver = Driver()
    driver.run(f"{START_GATHER}<Gather maxDigits='1'/><Pause duration='9'/>")
    driver.press("1")
    assert events(driver, "dtmf") == []
    driver.press("2")
    assert [event.body["digit"] for event in events(driver, "dtmf")] == ["2"]


def test_the_reports_outlive_their_document_and_can_be_stopped() -> None:
    driver = Driver()
    driver.run(f"{START_GATHER}<Pause/><Redirect redirectUrl='https://other.example.com/x'/>")
    driver.wait(1)
    driver.press("5")
    driver.answer_fetch("<Response><Pause/><StopGather/><Pause/></Response>")
    driver.press("6")
    driver.wait(1)
    driver.press("7")
    assert [(event.url, event.body["digit"]) for event in events(driver, "dtmf")] == [
        ("https://app.example.com/digit", "5"),
        ("https://app.example.com/digit", "6"),
    ]


def test_a_recording_in_the_background_goes_on_until_it_is_stopped() -> None:
    driver = Driver()
    driver.run(f"{START}<Pause/><Redirect redirectUrl='/n'/>")
    start = driver.last(StartRecording)
    assert (start.file_format, start.sides) == ("wav", Sides.SEPARATE)
    driver.wait(1)
    driver.answer_fetch("<Response><StartRecording/><Pause/><StopRecording/><StopRecording/><Pause/></Response>")
    assert driver.count(StartRecording) == 1
    driver.wait(1)
    assert driver.count(StopRecording) == 1
    driver.engine.recording_finished(start.recording_id, 2000, driver.now)
    (event,) = events(driver, "recordingAvailable")
    assert (event.url, event.body["recordingName"], event.body["channels"]) == ("https://app.example.com/a", "sale", 2)
    assert not driver.engine.ended


def test_paused_time_is_in_no_duration() -> None:
    driver = Driver()
    driver.run("<Pause/><StartRecording/><PauseRecording/><Pause duration='5'/><ResumeRecording/><Pause/><StopRecording/><Pause/>")
    driver.wait(1)
    recording_id = driver.last(StartRecording).recording_id
    assert driver.last(PauseRecording).recording_id == recording_id
    driver.wait(6)
    assert driver.last(ResumeRecording).recording_id == recording_id
    driver.engine.recording_finished(recording_id, 1000, driver.now)
    driver.collect()
    (stored,) = [e.report for e in driver.seen if isinstance(e, WriteReport) and isinstance(e.report, RecordingStored)]
    assert (stored.duration_ms, stored.started_at, stored.ended_at) == (1000, EPOCH + 1, EPOCH + 7)


@pytest.mark.parametrize("order", ["PauseRecording", "ResumeRecording", "StopRecording", "StopGather"])
def test_orders_without_anything_that_runs_do_nothing(order: str) -> None:
    driver = Driver()
    driver.run(f"<{order}/><SpeakSentence>Hi</SpeakSentence>")
    assert driver.last(SpeechWanted).markup == "Hi"
    assert driver.count(PauseRecording) + driver.count(ResumeRecording) + driver.count(StopRecording) == 0


def test_a_recording_waits_for_the_answer() -> None:
    driver = Driver()
    driver.arrive()
    driver.answer_fetch("<Response><StartRecording/><Tag>x</Tag><SpeakSentence>Hi</SpeakSentence></Response>")
    assert driver.count(StartRecording) == 0
    driver.engine.accepted()
    driver.engine.acknowledged(driver.now, driver.now)
    assert driver.count(StartRecording) == 1


@pytest.mark.parametrize("hung_up", [True, False])
def test_the_end_of_the_call_ends_the_recording(hung_up: bool) -> None:
    driver = Driver()
    driver.run(f"<Pause/>{START}" + ("<Pause/>" if hung_up else ""))
    driver.wait(1)
    if hung_up:
        driver.engine.peer_hung_up(driver.now)
    assert driver.engine.ended
    assert driver.last(StopRecording) == StopRecording(driver.last(StartRecording).recording_id)
    assert not driver.engine.finished
    driver.engine.recording_finished(driver.last(StopRecording).recording_id, 20, driver.now)
    assert len(events(driver, "recordingAvailable")) == 1
    assert driver.engine.finished


def test_a_recorded_answer_stands_beside_the_background() -> None:
    driver = Driver()
    driver.run(f"{START}<Record recordCompleteUrl='/c' terminatingDigits='#'/>")
    driver.collect()
    background, answer = [effect for effect in driver.seen if isinstance(effect, StartRecording)]
    assert answer.sides is Sides.CALLER
    driver.engine.recording_failed("r-unknown", "?", driver.now)
    driver.press("#")
    assert driver.last(StopRecording).recording_id == answer.recording_id
    driver.engine.recording_finished(answer.recording_id, 20, driver.now)
    assert driver.last(FetchDocument).body["recordingId"] == answer.recording_id
    driver.answer_fetch("<Response><SpeakSentence>Hi</SpeakSentence></Response>")
    driver.speak()
    assert driver.count(Play) == 1
    assert background.recording_id != answer.recording_id


def test_digits_that_come_too_fast_are_heard_and_not_reported() -> None:
    driver = Driver()
    driver.run(f"{START_GATHER}<Pause duration='9'/>")
    driver.press("5" * (MAX_DIGIT_EVENTS + 7))
    assert len(events(driver, "dtmf")) == MAX_DIGIT_EVENTS
    driver.wait(1)
    driver.press("6")
    assert events(driver, "dtmf")[-1].body["digit"] == "6"


def test_digits_that_go_on_too_fast_go_on_being_reported_at_the_rate() -> None:
    driver = Driver()
    driver.run(f"{START_GATHER}<Pause duration='900'/>")
    counts = []
    for _ in range(4):
        before = len(events(driver, "dtmf"))
        for _ in range(25 * 30):
            driver.wait(0.04)
            driver.press("5")
        counts.append(len(events(driver, "dtmf")) - before)
    assert counts[-1] == pytest.approx(DIGIT_EVENTS_PER_SECOND * 30, abs=2)


def test_no_digit_is_reported_behind_the_end() -> None:
    driver = Driver()
    driver.run(f"{START_GATHER}<Hangup/>")
    driver.press("5")
    assert events(driver, "dtmf") == []


@pytest.mark.parametrize(
    "verbs", ["<StopRecording/><StartRecording/>", "<StartStream name='a' destination='ws://h/' streamEventUrl='/s'/>"]
)
def test_what_one_document_begins_is_bounded(verbs: str) -> None:
    driver = Driver()
    driver.run(f"<Pause/>{verbs * 120}")
    driver.wait(1)
    assert driver.ended.reason is EndReason.APPLICATION_ERROR
    assert driver.count(StartRecording) + len(events(driver, "mediaStreamRejected")) in (MAX_BEGUN, MAX_BEGUN - 1)


def test_a_pause_before_the_answer_counts() -> None:
    driver = Driver()
    driver.run("<StartRecording/><PauseRecording/><SpeakSentence>Your card, please</SpeakSentence>")
    driver.collect()
    first, second = (effect for effect in driver.seen if isinstance(effect, StartRecording | PauseRecording | ResumeRecording))
    assert isinstance(first, StartRecording)
    assert second == PauseRecording(first.recording_id)


@pytest.mark.parametrize("verbs", ["<ResumeRecording/>", "<StopRecording/><StartRecording/>"])
def test_a_pause_before_the_answer_may_end_before_it(verbs: str) -> None:
    driver = Driver()
    driver.run(f"<StartRecording/><PauseRecording/>{verbs}<SpeakSentence>Hi</SpeakSentence>")
    assert (driver.count(StartRecording), driver.count(PauseRecording)) == (1, 0)
