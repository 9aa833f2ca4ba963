"""Streams beside the program: which there may be, who waits for them, and what is told of them."""

from __future__ import annotations

from callflow.engine.effects import CloseStream, OpenStream, SpeechWanted, WriteReport
from tests.unit.engine.driver import EPOCH, Driver
from voiceapps.rules.reports import StatusEventQueued
from voiceapps.rules.webhook_bodies import iso_time

START = "<StartStream name='{0}' destination='wss://k:s@h/x?token=1' tracks='{1}' streamEventUrl='/s' username='u'/>"
AGENT = START.format("agent", "inbound")
NEXT = "<SpeakSentence>Next</SpeakSentence>"


def events(driver: Driver) -> list[StatusEventQueued]:
    driver.collect()
    reports = [effect.report for effect in driver.seen if isinstance(effect, WriteReport)]
    return [report for report in reports if isinstance(report, StatusEventQueued)]


def open_stream(driver: Driver) -> str:
    stream_id = driver.last(OpenStream).stream_id
    driver.engine.streams.opened(stream_id, driver.now)
    return stream_id


def test_a_stream_goes_on_beside_the_program_until_the_call_ends() -> None:
    driver = Driver()
    driver.run(f"{AGENT}<Pause duration='5'/>")
    wanted = driver.last(OpenStream)
    assert (len(wanted.stream_id), wanted.stream_id[:2], wanted.name) == (47, "s-", "agent")
    open_stream(driver)
    driver.wait(5)
    assert driver.engine.ended
    assert driver.last(CloseStream) == CloseStream(wanted.stream_id)
    assert not driver.engine.finished
    driver.engine.streams.over(wanted.stream_id, "closed", "", driver.now)
    started, stopped = events(driver)
    assert (started.event_type, started.url, started.username) == ("mediaStreamStarted", "https://app.example.com/s", "u")
    assert started.body["mediaStream"] == {
        "destination": "wss://***@h/x?token=***",
        "id": wanted.stream_id,
        "name": "agent",
        "tracks": ["inbound"],
        "type": "WebSocket",
        "startTime": iso_time(EPOCH),
    }
    assert (stopped.event_type, stopped.body["cause"]) == ("mediaStreamStopped", "closed")
    assert stopped.body["mediaStream"]["duration"] == "PT5S"  # type: ignore[index]  # a mapping
    assert "errorMessage" not in stopped.body
    assert driver.engine.finished


def test_who_waits_for_a_stream_goes_on_when_it_is_over() -> None:
    driver = Driver()
    driver.run(f"{AGENT}<StopStream name='agent' wait='true'/>{NEXT}")
    stream_id = open_stream(driver)
    driver.wait(100)
    assert driver.count(SpeechWanted) == 0
    driver.engine.streams.over("s-other", "closed", "", driver.now)
    assert driver.count(SpeechWanted) == 0
    driver.engine.streams.over(stream_id, "connection-error", "The connection broke.", driver.now)
    assert driver.last(SpeechWanted).markup == "Next"
    assert [event.body.get("errorMessage") for event in events(driver)] == [None, "The connection broke."]


def test_a_stream_that_cannot_be_opened_leaves_no_dead_air() -> None:
    driver = Driver()
    driver.run(f"{AGENT}<StopStream name='agent' wait='true'/>{NEXT}")
    driver.engine.streams.over(driver.last(OpenStream).stream_id, "connection-error", "It answered 404.", driver.now)
    assert driver.last(SpeechWanted).markup == "Next"
    (rejected,) = events(driver)
    assert (rejected.event_type, rejected.body["cause"], rejected.body["errorMessage"]) == (
        "mediaStreamRejected",
        "connection-error",
        "It answered 404.",
    )


def test_waiting_for_no_stream_goes_on_at_once() -> None:
    driver = Driver()
    driver.run(f"<StopStream name='nobody' wait='true'/><StopStream name='nobody'/>{NEXT}")
    assert driver.last(SpeechWanted).markup == "Next"


