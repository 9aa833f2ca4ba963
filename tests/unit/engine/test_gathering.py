"""`<Gather>`: prompts, the four ends, repeats, and what the webhook says."""

from __future__ import annotations

from dataclasses import replace

import pytest

from callflow.engine.effects import FetchDocument, HangUp, Play, SpeechWanted, StopPlaying
from tests.unit.engine.driver import APPLICATION, Driver

PROMPT = "<SpeakSentence>Press</SpeakSentence>"


def gather(attributes: str, prompts: str = "") -> Driver:
    driver = Driver()
    driver.run(f"<Gather gatherUrl='/g' {attributes}>{prompts}</Gather><Hangup/>")
    return driver


def collected(driver: Driver) -> tuple[object, object]:
    fetch = driver.last(FetchDocument)
    assert fetch.event_type == "gather"
    return fetch.body["digits"], fetch.body["terminatingDigit"]


def test_ends_at_the_last_digit() -> None:
    driver = gather("maxDigits='3'")
    driver.press("12")
    assert driver.count(FetchDocument) == 1
    driver.press("34")
    assert collected(driver) == ("123", "")
    assert driver.count(FetchDocument) == 2


@pytest.mark.parametrize(("keys", "digits"), [("12#", "12"), ("#", "")])
def test_ends_at_a_terminating_digit(keys: str, digits: str) -> None:
    driver = gather("terminatingDigits='#*'")
    driver.press(keys)
    assert collected(driver) == (digits, "#")


def test_ends_when_the_next_digit_takes_too_long() -> None:
    driver = gather("interDigitTimeout='2' firstDigitTimeout='9'")
    driver.wait(8)
    driver.press("1")
    driver.wait(1.9)
    driver.press("2")
    driver.wait(1.9)
    assert driver.count(FetchDocument) == 1
    driver.wait(0.2)
    assert collected(driver) == ("12", "")


def test_ends_without_digits_after_the_first_digit_timeout() -> None:
    driver = gather("firstDigitTimeout='3'", PROMPT)
    driver.wait(20)
    driver.play_out()
    driver.wait(2.9)
    assert driver.count(FetchDocument) == 1
    driver.wait(0.2)
    assert collected(driver) == ("", "")


def test_a_first_digit_timeout_of_zero_ends_with_the_prompt() -> None:
    driver = gather("firstDigitTimeout='0'", PROMPT)
    driver.play_out()
    driver.wait(0)
    assert collected(driver) == ("", "")


def test_the_first_digit_stops_the_prompt() -> None:
    driver = gather("maxDigits='2'", PROMPT * 2)
    number = driver.speak()
    driver.press("1")
    assert driver.count(StopPlaying) == 1
    driver.engine.playback_finished(number, driver.now)
    assert driver.count(SpeechWanted) == 1
    driver.press("2")
    assert driver.count(StopPlaying) == 1
    assert collected(driver) == ("12", "")


def test_a_digit_before_the_prompt_is_ready_keeps_it_from_playing() -> None:
    driver = gather("", PROMPT)
    wanted = driver.last(SpeechWanted).number
    driver.press("1")
    driver.engine.sound_ready(wanted, b"\x00", driver.now)
    assert driver.count(Play) == 0
    assert driver.count(StopPlaying) == 0


def test_prompts_play_in_order_and_repeat() -> None:
    driver = gather("repeatCount='2' firstDigitTimeout='1'", PROMPT + "<SpeakSentence>Now</SpeakSentence>")
    for round_number in (1, 2):
        for text in ("Press", "Now"):
            assert driver.last(SpeechWanted).markup == text
            driver.play_out()
        driver.wait(1)
        assert driver.count(SpeechWanted) == (4 if round_number == 2 else 3)
    assert collected(driver) == ("", "")


def test_a_gather_without_prompts_waits_once_for_each_repeat() -> None:
    driver = gather("repeatCount='3' firstDigitTimeout='1'")
    driver.wait(2.9)
    assert driver.count(FetchDocument) == 1
    driver.wait(0.2)
    assert collected(driver) == ("", "")


def test_without_a_url_digits_are_dropped_and_the_next_verb_runs() -> None:
    driver = Driver()
    driver.run(f"<Gather maxDigits='1' tag='t'/>{PROMPT}")
    driver.press("7")
    assert driver.last(SpeechWanted).markup == "Press"
    driver.play_out()
    assert driver.ended.tag == "t"


def test_digits_outside_gather_are_dropped() -> None:
    driver = Driver()
    driver.run(PROMPT)
    driver.press("123#")
    driver.play_out()
    assert driver.count(HangUp) == 1


def test_the_record_of_the_webhook_shows_the_digits() -> None:
    driver = gather("maxDigits='3'")
    driver.press("123")
    fetch = driver.last(FetchDocument)
    assert fetch.recorded == fetch.body


@pytest.mark.parametrize(("keys", "digits", "terminating"), [("123", "***", ""), ("12#", "**", "*"), ("#", "", "*")])
def test_digits_can_be_masked_in_the_record_of_each_attempt(keys: str, digits: str, terminating: str) -> None:
    driver = Driver(replace(APPLICATION, mask_digits=True))
    driver.run("<Gather gatherUrl='/g' gatherFallbackUrl='/f' maxDigits='3' terminatingDigits='#'/>")
    assert driver.last(FetchDocument).recorded == driver.last(FetchDocument).body
    driver.press(keys)
    for url in ("https://app.example.com/g", "https://app.example.com/f"):
        fetch = driver.last(FetchDocument)
        pressed = {"digits": keys.rstrip("#"), "terminatingDigit": "#" if "#" in keys else ""}
        assert (fetch.webhook.url, {**fetch.body, **pressed}) == (url, fetch.body)
        assert fetch.recorded == {**fetch.body, "digits": digits, "terminatingDigit": terminating}
        driver.answer_fetch("", status=500)
    assert driver.ended.error_message == "The gather webhook to https://app.example.com/f failed. It answered 500."
