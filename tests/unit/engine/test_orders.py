"""What the API orders of a call in the middle of its program."""

from __future__ import annotations

import pytest

from callflow.bxml import Webhook, parse_document
from callflow.engine.effects import (
    Answer,
    FetchDocument,
    HangUp,
    PauseRecording,
    Play,
    SendDigits,
    SpeechWanted,
    StopPlaying,
    StopRecording,
)
from callflow.engine.limits import ELEMENTS_PER_DOCUMENT, MAX_DOCUMENTS, OCTETS_PER_DOCUMENT
from callflow.engine.orders import Completion, NewDocument, Redirection
from tests.unit.engine.driver import Driver
from voiceapps.rules.endings import EndReason
from voiceapps.rules.http.outbound import OutboundAnswer

ELSEWHERE = Redirection(Webhook("https://elsewhere.example.com/next", "GET", "u", "p", Webhook("https://spare.example.com/")), "moved")


def document(verbs: str) -> NewDocument:
    return NewDocument(parse_document(f"<Bxml>{verbs}</Bxml>".encode()))


@pytest.mark.parametrize("verb", ["<SpeakSentence>Hi</SpeakSentence>", "<Ring/>", "<Gather><SpeakSentence>Hi</SpeakSentence></Gather>"])
def test_a_redirection_interrupts_what_plays(verb: str) -> None:
    driver = Driver()
    driver.run(f"{verb}<Pause/>")
    if driver.count(SpeechWanted):
        driver.speak()
    assert driver.engine.obey(ELSEWHERE, driver.now)
    assert driver.last(StopPlaying)
    fetch = driver.last(FetchDocument)
    assert (fetch.event_type, fetch.webhook) == ("redirect", ELSEWHERE.webhook)
    assert (fetch.body["eventType"], fetch.body["tag"]) == ("redirect", "moved")
    driver.answer_fetch("", status=500)
    assert driver.last(FetchDocument).webhook.url == "https://spare.example.com/"
    driver.answer_fetch("<Response><SpeakSentence>There</SpeakSentence></Response>")
    assert driver.last(SpeechWanted).markup == "There"


def test_the_answer_to_a_webhook_that_was_left_behind_is_ignored() -> None:
    driver = Driver()
    driver.run("<Redirect redirectUrl='/slow'/>")
    slow = driver.last(FetchDocument)
    driver.engine.obey(ELSEWHERE, driver.now)
    moved = driver.last(FetchDocument)
    assert moved.number != slow.number
    driver.engine.document_answered(slow.number, OutboundAnswer(200, b"<Response/>", "application/xml", 0, None), driver.now)
    assert not driver.engine.ended
    driver.answer_fetch("<Response><Pause/></Response>")
    assert not driver.engine.ended


def test_another_document_keeps_the_base_of_urls() -> None:
    driver = Driver()
    driver.run("<Pause duration='9'/>")
    driver.engine.obey(document("<Redirect redirectUrl='again'/>"), driver.now)
    assert driver.last(FetchDocument).webhook.url == "https://app.example.com/again"


def test_an_order_waits_for_the_ack() -> None:
    driver = Driver()
    driver.arrive()
    driver.answer_fetch("<Response><SpeakSentence>Hi</SpeakSentence></Response>")
    assert Answer() in driver.collect() or driver.last(Answer)
    driver.engine.accepted()
    driver.engine.obey(document("<Pause/>"), driver.now)
    driver.engine.obey(document("<SpeakSentence>Later</SpeakSentence>"), driver.now)
    driver.engine.acknowledged(driver.now, driver.now)
    assert driver.last(SpeechWanted).markup == "Later"
    assert driver.count(SpeechWanted) == 1


def test_an_order_before_the_application_is_known() -> None:
    driver = Driver()
    driver.engine.call_arrived(driver.now)
    driver.engine.obey(document("<Hangup/>"), driver.now)
    driver.engine.application_found(driver.application, driver.now)
    assert driver.count(FetchDocument) == 0
    assert driver.ended.reason is EndReason.APPLICATION_REJECTED


