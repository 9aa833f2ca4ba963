"""`<Record>`: what ends it and who hears of it."""

from __future__ import annotations

import pytest

from callflow.audio.silence import is_loud
from callflow.engine.effects import FetchDocument, HangUp, SpeechWanted, StartRecording, StopRecording, WriteReport
from mediarelay.rtp.g711 import pcm16_to_ulaw
from tests.unit.engine.driver import EPOCH, FACTS, Driver
from voiceapps.rules.endings import EndReason
from voiceapps.rules.reports import RecordingBegun, RecordingStored, StatusEventQueued

LOUD = pcm16_to_ulaw(b"\x00\x20\x00\xe0" * 80)
QUIET = pcm16_to_ulaw(b"\x20\x00\xe0\xff" * 80)
URLS = "recordCompleteUrl='/c' recordingAvailableUrl='/a' recordingAvailableMethod='GET' username='u' password='p' tag='t'"


def record(attributes: str = URLS) -> Driver:
    driver = Driver()
    driver.run(f"<Record {attributes}/><SpeakSentence>Thanks</SpeakSentence>")
    return driver


def finish(driver: Driver, duration_ms: int = 1500) -> None:
    driver.engine.recording_finished(driver.last(StopRecording).recording_id, duration_ms, driver.now)


def reports(driver: Driver) -> list[object]:
    driver.collect()
    written = [effect.report for effect in driver.seen if isinstance(effect, WriteReport)]
    return [r for r in written if isinstance(r, RecordingStored | StatusEventQueued)]


def test_loud_and_quiet() -> None:
    assert is_loud(LOUD)
    assert not is_loud(QUIET)
    assert not is_loud(LOUD[:7] + QUIET)
    assert not is_loud(b"")


def test_a_terminating_digit_ends_it() -> None:
    driver = record()
    start = driver.last(StartRecording)
    assert len(start.recording_id) == 47
    assert start.recording_id.startswith("r-")
    assert start.path == f"recordings/{FACTS.call_id}/{start.recording_id}.wav"
    (begun,) = [effect.report for effect in driver.seen if isinstance(effect, WriteReport) and isinstance(effect.report, RecordingBegun)]
    assert (begun.recording_id, begun.path, begun.started_at, begun.channels) == (start.recording_id, start.path, EPOCH, 1)
    assert start.max_seconds == 60.0
    driver.press("1")
    assert driver.count(StopRecording) == 0
    driver.press("##")
    assert driver.count(StopRecording) == 1
    assert driver.count(FetchDocument) == 1
    finish(driver)
    fetch = driver.last(FetchDocument)
    assert (fetch.event_type, fetch.webhook.url, fetch.webhook.username) == (
        "recordComplete",
        "https://app.example.com/c",
        "u",
    )
    assert fetch.body["duration"] == "PT1.500S"
    assert fetch.body["recordingId"] == start.recording_id
    assert driver.count(SpeechWanted) == 0


def test_the_file_and_the_event_are_reported() -> None:
    driver = record()
    driver.wait(60)
    finish(driver)
    stored, queued = reports(driver)
    assert isinstance(stored, RecordingStored)
    assert stored.path == driver.last(StartRecording).path
    assert (stored.started_at, stored.ended_at, stored.channels) == (EPOCH, EPOCH + 1.5, 1)
    assert isinstance(queued, StatusEventQueued)
    assert (queued.url, queued.method, queued.username) == ("https://app.example.com/a", "GET", "u")
    assert (queued.body["status"], queued.body["tag"]) == ("complete", "t")


def test_without_urls_the_next_verb_runs() -> None:
    driver = record("terminatingDigits=''")
    driver.press("#")
    assert driver.count(StopRecording) == 0
    driver.wait(60)
    finish(driver)
    assert driver.last(SpeechWanted).markup == "Thanks"
    assert len(reports(driver)) == 1


def test_silence_ends_it() -> None:
    driver = record("silenceTimeout='2'")
    driver.wait(1.5)
    driver.engine.audio_received(LOUD, driver.now)
    driver.wait(1.5)
    driver.engine.audio_received(QUIET, driver.now)
    assert driver.count(StopRecording) == 0
    driver.wait(0.6)
    assert driver.count(StopRecording) == 1
    driver.engine.audio_received(LOUD, driver.now)
    assert driver.engine.get_timer() == driver.now + 30


def test_hanging_up_keeps_the_recording_and_sends_no_completion() -> None:
    driver = record()
    driver.engine.peer_hung_up(driver.now)
    driver.collect()
    assert driver.count(StopRecording) == 1
    assert not driver.engine.finished
    finish(driver)
    assert [type(report) for report in reports(driver)] == [RecordingStored, StatusEventQueued]
    assert driver.count(FetchDocument) == 1
    assert driver.engine.finished


@pytest.mark.parametrize("hung_up", [False, True])
def test_a_file_that_cannot_be_written_fails_the_call(hung_up: bool) -> None:
    driver = record()
    driver.press("#")
    if hung_up:
        driver.engine.peer_hung_up(driver.now)
    recording_id = driver.last(StopRecording).recording_id
    driver.engine.recording_failed(recording_id, "The disk is full.", driver.now)
    driver.engine.recording_failed(recording_id, "The disk is full.", driver.now)
    assert driver.ended.reason is (EndReason.CALLER_HANGUP if hung_up else EndReason.INTERNAL_ERROR)
    assert driver.count(HangUp) == (0 if hung_up else 1)
    assert reports(driver) == []
    assert driver.engine.finished


def test_what_is_left_out_counts_neither_as_duration_nor_as_silence() -> None:
    driver = record("maxDuration='10' silenceTimeout='4'")
    recordings = driver.engine.recordings
    driver.wait(3)
    recordings.pause(driver.now)
    driver.wait(30)
    recordings.pause(driver.now)
    driver.wait(30)
    assert driver.count(StopRecording) == 0
    recordings.resume(driver.now)
    driver.wait(0.9)
    assert driver.count(StopRecording) == 0
    driver.engine.audio_received(LOUD, driver.now)
    recordings.pause(driver.now)
    driver.wait(1)
    recordings.resume(driver.now)
    driver.wait(3.9)
    driver.engine.audio_received(LOUD, driver.now)
    driver.wait(2.1)
    assert driver.count(StopRecording) == 0
    driver.wait(0.2)
    assert driver.count(StopRecording) == 1
