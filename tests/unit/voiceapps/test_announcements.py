"""Announcements: a broker that is away holds nobody up."""

from __future__ import annotations

import os
import threading

import pytest

from voiceapps.services import announcements
from voiceapps.services.announcements import Announcer


def test_many_at_once_are_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(announcements, "PAUSE_SECONDS", 0)
    asked, released = threading.Event(), threading.Event()
    sent: list[None] = []

    def hang() -> None:
        asked.set()
        released.wait(10)
        sent.append(None)

    announcer = Announcer(hang)
    announcer.put()
    assert asked.wait(10)
    # The broker hangs, and nobody waits for it.
    for _ in range(10):
        announcer.put()
    assert sent == []
    released.set()
    announcer.flush(10)
    assert len(sent) == 2


def test_after_a_refusal_the_next_one_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(announcements, "PAUSE_SECONDS", 0)
    tried: list[None] = []

    def refuse() -> None:
        tried.append(None)
        raise ConnectionRefusedError

    announcer = Announcer(refuse)
    for count in (1, 2):
        announcer.put()
        announcer.flush(10)
        assert len(tried) == count


def test_a_process_that_was_forked_has_a_thread_of_its_own() -> None:
    read_end, write_end = os.pipe()
    announcer = Announcer(lambda: os.write(write_end, str(os.getpid()).encode()))  # type: ignore[arg-type]  # its count is nobody's
    announcer.put()
    assert os.read(read_end, 20) == str(os.getpid()).encode()
    announcer.flush(10)
    child = os.fork()
    if child == 0:
        announcer.put()
        announcer.flush(10)
        os._exit(0)
    assert os.read(read_end, 20) == str(child).encode()
    assert os.waitpid(child, 0)[1] == 0
