"""`<Refer>`: what each outcome leads to, and who leaves before there is one."""

from __future__ import annotations

import pytest

from callflow.bxml import Webhook, parse_document
from callflow.engine.effects import Answer, FetchDocument, HangUp, ReferCaller, SpeechWanted, WriteReport
from callflow.engine.orders import Completion, NewDocument, Order, Redirection
from tests.unit.engine.driver import Driver
from voiceapps.rules.endings import EndReason
from voiceapps.rules.reports import StatusEventQueued
from voiceapps.rules.webhook_bodies import ReferView

TARGET = "<SipUri>sip:bob@example.com</SipUri>"
REFER = f"<Refer referCompleteUrl='done' referCompleteMethod='GET' tag='handed'>{TARGET}</Refer>"
WITHOUT_URL = f"<Refer>{TARGET}</Refer>"
NEXT = "<SpeakSentence>Nobody is there.</SpeakSentence>"
FAILURES = [
    (ReferView(405, None), {"referSipResponseCode": 405}),
    (ReferView(408, None), {"referSipResponseCode": 408}),
    (ReferView(202, None), {"referSipResponseCode": 202}),
    (ReferView(202, 486), {"referSipResponseCode": 202, "notifySipResponseCode": 486}),
    (ReferView(202, 302), {"referSipResponseCode": 202, "notifySipResponseCode": 302}),
    (ReferView(None, 603), {"notifySipResponseCode": 603}),
]


def referring(verbs: str) -> Driver:
    driver = Driver()
    driver.run(verbs)
    return driver


def tell(driver: Driver, outcome: ReferView) -> None:
    driver.engine.referrals.over(driver.last(ReferCaller).number, outcome, driver.now)


def events(driver: Driver) -> list[StatusEventQueued]:
    driver.collect()
    return [effect.report for effect in driver.seen if isinstance(effect, WriteReport) and isinstance(effect.report, StatusEventQueued)]


def codes(body: object) -> dict[str, object]:
    assert isinstance(body, dict)
    return {name: value for name, value in body.items() if name.endswith("ResponseCode")}


def test_the_call_is_answered_before_its_caller_is_referred() -> None:
    driver = Driver()
    driver.arrive()
    driver.answer_fetch(f"<Response>{REFER}</Response>")
    assert Answer() in driver.collect()
    assert driver.count(ReferCaller) == 0
    driver.engine.accepted()
    driver.engine.acknowledged(driver.now, driver.now)
    assert driver.last(ReferCaller).target == "sip:bob@example.com"


def test_success_is_told_and_ends_the_call() -> None:
    driver = referring(f"{REFER}{NEXT}")
    tell(driver, ReferView(202, 200))
    assert (driver.ended.reason, driver.ended.reason.cause) == (EndReason.APPLICATION_HANGUP, "hangup")
    assert driver.count(HangUp) == 1
    # Its answer is not wanted: it goes to the outbox, which repeats it until it is accepted.
    (event,) = events(driver)
    assert (event.event_type, event.url, event.method) == ("referComplete", "https://app.example.com/done", "GET")
    assert (event.body["referCallStatus"], event.body["tag"], "answerTime" in event.body) == ("success", "handed", True)
    assert codes(event.body) == {"referSipResponseCode": 202, "notifySipResponseCode": 200}
    assert (driver.count(FetchDocument), driver.count(SpeechWanted)) == (1, 0)


def test_success_without_a_url_just_ends_the_call() -> None:
    driver = referring(f"{WITHOUT_URL}{NEXT}")
    tell(driver, ReferView(202, 204))
    assert driver.ended.reason is EndReason.APPLICATION_HANGUP
    assert events(driver) == []


