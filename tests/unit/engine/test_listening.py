"""`<Gather>` of words: what ends it, what waits for whom, and what the webhook says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callflow.config import Application
from callflow.engine.effects import FetchDocument, Listen, Play, SpeechWanted, StopListening, StopPlaying, WriteReport
from callflow.engine.limits import MAX_SPEAKING_SECONDS, MAX_TRANSCRIPT
from callflow.engine.listening import Listenings
from tests.unit.engine.driver import APPLICATION, Driver
from voiceapps.rules.reports import CallNotice

PROMPT = "<SpeakSentence>Say yes or no</SpeakSentence>"


def gather(attributes: str = "", prompts: str = "", application: Application = APPLICATION) -> Driver:
    driver = Driver(application)
    driver.run(f"<Gather input='speech' gatherUrl='/g' {attributes}>{prompts}</Gather><Hangup/>")
    return driver


def number(driver: Driver) -> int:
    return driver.last(Listen).number


def heard(driver: Driver, text: str, confidence: float = 0.9) -> None:
    driver.engine.listenings.words_heard(number(driver), text, confidence, driver.now)


def began(driver: Driver) -> None:
    driver.engine.listenings.speech_began(number(driver), driver.now)


def ended(driver: Driver) -> None:
    driver.engine.listenings.speech_ended(number(driver), driver.now)


def over(driver: Driver, sentence: str | None = None) -> None:
    driver.engine.listenings.listening_over(number(driver), sentence, driver.now)


def collected(driver: Driver) -> tuple[object, object, object]:
    fetch = driver.last(FetchDocument)
    assert fetch.event_type == "gather"
    return fetch.body["digits"], fetch.body["terminatingDigit"], fetch.body.get("speech")


def notes(driver: Driver) -> list[str]:
    driver.collect()
    reports = [effect.report for effect in driver.seen if isinstance(effect, WriteReport)]
    return [report.text for report in reports if isinstance(report, CallNotice)]


def is_over(driver: Driver) -> bool:
    return driver.count(FetchDocument) == 2


def test_it_listens_from_the_beginning_for_what_the_document_hints_at() -> None:
    driver = gather("hints='yes, no,,no' language='en-GB'", PROMPT)
    assert driver.last(Listen) == Listen(number(driver), ("yes", "no"), "en-GB")
    assert driver.count(StopListening) == 0


def test_digits_alone_are_listened_for_by_nobody() -> None:
    driver = Driver()
    driver.run("<Gather gatherUrl='/g' maxDigits='1'/>")
    driver.press("1")
    assert (driver.count(Listen), driver.count(StopListening)) == (0, 0)


def test_words_end_it_when_no_more_come() -> None:
    driver = gather("speechTimeout='2'")
    heard(driver, "yes", 0.8)
    driver.wait(1.9)
    heard(driver, "please", 0.9)
    driver.wait(1.9)
    assert not is_over(driver)
    driver.wait(0.2)
    assert collected(driver) == ("", "", {"transcript": "yes please", "confidence": 0.85})
    assert driver.last(StopListening).number == number(driver)


def test_without_words_it_ends_as_without_digits() -> None:
    driver = gather("firstDigitTimeout='3' repeatCount='2'", PROMPT)
    for _ in range(2):
        driver.play_out()
        driver.wait(3)
    assert collected(driver) == ("", "", None)
    assert (driver.count(Listen), driver.count(StopListening)) == (1, 1)


def test_words_stop_a_prompt_and_a_sound_alone_does_not() -> None:
    driver = gather("", PROMPT * 2)
    playing = driver.speak()
    began(driver)
    ended(driver)
    began(driver)
    assert driver.count(StopPlaying) == 0
    heard(driver, "yes")
    assert driver.count(StopPlaying) == 1
    driver.engine.playback_finished(playing, driver.now)
    driver.collect()
    assert (driver.count(SpeechWanted), driver.count(Play)) == (1, 1)
    driver.wait(5)
    assert is_over(driver)


def test_words_before_the_prompt_is_ready_keep_it_from_playing() -> None:
    driver = gather("", PROMPT)
    heard(driver, "yes")
    driver.engine.sound_ready(driver.last(SpeechWanted).number, b"\x00", driver.now)
    assert driver.count(Play) == 0


def test_it_waits_while_somebody_speaks_and_then_for_what_was_left() -> None:
    driver = gather("firstDigitTimeout='3'")
    driver.wait(2)
    began(driver)
    driver.wait(20)
    ended(driver)
    driver.wait(0.9)
    assert not is_over(driver)
    driver.wait(0.2)
    assert collected(driver) == ("", "", None)


def test_it_waits_for_who_began_to_speak_during_the_prompt() -> None:
    driver = gather("firstDigitTimeout='0'", PROMPT)
    driver.speak()
    began(driver)
    driver.engine.playback_finished(driver.last_playback(), driver.now)
    driver.wait(10)
    assert not is_over(driver)
    heard(driver, "yes")
    driver.wait(5)
    assert collected(driver)[2] == {"transcript": "yes", "confidence": 0.9}


@pytest.mark.parametrize("parts", [1, 3])
def test_a_noise_holds_it_up_for_a_minute_in_all(parts: int) -> None:
    driver = gather("firstDigitTimeout='3'")
    for _ in range(parts):
        began(driver)
        driver.wait(MAX_SPEAKING_SECONDS / parts)
        ended(driver)
    began(driver)
    driver.wait(2.9)
    assert not is_over(driver)
    driver.wait(0.2)
    assert is_over(driver)


def test_who_is_said_to_begin_twice_holds_it_up_once() -> None:
    driver = gather("firstDigitTimeout='3'")
    began(driver)
    driver.wait(MAX_SPEAKING_SECONDS - 1)
    began(driver)
    driver.wait(4.1)
    assert is_over(driver)


def test_the_first_digit_ends_the_listening() -> None:
    driver = Driver()
    driver.run("<Gather input='dtmf_speech' gatherUrl='/g' interDigitTimeout='2'/>")
    heard(driver, "my number is")
    began(driver)
    driver.press("1")
    assert driver.count(StopListening) == 1
    heard(driver, "one")
    driver.wait(2)
    assert collected(driver) == ("1", "", {"transcript": "my number is", "confidence": 0.9})
    assert driver.count(StopListening) == 1


def test_a_terminating_digit_sends_the_words_before_it() -> None:
    driver = Driver()
    driver.run("<Gather input='dtmf_speech' gatherUrl='/g' terminatingDigits='#'/>")
    heard(driver, "alice")
    driver.press("#")
    assert collected(driver) == ("", "#", {"transcript": "alice", "confidence": 0.9})


def test_too_many_words_end_it() -> None:
    driver = gather()
    heard(driver, "x" * (MAX_TRANSCRIPT - 2))
    assert not is_over(driver)
    heard(driver, "yyy")
    speech = collected(driver)[2]
    assert isinstance(speech, dict)
    assert speech["transcript"] == "x" * (MAX_TRANSCRIPT - 2) + " y"


@pytest.mark.parametrize("speaking", [False, True])
def test_a_recogniser_that_breaks_off_is_told_and_missed(speaking: bool) -> None:
    driver = gather("firstDigitTimeout='3'")
    heard(driver, "yes")
    if speaking:
        began(driver)
    over(driver, "The recogniser has ended.")
    driver.wait(5)
    assert collected(driver)[2] == {"transcript": "yes", "confidence": 0.9}
    assert driver.count(StopListening) == 0
    assert notes(driver) == ["<Gather>: The recogniser has ended."]


def test_words_that_it_cannot_hear_are_told() -> None:
    driver = gather("hints='yes,sipuri'")
    driver.engine.listenings.words_lacking(number(driver), ("sipuri",), driver.now)
    assert notes(driver) == ["<Gather>: The recogniser does not know the words: sipuri."]


def test_a_call_that_ends_listens_no_longer() -> None:
    driver = gather()
    driver.engine.peer_hung_up(driver.now)
    assert driver.count(StopListening) == 1
    heard(driver, "yes")
    assert driver.engine.ended


def test_without_a_url_words_are_dropped_and_the_next_verb_runs() -> None:
    driver = Driver()
    driver.run(f"<Gather input='speech'/>{PROMPT}")
    heard(driver, "yes")
    driver.wait(5)
    assert driver.count(SpeechWanted) == 1


def test_words_can_be_masked_in_the_record_as_digits_are() -> None:
    driver = gather(application=replace(APPLICATION, mask_digits=True))
    heard(driver, "four two")
    driver.wait(5)
    fetch = driver.last(FetchDocument)
    assert fetch.body["speech"] == {"transcript": "four two", "confidence": 0.9}
    assert fetch.recorded["speech"] == {"transcript": "********", "confidence": 0.9}


def play_out(driver: Driver) -> None:
    """Deliver the prompt and let it finish, unless it was stopped."""
    driver.engine.sound_ready(driver.last(SpeechWanted).number, b"\x00", driver.now)
    if driver.count(Play):
        driver.engine.playback_finished(driver.last_playback(), driver.now)


INPUTS: list[Callable[[Driver], None]] = [
    began,
    ended,
    lambda driver: heard(driver, "yes"),
    over,
    lambda driver: over(driver, "It has ended."),
    lambda driver: driver.press("1"),
    lambda driver: driver.press("#"),
    lambda driver: driver.wait(1.5),
    play_out,
]


@given(st.lists(st.sampled_from(INPUTS), max_size=12), st.sampled_from(("speech", "dtmf_speech")))
def test_whatever_comes_it_ends(inputs: list[Callable[[Driver], None]], wanted: str) -> None:
    driver = Driver()
    driver.run(f"<Gather input='{wanted}' gatherUrl='/g' terminatingDigits='#' repeatCount='2'>{PROMPT}</Gather>")
    for act in inputs:
        if not is_over(driver):
            act(driver)
    for _ in range(3):
        if not is_over(driver):
            play_out(driver)
            driver.wait(MAX_SPEAKING_SECONDS + 5)
    assert is_over(driver)
    assert driver.count(StopListening) <= driver.count(Listen) == 1
    assert not driver.engine.listenings._listenings


def test_what_nobody_listens_for_is_dropped() -> None:
    listenings = Listenings(lambda _: None, lambda: 1)
    listenings.speech_began(7, 0.0)
    listenings.speech_ended(7, 0.0)
    listenings.words_heard(7, "yes", 1.0, 0.0)
    listenings.words_lacking(7, ("x",), 0.0)
    listenings.listening_over(7, "x", 0.0)
