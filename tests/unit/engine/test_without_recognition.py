"""What documents ask of a speech recogniser, where there is none: they run, and who asked is told."""

from __future__ import annotations

from callflow.engine.effects import FetchDocument, SpeechWanted, StopPlaying, WriteReport
from tests.unit.engine.driver import EPOCH, Driver
from voiceapps.rules.reports import CallNotice, Report, StatusEventQueued
from voiceapps.rules.webhook_bodies import iso_time

NEXT = "<SpeakSentence>Next</SpeakSentence>"


def told(driver: Driver) -> list[Report]:
    driver.collect()
    return [effect.report for effect in driver.seen if isinstance(effect, WriteReport)]


def events(driver: Driver, event_type: str) -> list[StatusEventQueued]:
    return [report for report in told(driver) if isinstance(report, StatusEventQueued) and report.event_type == event_type]


def notes(driver: Driver) -> list[str]:
    return [report.text for report in told(driver) if isinstance(report, CallNotice)]


def test_a_gather_of_words_hears_no_digits_and_goes_on_in_its_time() -> None:
    driver = Driver()
    driver.run(
        f"<StartGather dtmfUrl='/d'/><Gather input='speech' gatherUrl='/g' maxDigits='1' hints='yes,no' speechTimeout='3'>{NEXT}</Gather>"
    )
    driver.speak()
    driver.press("1")
    assert driver.count(StopPlaying) == 0
    assert [event.body["digit"] for event in events(driver, "dtmf")] == ["1"]
    driver.engine.playback_finished(driver.last_playback(), driver.now)
    driver.wait(5)
    fetch = driver.last(FetchDocument)
    assert (fetch.event_type, fetch.body["digits"], fetch.body["terminatingDigit"]) == ("gather", "", "")
    assert notes(driver) == ["<Gather>: This system does not recognise speech."]


def test_a_gather_of_words_or_digits_takes_digits() -> None:
    driver = Driver()
    driver.run("<StartGather dtmfUrl='/d'/><Gather input='dtmf_speech' gatherUrl='/g' maxDigits='1'/>")
    driver.press("7")
    assert driver.last(FetchDocument).body["digits"] == "7"
    assert events(driver, "dtmf") == []


def test_a_transcription_is_rejected_and_the_document_goes_on() -> None:
    driver = Driver()
    driver.run(
        "<StartTranscription name='n' tracks='both' transcriptionEventUrl='/e' transcriptionEventMethod='GET' username='u' password='p'"
        " destination='wss://h/x?token=1' stabilized='false' detectLanguage='true' preferredLanguages='en-US'>"
        f"<CustomParam name='a' value='b'/></StartTranscription><StopTranscription name='n'/><StopTranscription/>{NEXT}"
    )
    (event,) = events(driver, "realTimeTranscriptionRejected")
    assert (event.url, event.method, event.username, event.password) == ("https://app.example.com/e", "GET", "u", "p")
    assert (event.body["cause"], event.body["errorMessage"]) == ("error", "This system does not recognise speech.")
    transcription = event.body["realTimeTranscription"]
    assert isinstance(transcription, dict)
    assert transcription.pop("id").startswith("t-")
    assert transcription == {"name": "n", "tracks": ["inbound", "outbound"], "stabilized": False, "destination": "wss://h/x?token=***"}
    assert event.body["startTime"] == iso_time(EPOCH)
    assert notes(driver) == ["<StartTranscription>: This system does not recognise speech."]
    assert driver.count(SpeechWanted) == 1


def test_one_without_a_url_or_a_name_goes_on_too() -> None:
    driver = Driver()
    driver.run(f"<StartTranscription/>{NEXT}")
    assert events(driver, "realTimeTranscriptionRejected") == []
    assert driver.count(SpeechWanted) == 1
