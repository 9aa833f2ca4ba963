"""What documents ask of a speech recogniser, where there is none: they run, and who asked is told."""

from __future__ import annotations

from callflow.engine.effects import FetchDocument, Listen, StopListening, StopPlaying, WriteReport
from callflow.engine.listening import NO_RECOGNITION
from tests.unit.engine.driver import Driver
from voiceapps.rules.reports import CallNotice, Report, StatusEventQueued

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
    driver.engine.listenings.listening_over(driver.last(Listen).number, NO_RECOGNITION, driver.now)
    driver.speak()
    driver.press("1")
    assert driver.count(StopPlaying) == 0
    assert [event.body["digit"] for event in events(driver, "dtmf")] == ["1"]
    driver.engine.playback_finished(driver.last_playback(), driver.now)
    driver.wait(5)
    fetch = driver.last(FetchDocument)
    assert (fetch.event_type, fetch.body["digits"], fetch.body["terminatingDigit"]) == ("gather", "", "")
    assert driver.count(StopListening) == 0
    assert notes(driver) == ["<Gather>: This system does not recognise speech."]


def test_a_gather_of_words_or_digits_takes_digits() -> None:
    driver = Driver()
    driver.run("<StartGather dtmfUrl='/d'/><Gather input='dtmf_speech' gatherUrl='/g' maxDigits='1'/>")
    driver.press("7")
    assert driver.last(FetchDocument).body["digits"] == "7"
    assert events(driver, "dtmf") == []
