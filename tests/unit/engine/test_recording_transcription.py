"""Recordings that a document has written down: what the database hears, once the file is complete."""

from __future__ import annotations

import pytest

from callflow.engine.effects import StartRecording, WriteReport
from tests.unit.engine.driver import FACTS, Driver
from voiceapps.rules.reports import RecordingStored, Report, StatusEventQueued, TranscriptionWanted

HEARD = "transcriptionAvailableUrl='/t' transcriptionAvailableMethod='GET'"


def told(driver: Driver) -> list[Report]:
    driver.collect()
    return [effect.report for effect in driver.seen if isinstance(effect, WriteReport)]


def wanted(driver: Driver) -> list[TranscriptionWanted]:
    return [report for report in told(driver) if isinstance(report, TranscriptionWanted)]


def finish(driver: Driver) -> str:
    """Complete the file of the recording that was started last, and return its id."""
    recording_id = driver.last(StartRecording).recording_id
    driver.engine.recording_finished(recording_id, 2_000, driver.now)
    return recording_id


@pytest.mark.parametrize("verb", ["Record", "StartRecording"])
def test_its_recording_is_stored_first_and_then_to_be_written_down(verb: str) -> None:
    driver = Driver()
    driver.run(f"<{verb} transcribe='True' detectLanguage='true' {HEARD} username='u' password='p' tag='x'/><Pause duration='60'/>")
    driver.wait(60 if verb == "Record" else 1)
    assert wanted(driver) == []
    recording_id = finish(driver)
    stored, report = told(driver)[-2:]
    assert isinstance(stored, RecordingStored)
    assert isinstance(report, TranscriptionWanted)
    assert (report.call, report.recording_id, report.tag) == (FACTS, recording_id, "x")
    assert (len(report.transcription_id), report.transcription_id[:2]) == (38, "t-")
    assert (report.url, report.method, report.username, report.password) == ("https://app.example.com/t", "GET", "u", "p")
    assert not [event for event in told(driver) if isinstance(event, StatusEventQueued)]


def test_without_a_url_it_is_written_down_all_the_same() -> None:
    driver = Driver()
    driver.run("<StartRecording transcribe='true' username='u' password='p'/><Pause/>")
    driver.wait(1)
    finish(driver)
    (report,) = wanted(driver)
    assert (report.url, report.method, report.username, report.password) == ("", "POST", "", "")


@pytest.mark.parametrize("attributes", [HEARD, f"transcribe='false' {HEARD}", "detectLanguage='true'"])
def test_without_a_wish_it_is_not(attributes: str) -> None:
    driver = Driver()
    driver.run(f"<StartRecording {attributes}/><Pause/>")
    driver.wait(1)
    finish(driver)
    assert wanted(driver) == []


def test_a_file_that_fails_is_not_written_down() -> None:
    driver = Driver()
    driver.run(f"<StartRecording transcribe='true' {HEARD}/><Pause/>")
    driver.engine.recording_failed(driver.last(StartRecording).recording_id, "The disk is full.", driver.now)
    assert wanted(driver) == []