@pytest.mark.parametrize(("outcome", "told"), FAILURES)
def test_failure_asks_for_another_document(outcome: ReferView, told: dict[str, int]) -> None:
    driver = referring(f"{REFER}{NEXT}")
    tell(driver, outcome)
    fetch = driver.last(FetchDocument)
    assert (fetch.event_type, fetch.webhook) == ("referComplete", Webhook("https://app.example.com/done", "GET"))
    assert (fetch.body["referCallStatus"], fetch.body["tag"], codes(fetch.body)) == ("failure", "handed", told)
    driver.answer_fetch("<Response><SpeakSentence>Another</SpeakSentence></Response>")
    assert driver.last(SpeechWanted).markup == "Another"
    driver.play_out()
    assert driver.ended.reason is EndReason.APPLICATION_HANGUP
    assert events(driver) == []


@pytest.mark.parametrize(("outcome", "_told"), FAILURES)
def test_failure_without_a_url_runs_the_next_verb(outcome: ReferView, _told: object) -> None:
    driver = referring(f"{WITHOUT_URL}{NEXT}")
    tell(driver, outcome)
    assert driver.last(SpeechWanted).markup == "Nobody is there."
    assert driver.count(FetchDocument) == 1


def test_failure_at_the_end_of_a_document_hangs_up() -> None:
    driver = referring(WITHOUT_URL)
    tell(driver, ReferView(202, 486))
    assert driver.ended.reason is EndReason.APPLICATION_HANGUP


def test_a_webhook_that_fails_after_a_failure_ends_the_call() -> None:
    driver = referring(REFER)
    tell(driver, ReferView(603, None))
    driver.answer_fetch("", status=500)
    assert driver.ended.reason is EndReason.CALLBACK_ERROR


def test_one_after_the_other() -> None:
    driver = referring(WITHOUT_URL * 2)
    first = driver.last(ReferCaller).number
    tell(driver, ReferView(405, None))
    second = driver.last(ReferCaller).number
    assert second != first
    driver.engine.referrals.over(first, ReferView(202, 200), driver.now)
    assert not driver.engine.ended
    tell(driver, ReferView(202, 200))
    assert driver.engine.ended


def test_a_caller_that_hangs_up_meanwhile_ends_the_call_as_ever() -> None:
    driver = referring(REFER)
    driver.engine.peer_hung_up(driver.now)
    assert driver.ended.reason is EndReason.CALLER_HANGUP
    tell(driver, ReferView(202, 200))
    assert events(driver) == []
    assert driver.count(FetchDocument) == 1


@pytest.mark.parametrize(
    "order",
    [NewDocument(parse_document(b"<Bxml><Pause duration='9'/></Bxml>")), Redirection(Webhook("https://elsewhere.example.com/"), None)],
)
@pytest.mark.parametrize("outcome", [ReferView(202, 200), ReferView(405, None)])
def test_an_order_leaves_it_and_what_comes_of_it_is_dropped(order: Order, outcome: ReferView) -> None:
    driver = referring(REFER)
    assert driver.engine.obey(order, driver.now)
    fetches = driver.count(FetchDocument)
    tell(driver, outcome)
    assert not driver.engine.ended
    assert events(driver) == []
    assert driver.count(FetchDocument) == fetches


def test_an_order_ends_a_call_that_refers() -> None:
    driver = referring(REFER)
    assert driver.engine.obey(Completion(), driver.now)
    assert driver.ended.reason is EndReason.APPLICATION_HANGUP
    tell(driver, ReferView(202, 200))
    assert events(driver) == []


def test_a_tag_sticks() -> None:
    driver = referring(f"<Tag>first</Tag>{WITHOUT_URL}<Refer tag=''>{TARGET}</Refer><Redirect redirectUrl='/x'/>")
    tell(driver, ReferView(405, None))
    tell(driver, ReferView(405, None))
    assert "tag" not in driver.last(FetchDocument).body
    driver = referring(f"<Tag>first</Tag>{WITHOUT_URL}<Redirect redirectUrl='/x'/>")
    tell(driver, ReferView(405, None))
    assert driver.last(FetchDocument).body["tag"] == "first"


def test_digits_do_not_end_it() -> None:
    driver = referring(REFER)
    driver.press("1#")
    driver.wait(25)
    assert driver.count(FetchDocument) == 1
    assert not driver.engine.ended
