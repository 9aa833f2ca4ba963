from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator

import pytest

from mediarelay.aio.scheduling import PRIORITY, SWITCH_SECONDS, go_first, take_turns_quickly


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


def test_this_thread_goes_before_ordinary_ones() -> None:
    assert policy() == os.SCHED_OTHER
    go_first()
    assert policy() == os.SCHED_RR
    assert os.sched_getparam(0).sched_priority == PRIORITY


def test_what_it_starts_is_ordinary() -> None:
    go_first()
    assert in_a_thread(policy) == os.SCHED_OTHER
    assert os.waitstatus_to_exitcode(os.waitpid(_child(), 0)[1]) == os.SCHED_OTHER


def test_where_the_system_says_no_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    with pytest.raises(OSError, match="not permitted"):
        go_first()
    monkeypatch.undo()
    assert policy() == os.SCHED_OTHER


def _child() -> int:
    """Start a process that ends with its policy as exit code."""
    child = os.fork()
    if not child:
        os._exit(policy())
    return child


def test_a_thread_that_computes_is_interrupted_soon() -> None:
    before = sys.getswitchinterval()
    try:
        take_turns_quickly()
        assert sys.getswitchinterval() == pytest.approx(SWITCH_SECONDS)
    finally:
        sys.setswitchinterval(before)