@pytest.mark.parametrize(
    ("verbs", "reason", "status"),
    [("<Pause/>", EndReason.APPLICATION_HANGUP, 200), ("<Redirect redirectUrl='/x'/>", EndReason.APPLICATION_REJECTED, 603)],
)
def test_a_call_is_completed(verbs: str, reason: EndReason, status: int) -> None:
    driver = Driver()
    driver.run(verbs)
    assert driver.engine.obey(Completion(), driver.now)
    assert (driver.ended.reason, driver.ended.sip_status) == (reason, status)
    assert driver.count(HangUp) == 1
    assert not driver.engine.obey(Completion(), driver.now)
    assert not driver.engine.obey(ELSEWHERE, driver.now)
    assert driver.count(HangUp) == 1


def test_a_call_that_waits_for_its_ack_is_hung_up() -> None:
    driver = Driver()
    driver.arrive()
    driver.answer_fetch("<Response><Pause/></Response>")
    driver.engine.accepted()
    assert driver.engine.obey(Completion(), driver.now)
    assert driver.count(HangUp) == 0
    driver.engine.acknowledged(driver.now, driver.now)
    assert (driver.ended.reason, driver.ended.sip_status) == (EndReason.APPLICATION_HANGUP, 200)


def test_a_recorded_answer_is_completed_without_its_webhook() -> None:
    driver = Driver()
    driver.run("<Record recordCompleteUrl='/c'/>")
    assert driver.engine.recordings.pause(driver.now)
    assert driver.count(PauseRecording) == 1
    driver.engine.obey(document("<Pause/>"), driver.now)
    recording_id = driver.last(StopRecording).recording_id
    driver.engine.recording_finished(recording_id, 1000, driver.now)
    assert driver.last(FetchDocument).event_type == "initiate"
    assert not driver.engine.recordings.pause(driver.now)


def test_digits_on_their_way_are_stopped() -> None:
    driver = Driver()
    driver.run("<SendDtmf>12</SendDtmf><SpeakSentence>Hi</SpeakSentence>")
    sent = driver.last(SendDigits)
    assert (sent.digits, sent.tone_ms, sent.interval_ms) == ("12", 200, 400)
    driver.engine.obey(document("<Ring/>"), driver.now)
    assert driver.last(StopPlaying)
    driver.engine.playback_finished(sent.number, driver.now)
    assert driver.count(SpeechWanted) == 0
    assert len(driver.last(Play).ulaw) == 40_000


def test_documents_by_order_are_bounded_by_rate_too() -> None:
    driver = Driver()
    driver.run("<Pause duration='9'/>")
    for _ in range(600):
        driver.engine.obey(ELSEWHERE, driver.now)
    assert driver.ended.reason is EndReason.APPLICATION_ERROR


def test_an_order_that_ends_the_call_is_not_undone_while_the_ack_is_missing() -> None:
    driver = Driver()
    driver.arrive()
    driver.answer_fetch("<Response><Pause/></Response>")
    driver.collect()
    driver.engine.accepted()
    assert driver.engine.obey(Completion(), driver.now)
    assert driver.engine.obey(document("<Pause duration='50'/>"), driver.now)
    driver.engine.acknowledged(driver.now, driver.now)
    assert driver.engine.ended


def test_documents_of_the_api_are_counted_like_others() -> None:
    driver = Driver()
    driver.run("<Pause duration='50'/>")
    for _ in range(MAX_DOCUMENTS):
        driver.engine.obey(document("<Pause duration='50'/>"), driver.now)
    assert driver.engine.ended
    assert driver.ended.reason is EndReason.APPLICATION_ERROR


@pytest.mark.parametrize("more", [" " * OCTETS_PER_DOCUMENT, "<Ring/>" * ELEMENTS_PER_DOCUMENT])
def test_a_large_document_of_the_api_counts_as_several(more: str) -> None:
    driver = Driver()
    driver.run("<Pause duration='50'/>")
    for _ in range(MAX_DOCUMENTS // 2):
        assert not driver.engine.ended
        driver.engine.obey(document("<Pause duration='50'/>" + more), driver.now)
    assert driver.engine.ended


def test_a_document_before_the_first_webhooks_answer_has_its_base() -> None:
    driver = Driver()
    driver.arrive()
    driver.engine.obey(document("<Redirect redirectUrl='next'/>"), driver.now)
    assert driver.last(FetchDocument).webhook.url == "https://app.example.com/next"
