"""The engine: webhooks, answering, verbs in order, and every way a call ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callflow.bxml import Webhook
from callflow.bxml.limits import MAX_ELEMENTS
from callflow.engine.call_engine import CallEngine
from callflow.engine.effects import (
    Answer,
    AudioWanted,
    FetchDocument,
    HangUp,
    Play,
    SpeechWanted,
    StopPlaying,
    StopRecording,
    VerbStarted,
    WriteReport,
)
from callflow.engine.limits import ELEMENTS_PER_DOCUMENT, MAX_DOCUMENTS, MAX_ERROR_MESSAGE, OCTETS_PER_DOCUMENT
from callflow.engine.states import GATHERING, HEARING, PHASES, Gathering, Hearing, Phase
from tests.unit.engine.driver import APPLICATION, EPOCH, Driver, with_fallback
from voiceapps.rules.endings import EndReason
from voiceapps.rules.http.outbound import OutboundAnswer
from voiceapps.rules.reports import CallAnswered

S = TypeVar("S")
M = TypeVar("M")
SPEAK = "<SpeakSentence>Hello</SpeakSentence>"


def test_tables_lead_from_start_to_end() -> None:
    assert reachable(PHASES, Phase.NEW) == set(Phase)
    assert reachable(GATHERING, Gathering.PROMPTING) == set(Gathering)
    assert reachable(HEARING, Hearing.SILENCE) == set(Hearing)
    assert not PHASES[Phase.ENDED]
    assert not GATHERING[Gathering.DONE]
    assert not HEARING[Hearing.OVER]


def reachable(table: dict[S, dict[M, S]], start: S) -> set[S]:
    reached = {start}
    for _ in table:
        reached |= {after for state in reached for after in table[state].values()}
    return reached


def test_initiate_is_sent_at_once_with_the_applications_credentials() -> None:
    driver = Driver()
    driver.arrive()
    fetch = driver.last(FetchDocument)
    assert (fetch.event_type, fetch.webhook, fetch.timeout_seconds) == ("initiate", APPLICATION.initiated, 15.0)
    assert (fetch.body["sipCallId"], fetch.body["uui"]) == ("abc@phone", "48;encoding=hex")
    assert driver.count(Answer) == 0


def test_the_first_media_verb_answers_and_plays_only_after_the_ack() -> None:
    driver = Driver()
    driver.arrive()
    driver.answer_fetch(f"<Response>{SPEAK}</Response>")
    assert driver.collect() == [Answer()]
    driver.now += 5
    driver.engine.acknowledged(driver.now - 4.8, driver.now)
    answered, started, speech = driver.collect()
    assert isinstance(answered, WriteReport)
    assert isinstance(answered.report, CallAnswered)
    assert answered.report.at == EPOCH + 0.2
    assert started == VerbStarted("SpeakSentence", 1)
    assert isinstance(speech, SpeechWanted)
    assert speech.markup == "Hello"
    driver.engine.acknowledged(driver.now, driver.now)
    assert driver.collect() == []


def test_verbs_run_in_order_and_the_end_hangs_up() -> None:
    driver = Driver()
    driver.run(f"{SPEAK}<Pause duration='2'/><PlayAudio username='a' password='b'>beep.wav</PlayAudio>")
    driver.play_out()
    assert driver.engine.get_timer() == driver.now + 2
    driver.wait(2)
    audio = driver.last(AudioWanted)
    assert (audio.url, audio.username, audio.password) == ("https://app.example.com/beep.wav", "a", "b")
    driver.engine.sound_ready(audio.number, b"", driver.now)
    assert len(driver.last(Play).ulaw) == 160
    driver.engine.playback_finished(driver.last(Play).number, driver.now)
    assert driver.last(HangUp).reason is EndReason.APPLICATION_HANGUP
    assert (driver.ended.sip_status, driver.ended.error_message, driver.ended.error_id) == (200, None, None)
    assert driver.engine.finished
    assert driver.engine.get_timer() is None


@pytest.mark.parametrize("document", ["<Response/>", "<Response><Hangup/></Response>", "<Bxml><Hangup/></Bxml>"])
def test_hanging_up_unanswered_rejects(document: str) -> None:
    driver = Driver()
    driver.arrive()
    driver.answer_fetch(document)
    assert driver.last(HangUp) == HangUp(603, EndReason.APPLICATION_REJECTED)
    assert (driver.ended.sip_status, driver.ended.answered_at, driver.ended.error_message) == (603, None, None)


@pytest.mark.parametrize(
    ("status", "error", "sentence"),
    [
        (500, None, "The initiate webhook to https://app.example.com/start failed. It answered 500."),
        (404, None, "The initiate webhook to https://app.example.com/start failed. It answered 404."),
        (302, None, "The initiate webhook to https://app.example.com/start failed. It answered 302."),
        (None, "It did not answer in 15 s.", "The initiate webhook to https://app.example.com/start failed. It did not"),
        (None, None, "The initiate webhook to https://app.example.com/start failed. It could not be reached."),
    ],
)
def test_a_failing_webhook_ends_the_call(status: int | None, error: str | None, sentence: str) -> None:
    driver = Driver()
    driver.arrive()
    driver.answer_fetch("<Response/>", status, error)
    assert driver.last(HangUp) == HangUp(500, EndReason.CALLBACK_ERROR)
    assert (driver.ended.error_message or "").startswith(sentence)
    assert driver.ended.error_id


def test_the_fallback_is_tried_once() -> None:
    driver = Driver(with_fallback("https://backup.example.com/deep/start"))
    driver.arrive()
    body = driver.last(FetchDocument).body
    driver.answer_fetch("", 503)
    fetch = driver.last(FetchDocument)
    assert fetch.webhook == Webhook("https://backup.example.com/deep/start", "GET", "fu", "fp")
    assert fetch.body == body
    driver.answer_fetch("<Response><Redirect redirectUrl='next'/></Response>")
    assert driver.last(FetchDocument).webhook.url == "https://backup.example.com/deep/next"
    driver.answer_fetch("", 503)
    assert driver.ended.reason is EndReason.CALLBACK_ERROR


def test_a_failing_fallback_ends_the_call() -> None:
    driver = Driver(with_fallback("https://backup.example.com/start"))
    driver.arrive()
    driver.answer_fetch("", 500)
    driver.answer_fetch("", None, "No route to host.")
    assert driver.ended.error_message == ("The initiate webhook to https://backup.example.com/start failed. No route to host.")


@pytest.mark.parametrize("document", ["", "hello", "<Response><Blink/></Response>", "<Response>"])
def test_invalid_bxml_ends_the_call_and_tries_no_fallback(document: str) -> None:
    driver = Driver(with_fallback("https://backup.example.com/start"))
    driver.arrive()
    driver.answer_fetch(document)
    assert driver.count(FetchDocument) == 1
    assert driver.last(HangUp) == HangUp(500, EndReason.INVALID_BXML)
    assert (driver.ended.error_message or "").startswith("The answer to the initiate webhook is not valid BXML. ")


def test_error_sentences_are_bounded() -> None:
    driver = Driver()
    driver.arrive()
    driver.answer_fetch(f"<Response><{'x' * 2000}/></Response>")
    assert len(driver.ended.error_message or "") == MAX_ERROR_MESSAGE


def test_without_an_application_the_call_fails() -> None:
    driver = Driver(application=None)
    driver.arrive()
    assert driver.last(HangUp) == HangUp(500, EndReason.INTERNAL_ERROR)
    assert driver.ended.error_message == "The application could not be read."


def test_redirects_resolve_against_the_document_and_carry_the_tag() -> None:
    driver = Driver()
    driver.run(f"<Redirect redirectUrl='/a/b?c=1' tag='blue'/>{SPEAK}")
    fetch = driver.last(FetchDocument)
    assert (fetch.event_type, fetch.webhook.url) == ("redirect", "https://app.example.com/a/b?c=1")
    assert fetch.body["tag"] == "blue"
    assert "answerTime" not in fetch.body
    driver.answer_fetch("<Response><Redirect redirectUrl='c'/></Response>")
    fetch = driver.last(FetchDocument)
    assert fetch.webhook.url == "https://app.example.com/a/c"
    assert fetch.body["tag"] == "blue"
    driver.answer_fetch("<Response><Redirect redirectUrl='c' tag=''/></Response>")
    assert "tag" not in driver.last(FetchDocument).body
    assert driver.count(SpeechWanted) == 0


def test_endless_redirects_end() -> None:
    driver = Driver()
    driver.arrive()
    for _ in range(MAX_DOCUMENTS):
        driver.answer_fetch("<Response><Redirect redirectUrl='/again'/></Response>")
    assert driver.count(FetchDocument) == MAX_DOCUMENTS
    assert driver.ended.reason is EndReason.APPLICATION_ERROR
    assert "they lead to themselves" in (driver.ended.error_message or "")


@pytest.mark.parametrize(("octets", "places"), [(OCTETS_PER_DOCUMENT - 1, 1), (OCTETS_PER_DOCUMENT, 2), (64 * 1024, 17)])
def test_a_large_document_counts_as_several(octets: int, places: int) -> None:
    driver = Driver()
    driver.arrive()
    answered = 0
    while not driver.engine.ended:
        answered += 1
        driver.answer_fetch("<Response><Redirect redirectUrl='/again'/></Response>".ljust(octets))
    assert answered == -(-MAX_DOCUMENTS // places)
    assert driver.ended.reason is EndReason.APPLICATION_ERROR


@pytest.mark.parametrize(("elements", "places"), [(ELEMENTS_PER_DOCUMENT - 1, 1), (ELEMENTS_PER_DOCUMENT, 2), (MAX_ELEMENTS, 11)])
def test_a_document_of_many_elements_counts_as_several(elements: int, places: int) -> None:
    driver = Driver()
    driver.arrive()
    answered = 0
    while not driver.engine.ended:
        answered += 1
        driver.answer_fetch(f"<Response><Redirect redirectUrl='/again'/>{'<Ring/>' * (elements - 2)}</Response>")
    assert answered == -(-MAX_DOCUMENTS // places)
    assert driver.ended.reason is EndReason.APPLICATION_ERROR


def test_a_large_document_that_is_not_valid_counts_before_it_is_read() -> None:
    driver = Driver()
    driver.arrive()
    driver.answer_fetch("<" * OCTETS_PER_DOCUMENT * (MAX_DOCUMENTS + 1))
    assert driver.ended.reason is EndReason.APPLICATION_ERROR


@pytest.mark.parametrize("pause", [0.1, 1, 30])
def test_a_caller_on_hold_stays_on_hold(pause: float) -> None:
    driver = Driver()
    driver.run(f"<Pause duration='{pause}'/><Redirect redirectUrl='/hold'/>")
    for _ in range(3 * MAX_DOCUMENTS):
        driver.wait(pause)
        driver.answer_fetch(f"<Response><Pause duration='{pause}'/><Redirect redirectUrl='/hold'/></Response>")
    assert not driver.engine.ended


@pytest.mark.parametrize("reason", [EndReason.APPLICATION_ERROR, EndReason.INTERNAL_ERROR])
def test_a_sound_that_fails_ends_the_call(reason: EndReason) -> None:
    driver = Driver()
    driver.run("<PlayAudio>a.ogg</PlayAudio>")
    number = driver.last(AudioWanted).number
    driver.engine.sound_failed(number + 7, reason, "Another sound.", driver.now)
    assert not driver.engine.ended
    driver.engine.sound_failed(number, reason, "It is no wav file.", driver.now)
    assert (driver.ended.reason, driver.ended.error_message) == (reason, "It is no wav file.")
    assert driver.last(HangUp).reason is reason


def test_hanging_up_stops_the_sound() -> None:
    driver = Driver()
    driver.run(SPEAK)
    number = driver.speak()
    driver.engine.peer_hung_up(driver.now)
    assert driver.count(StopPlaying) == 1
    assert driver.count(HangUp) == 0
    assert driver.ended.reason is EndReason.CALLER_HANGUP
    driver.engine.playback_finished(number, driver.now)
    driver.engine.peer_hung_up(driver.now)
    assert driver.count(WriteReport) == 2


def test_a_late_bye_ends_the_call_when_it_was_sent_and_not_before_its_answer() -> None:
    for before, duration in ((3.0, 2.0), (30.0, 0.0)):
        driver = Driver()
        driver.run(SPEAK)
        driver.now += 5
        driver.engine.peer_hung_up(driver.now - before)
        assert driver.ended.answered_at is not None
        assert round(driver.ended.at - driver.ended.answered_at, 6) == duration


def test_cancelling_while_a_webhook_is_open() -> None:
    driver = Driver()
    driver.arrive()
    driver.engine.cancelled(driver.now)
    driver.answer_fetch(f"<Response>{SPEAK}</Response>")
    assert driver.count(Answer) == 0
    assert (driver.ended.reason, driver.ended.sip_status) == (EndReason.CALLER_CANCELLED, 487)
    assert driver.ended.error_id is None


def test_cancelling_while_the_application_is_looked_up() -> None:
    driver = Driver()
    driver.engine.call_arrived(driver.now)
    driver.engine.cancelled(driver.now)
    driver.engine.application_found(APPLICATION, driver.now)
    assert driver.count(FetchDocument) == 0


def test_a_call_that_is_never_acknowledged() -> None:
    driver = Driver()
    driver.arrive()
    driver.answer_fetch(f"<Response>{SPEAK}</Response>")
    driver.engine.accepted()
    driver.engine.lost(EndReason.ACK_TIMEOUT, driver.now)
    assert (driver.ended.answered_at, driver.ended.sip_status) == (None, 200)
    assert driver.ended.error_message == "The caller did not acknowledge the answer."
    assert driver.last(HangUp).reason is EndReason.ACK_TIMEOUT


@pytest.mark.parametrize(
    ("end", "status"),
    [
        (lambda driver: driver.engine.lost(EndReason.ACK_TIMEOUT, driver.now), 504),
        (lambda driver: driver.engine.cancelled(driver.now), 487),
        (lambda driver: driver.engine.hang_up(EndReason.NODE_LOST, driver.now), 500),
    ],
)
def test_an_answer_that_was_never_sent_is_not_on_record(end: Callable[[Driver], None], status: int) -> None:
    driver = Driver()
    driver.arrive()
    # It waits for the PRACK of a reliable response.
    driver.answer_fetch(f"<Response>{SPEAK}</Response>")
    assert driver.count(Answer) == 1
    end(driver)
    assert driver.ended.sip_status == status


def test_a_call_without_common_media_is_refused() -> None:
    driver = Driver()
    driver.engine.hang_up(EndReason.UNSUPPORTED_MEDIA, driver.now, "The offer names no G.711.")
    assert driver.last(HangUp) == HangUp(488, EndReason.UNSUPPORTED_MEDIA)
    assert driver.ended.error_message == "The offer names no G.711."


COMMANDS = st.sampled_from(
    "answer accept ack digit hash sound playback record stop wait heard hold unhold answered silent bye cancel lost stale failed".split()
)
DOCUMENTS = st.sampled_from(
    [
        "<Response/>",
        f"<Response>{SPEAK}<Pause/><Record maxDuration='2'/></Response>",
        f"<Response><Gather gatherUrl='/g' maxDigits='2' repeatCount='2'>{SPEAK}</Gather></Response>",
        f"<Response><Gather>{SPEAK}</Gather><Redirect redirectUrl='/r' tag='x'/></Response>",
        "<Response><Record recordCompleteUrl='/c' recordingAvailableUrl='/a' silenceTimeout='1'/></Response>",
        "<Response><Oops/></Response>",
    ]
)


@given(st.lists(st.tuples(COMMANDS, DOCUMENTS), max_size=40))
def test_any_order_of_commands_ends_each_call_once(script: list[tuple[str, str]]) -> None:
    driver = Driver()
    driver.engine.call_arrived(driver.now)
    driver.engine.application_found(APPLICATION, driver.now)
    for command, document in script:
        apply(driver, driver.engine, command, document)
        driver.collect()
    driver.engine.peer_hung_up(driver.now)
    finish_recordings(driver)
    assert driver.engine.finished
    assert driver.ended
    assert driver.engine.get_timer() is None


def apply(driver: Driver, engine: CallEngine, command: str, document: str) -> None:
    now = driver.now
    last = max((getattr(effect, "number", 0) for effect in driver.seen), default=0)
    actions: dict[str, Callable[[], object]] = {
        "accept": lambda: engine.accepted(),
        "ack": lambda: engine.acknowledged(now, now),
        "answer": lambda: engine.document_answered(last, OutboundAnswer(200, document.encode(), "application/xml", 0, None), now),
        "bye": lambda: engine.peer_hung_up(now),
        "cancel": lambda: engine.cancelled(now),
        "digit": lambda: engine.digit_received("5", now),
        "failed": lambda: engine.document_answered(last, OutboundAnswer(500, b"", "application/xml", 0, None), now),
        "hash": lambda: engine.digit_received("#", now),
        "answered": lambda: engine.peer_answered(now),
        "silent": lambda: engine.peer_silent(now),
        "heard": lambda: engine.media_heard(now),
        "hold": lambda: engine.mute_changed(True, now),
        "lost": lambda: engine.lost(EndReason.CALLER_UNREACHABLE, now),
        "playback": lambda: engine.playback_finished(last, now),
        "record": lambda: engine.audio_received(b"\x00" * 160, now),
        "sound": lambda: engine.sound_ready(last, b"\x00" * 160, now),
        "stale": lambda: engine.document_answered(last + 1, OutboundAnswer(200, b"<Response/>", "application/xml", 0, None), now),
        "stop": lambda: finish_recordings(driver),
        "unhold": lambda: engine.mute_changed(False, now),
        "wait": lambda: driver.wait(1.5),
    }
    actions[command]()


def finish_recordings(driver: Driver) -> None:
    for effect in [e for e in [*driver.seen, *driver.collect()] if isinstance(e, StopRecording)]:
        driver.engine.recording_finished(effect.recording_id, 1000, driver.now)
    driver.collect()