def test_a_stream_opens_with_the_answer() -> None:
    driver = Driver()
    driver.arrive()
    driver.answer_fetch(f"<Response>{AGENT}<StopStream name='agent' wait='true'/></Response>")
    assert driver.count(OpenStream) == 0
    driver.engine.accepted()
    driver.engine.acknowledged(driver.now, driver.now)
    assert driver.count(OpenStream) == 1


def test_a_stream_that_never_opened_is_stopped_without_a_word() -> None:
    driver = Driver()
    driver.run(f"{AGENT}<StopStream name='agent'/><Redirect redirectUrl='/x'/>")
    assert driver.count(OpenStream) == driver.count(CloseStream) == 0
    assert events(driver) == []
    driver.engine.peer_hung_up(driver.now)
    assert not driver.engine.streams


def test_names_are_unique_and_tracks_are_four() -> None:
    driver = Driver()
    driver.run(f"{AGENT}{AGENT}{START.format('b', 'both')}{START.format('c', 'both')}{START.format('d', 'outbound')}<Pause/>")
    driver.collect()
    opened = [effect.name for effect in driver.seen if isinstance(effect, OpenStream)]
    assert opened == ["agent", "b", "d"]
    assert [event.body["cause"] for event in events(driver)] == ["duplicate", "track-limit"]
    assert [event.event_type for event in events(driver)] == ["mediaStreamRejected"] * 2


def test_a_name_is_free_again_when_its_stream_is_over() -> None:
    driver = Driver()
    driver.run(f"<Pause/>{AGENT}<StopStream name='agent'/><Pause/>{AGENT}<Pause/>")
    driver.wait(1)
    driver.engine.streams.over(open_stream(driver), "closed", "", driver.now)
    driver.wait(1)
    assert driver.count(OpenStream) == 2


def test_without_a_name_its_id_is_the_name() -> None:
    driver = Driver()
    driver.run("<StartStream destination='ws://h/'/><Pause/>")
    wanted = driver.last(OpenStream)
    assert wanted.name == wanted.stream_id
    driver.engine.streams.stop(wanted.stream_id)
    assert driver.last(CloseStream) == CloseStream(wanted.stream_id)
    driver.engine.streams.over(wanted.stream_id, "closed", "", driver.now)
    assert events(driver) == []


def test_a_stream_that_is_being_closed_gives_its_name_and_its_tracks_away() -> None:
    driver = Driver()
    both = START.format("a", "both") + START.format("b", "both")
    driver.run(f"{both}<Pause/><StopStream name='a'/>{START.format('a', 'both')}<StopStream name='a' wait='true'/>{NEXT}")
    driver.collect()
    first = next(effect.stream_id for effect in driver.seen if isinstance(effect, OpenStream))
    driver.engine.streams.opened(first, driver.now)
    driver.wait(1)
    # Its connection is there until the far end has said goodbye: a fifth track waits for that.
    assert driver.count(OpenStream) == 2
    driver.engine.streams.over(first, "closed", "", driver.now)
    again = driver.last(OpenStream)
    assert (driver.count(OpenStream), again.name, driver.count(SpeechWanted)) == (3, "a", 0)
    driver.engine.streams.over(again.stream_id, "closed", "", driver.now)
    assert driver.count(SpeechWanted) == 1


def test_a_stream_that_follows_at_once_opens_at_once() -> None:
    driver = Driver()
    driver.run(f"{AGENT}<Pause/><StopStream name='agent'/>{AGENT}<Pause/>")
    driver.wait(1)
    assert driver.count(OpenStream) == 2
    assert events(driver) == []


def test_a_stream_that_is_being_closed_can_be_waited_for() -> None:
    driver = Driver()
    driver.run(f"{AGENT}<Pause/><StopStream name='agent'/><StopStream name='agent'/><StopStream name='agent' wait='true'/>{NEXT}")
    stream_id = open_stream(driver)
    driver.wait(1)
    assert (driver.count(CloseStream), driver.count(SpeechWanted)) == (1, 0)
    driver.engine.streams.over(stream_id, "closed", "", driver.now)
    assert driver.count(SpeechWanted) == 1
