"""Transcriptions beside the program: which there may be, what is kept of them and what is told."""

from __future__ import annotations

import pytest

from callflow.engine import transcriptions as module
from callflow.engine.effects import CloseTranscription, OpenTranscription, SpeechWanted, WriteReport
from tests.unit.engine.driver import EPOCH, FACTS, Driver
from voiceapps.rules.reports import CallNotice, StatusEventQueued, TranscriptKept
from voiceapps.rules.transcripts import Clip
from voiceapps.rules.webhook_bodies import iso_time

START = (
    "<StartTranscription name='{0}' tracks='{1}' transcriptionEventUrl='/e' transcriptionEventMethod='GET' username='u' password='p'"
    " destination='wss://h/x?token=1' stabilized='false' detectLanguage='true' preferredLanguages='fr-FR, en-GB'>"
    "<CustomParam name='a' value='b'/></StartTranscription>"
)
AGENT = START.format("agent", "inbound")
NEXT = "<SpeakSentence>Next</SpeakSentence>"
HELLO = Clip(0, "hello", 0.5, 0.1, 0.4)


def told(driver: Driver, kind: type) -> list[object]:
    driver.collect()
    return [effect.report for effect in driver.seen if isinstance(effect, WriteReport) and isinstance(effect.report, kind)]


def events(driver: Driver) -> list[StatusEventQueued]:
    return [event for event in told(driver, StatusEventQueued) if isinstance(event, StatusEventQueued)]


def begin(driver: Driver, language: str = "en-GB") -> str:
    number = driver.last(OpenTranscription).transcription_id
    driver.engine.transcriptions.language_chosen(number, language)
    driver.engine.transcriptions.opened(number, driver.now)
    return number


def test_it_goes_on_beside_the_program_and_is_kept_at_the_end_of_the_call() -> None:
    driver = Driver()
    driver.run(f"{AGENT}<Pause duration='5'/>")
    wanted = driver.last(OpenTranscription)
    assert (len(wanted.transcription_id), wanted.transcription_id[:2], wanted.name) == (38, "t-", "agent")
    assert (wanted.verb.languages, wanted.verb.params) == (("fr-FR", "en-GB"), (("a", "b"),))
    number = begin(driver)
    driver.engine.transcriptions.words_heard(number, HELLO)
    driver.wait(5)
    assert driver.engine.ended
    assert driver.last(CloseTranscription) == CloseTranscription(number)
    assert not driver.engine.finished, "the last words may come yet"
    driver.engine.transcriptions.words_heard(number, Clip(0, "world", 0.7, 1.0, 1.4))
    driver.engine.transcriptions.over(number, "closed", "", driver.now)
    (kept,) = told(driver, TranscriptKept)
    clips = (HELLO, Clip(0, "world", 0.7, 1.0, 1.4))
    assert kept == TranscriptKept(FACTS, number, "agent", EPOCH + 5, ("inbound",), "en-GB", clips)
    assert driver.engine.finished


def test_what_becomes_of_it_is_told() -> None:
    driver = Driver()
    driver.run(f"{AGENT}<Pause duration='5'/><StopTranscription name='agent'/><Pause duration='60'/>")
    number = begin(driver)
    driver.wait(5)
    assert driver.count(CloseTranscription) == 1
    driver.engine.transcriptions.over(number, "closed", "", driver.now)
    started, stopped, available = events(driver)
    assert {(event.url, event.method, event.username, event.password) for event in events(driver)} == {
        ("https://app.example.com/e", "GET", "u", "p")
    }
    common = {"id": number, "name": "agent", "tracks": ["inbound"], "stabilized": False, "destination": "wss://h/x?token=***"}
    begun = common | {"startTime": iso_time(EPOCH)}
    assert (started.event_type, started.body["realTimeTranscription"]) == ("realTimeTranscriptionStarted", begun)
    assert (stopped.event_type, stopped.body["cause"]) == ("realTimeTranscriptionStopped", "closed")
    assert stopped.body["realTimeTranscription"] == begun | {"duration": "PT5S"}
    assert available.event_type == "realTimeTranscriptionAvailable"
    url = f"https://voice.example.com/api/v2/accounts/{FACTS.account_id}/calls/{FACTS.call_id}/transcriptions/{number}"
    assert available.body["realTimeTranscription"] == begun | {"status": "available", "url": url, "completedTime": iso_time(EPOCH + 5)}


def test_one_that_cannot_begin_is_rejected_and_the_document_goes_on() -> None:
    driver = Driver()
    driver.run(f"{AGENT}{NEXT}")
    number = driver.last(OpenTranscription).transcription_id
    driver.engine.transcriptions.over(number, "error", "The recogniser is busy with other callers.", driver.now)
    (rejected,) = events(driver)
    assert (rejected.event_type, rejected.body["cause"]) == ("realTimeTranscriptionRejected", "error")
    assert rejected.body["errorMessage"] == "The recogniser is busy with other callers."
    (notice,) = told(driver, CallNotice)
    assert isinstance(notice, CallNotice)
    assert notice.text == "<StartTranscription>: The recogniser is busy with other callers."
    assert told(driver, TranscriptKept) == []
    assert driver.count(SpeechWanted) == 1


def test_names_are_unique_and_a_call_has_four_tracks_for_them() -> None:
    driver = Driver()
    driver.run(AGENT + AGENT + START.format("both", "both") + START.format("more", "both") + "<Pause/>")
    assert [event.body["cause"] for event in events(driver)] == ["duplicate", "track-limit"]
    assert driver.count(OpenTranscription) == 2


def test_without_a_name_all_are_stopped_and_without_a_url_nobody_is_told() -> None:
    driver = Driver()
    driver.run("<StartTranscription/><StartTranscription/><Pause/><StopTranscription/><Pause duration='9'/>")
    driver.collect()
    opened = [effect.transcription_id for effect in driver.seen if isinstance(effect, OpenTranscription)]
    driver.wait(1)
    driver.collect()
    closed = [effect.transcription_id for effect in driver.seen if isinstance(effect, CloseTranscription)]
    assert len(set(opened)) == 2
    assert closed == opened
    assert events(driver) == []


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_TRANSCRIPTION", 12)
    driver = Driver()
    driver.run(f"{AGENT}<Pause duration='60'/>")
    number = begin(driver)
    for _ in range(5):
        driver.engine.transcriptions.words_heard(number, HELLO)
    driver.engine.transcriptions.over(number, "connection-error", "The connection broke.", driver.now)
    (kept,) = told(driver, TranscriptKept)
    assert isinstance(kept, TranscriptKept)
    assert kept.clips == (HELLO, HELLO)
    driver.engine.transcriptions.words_heard(number, HELLO)
    driver.engine.transcriptions.over(number, "closed", "", driver.now)
    assert len(told(driver, TranscriptKept)) == 1


def test_one_that_waits_for_the_answer_and_is_stopped_before_it_was_never_there() -> None:
    driver = Driver()
    driver.run(f"{AGENT}<Ring answerCall='false'/><StopTranscription name='agent'/><Ring answerCall='false'/>")
    driver.wait(5)
    assert driver.count(OpenTranscription) == 0
    assert events(driver) == []
