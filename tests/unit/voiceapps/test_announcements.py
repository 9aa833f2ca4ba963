"""Announcements: a broker that is away holds nobody up."""

from __future__ import annotations

import os
import queue
import threading

import pytest

from voiceapps.services import announcements
from voiceapps.services.announcements import Announcer


def test_what_is_put_is_sent_in_its_order() -> None:
    sent: queue.Queue[str] = queue.Queue()
    announcer = Announcer(sent.put)
    for number in range(3):
        announcer.put(str(number))
    assert [sent.get(timeout=10) for _ in range(3)] == ["0", "1", "2"]
    announcer.flush()


def test_nobody_waits_for_a_broker_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(announcements, "MAX_ANNOUNCEMENTS", 3)
    asked, released = threading.Event(), threading.Event()
    sent: list[str] = []

    def hang(announcement: str) -> None:
        asked.set()
        released.wait(10)
        sent.append(announcement)

    announcer = Announcer(hang)
    announcer.put("first")
    assert asked.wait(10)
    for number in range(10):
        announcer.put(str(number))
    assert sent == []
    released.set()
    announcer.flush(10)
    assert sent == ["first", "0", "1", "2"]


def test_a_broker_that_refuses_is_asked_once_for_all_that_wait() -> None:
    asked, released = threading.Event(), threading.Event()
    tried: list[str] = []

    def refuse(announcement: str) -> None:
        tried.append(announcement)
        if announcement == "refused":
            asked.set()
            released.wait(10)
            raise ConnectionRefusedError

    announcer = Announcer(refuse)
    announcer.put("refused")
    assert asked.wait(10)
    for number in range(5):
        announcer.put(str(number))
    released.set()
    announcer.flush(10)
    announcer.put("later")
    announcer.flush(10)
    assert tried == ["refused", "later"]


def test_a_process_that_was_forked_has_a_thread_of_its_own() -> None:
    read_end, write_end = os.pipe()
    announcer = Announcer(lambda announcement: os.write(write_end, announcement.encode()))  # type: ignore[arg-type]  # its count is nobody's
    announcer.put("parent")
    assert os.read(read_end, 20) == b"parent"
    child = os.fork()
    if child == 0:
        announcer.put("child")
        announcer.flush(10)
        os._exit(0)
    assert os.read(read_end, 20) == b"child"
    assert os.waitpid(child, 0)[1] == 0
