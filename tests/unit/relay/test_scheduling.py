from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator

import pytest

from mediarelay.aio.scheduling import REALTIME, SWITCH_SECONDS, Priority, shorten_switch_interval


@pytest.fixture(autouse=True)
def ordinary() -> Iterator[None]:
    yield
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def policy() -> int:
    return os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK


def in_a_thread(ask: Callable[[], int]) -> int:
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(ask()))
    thread.start()
    thread.join()
    return found[0]


@pytest.mark.root
def test_the_thread_is_real_time_only_while_packets_depend_on_it() -> None:
    priority = Priority(wanted=True)
    priority.follow(carries_packets=False)
    assert policy() == os.SCHED_OTHER
    priority.follow(carries_packets=True)
    assert (policy(), os.sched_getparam(0).sched_priority) == (os.SCHED_RR, REALTIME)
    priority.follow(carries_packets=False)
    assert (policy(), os.sched_getparam(0).sched_priority) == (os.SCHED_OTHER, 0)


def test_children_of_a_real_time_thread_are_ordinary() -> None:
    Priority(wanted=True).follow(carries_packets=True)
    assert in_a_thread(policy) == os.SCHED_OTHER
    assert os.waitstatus_to_exitcode(os.waitpid(_child(), 0)[1]) == os.SCHED_OTHER


def test_the_thread_stays_ordinary_if_real_time_is_not_wanted() -> None:
    Priority(wanted=False).follow(carries_packets=True)
    assert policy() == os.SCHED_OTHER


def test_a_refused_priority_is_not_requested_again(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def refuse(*_: object) -> None:
        asked.append(1)
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    priority = Priority(wanted=True)
    for carries_packets in (True, False, True):
        priority.follow(carries_packets=carries_packets)
    monkeypatch.undo()
    assert asked == [1]
    assert policy() == os.SCHED_OTHER


def test_a_computing_thread_releases_the_interpreter_soon() -> None:
    before = sys.getswitchinterval()
    try:
        shorten_switch_interval()
        assert sys.getswitchinterval() == pytest.approx(SWITCH_SECONDS)
    finally:
        sys.setswitchinterval(before)


def _child() -> int:
    """Start a process whose exit code is its scheduling policy."""
    child = os.fork()
    if not child:
        os._exit(policy())
    return child
