"""Signs of life: each one keeps a call up, and only the absence of all ends it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from callflow.engine.effects import HangUp, ProbePeer
from callflow.engine.media_watch import MUTED_SECONDS, QUESTION_SECONDS
from tests.unit.engine.driver import APPLICATION, Driver
from voiceapps.rules.endings import EndReason


def answered(media_timeout: float = 30.0) -> Driver:
    driver = Driver(replace(APPLICATION, media_timeout=media_timeout))
    driver.run("<Pause duration='86400'/>")
    return driver


def silence(driver: Driver, seconds: float) -> None:
    """Let time pass without a sign."""
    driver.now += seconds
    driver.engine.handle_timer(driver.now)


def test_a_caller_without_a_sign_is_asked_once_and_given_up_when_it_does_not_answer() -> None:
    driver = answered()
    driver.engine.media_heard(driver.now + 5)
    assert driver.engine.get_timer() == driver.now + 35
    silence(driver, 34.9)
    assert driver.count(ProbePeer) == 0
    silence(driver, 0.1)
    silence(driver, 10)
    assert (driver.count(ProbePeer), driver.engine.ended) == (1, False)
    driver.engine.peer_silent(driver.now)
    assert driver.ended.reason is EndReason.MEDIA_TIMEOUT
    assert driver.ended.error_message == "Neither audio nor any other sign of life came from the caller."
    assert driver.count(HangUp) == 1


@pytest.mark.parametrize("sign", ["answer", "packet"])
def test_a_sign_after_the_question_keeps_the_call(sign: str) -> None:
    driver = answered()
    for rounds in range(1, 4):
        silence(driver, 30)
        assert driver.count(ProbePeer) == rounds
        driver.now += 1
        if sign == "answer":
            driver.engine.peer_answered(driver.now)
        else:
            driver.engine.media_heard(driver.now)
        driver.engine.peer_silent(driver.now)
        assert not driver.engine.ended


def test_a_packet_from_before_the_question_does_not_answer_it() -> None:
    driver = answered()
    silence(driver, 30)
    driver.engine.media_heard(driver.now - 1)
    driver.engine.peer_silent(driver.now)
    assert driver.engine.ended


def test_a_question_that_nobody_reports_on_is_given_up_as_well() -> None:
    driver = answered()
    silence(driver, 30)
    silence(driver, QUESTION_SECONDS - 1)
    assert not driver.engine.ended
    silence(driver, 1)
    assert driver.ended.reason is EndReason.MEDIA_TIMEOUT


def test_no_answer_says_nothing_while_other_signs_come() -> None:
    driver = answered()
    silence(driver, 20)
    driver.engine.peer_silent(driver.now)
    assert not driver.engine.ended


@pytest.mark.parametrize("seconds", [10.0, 3600.0])
def test_the_time_is_the_applications(seconds: float) -> None:
    driver = answered(seconds)
    assert driver.engine.get_timer() == driver.now + seconds


@pytest.mark.parametrize(("media_timeout", "seconds"), [(30.0, MUTED_SECONDS), (3600.0, 3600.0)])
def test_a_muted_caller_is_asked_every_five_minutes(media_timeout: float, seconds: float) -> None:
    driver = answered(media_timeout)
    driver.engine.mute_changed(True, driver.now)
    for rounds in range(1, 4):
        silence(driver, seconds)
        assert driver.count(ProbePeer) == rounds
        driver.engine.peer_answered(driver.now + 0.5)
        driver.now += 0.5
    silence(driver, seconds)
    driver.engine.peer_silent(driver.now)
    assert driver.ended.reason is EndReason.MEDIA_TIMEOUT


def test_the_time_begins_anew_when_the_caller_is_muted_no_longer() -> None:
    driver = answered()
    driver.engine.mute_changed(True, driver.now)
    silence(driver, 100)
    driver.engine.mute_changed(False, driver.now)
    silence(driver, 29)
    assert driver.count(ProbePeer) == 0
    silence(driver, 1)
    assert driver.count(ProbePeer) == 1


def test_nothing_is_watched_before_the_answer_and_after_the_end() -> None:
    driver = Driver()
    driver.arrive()
    driver.engine.peer_answered(driver.now)
    driver.engine.peer_silent(driver.now)
    driver.engine.mute_changed(True, driver.now)
    assert driver.engine.get_timer() is None
    driver = answered()
    driver.engine.peer_hung_up(driver.now)
    driver.engine.peer_answered(driver.now + 1)
    assert driver.engine.get_timer() is None
