"""Output that nobody reads."""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Iterator

import pytest

from sipuri_project import terminal as module
from sipuri_project.terminal import Terminal

PIPE_OCTETS = 4096
LINE = "x" * 999


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """Return the two ends of a pipe that takes little, the one for reading first."""
    ends = os.pipe()
    fcntl.fcntl(ends[1], fcntl.F_SETPIPE_SZ, PIPE_OCTETS)
    yield ends
    for end in ends:
        try:
            os.close(end)
        except OSError:
            continue


def read_lines(end: int, last: str) -> list[str]:
    """Read up to a line."""
    lines = []
    with os.fdopen(end) as shown:
        for line in shown:
            lines.append(line.rstrip("\n"))
            if lines[-1] == last:
                break
    return lines


def test_lines_come_out_in_order(pipe: tuple[int, int]) -> None:
    terminal = Terminal(pipe[1])
    for number in range(100):
        terminal.say(str(number))
    terminal.flush()
    os.close(pipe[1])
    with os.fdopen(pipe[0]) as shown:
        assert shown.read().split() == [str(number) for number in range(100)]


def test_a_pipe_that_nobody_reads_delays_nobody(pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_WAITING", 20_000)
    monkeypatch.setattr(module, "LAST_SECONDS", 0.01)
    os.write(pipe[1], bytes(PIPE_OCTETS - 1) + b"\n")
    terminal = Terminal(pipe[1])
    for _ in range(100):
        terminal.say(LINE)
    terminal.flush()
    shown: list[str] = []
    reader = threading.Thread(target=lambda: shown.extend(read_lines(pipe[0], "back")), daemon=True)
    reader.start()
    tries = 0
    while reader.is_alive():
        terminal.say("back")
        tries += 1
        reader.join(0.01)
    assert shown[1:21] == [LINE] * 20
    left_out = int(shown[21].removeprefix("(").removesuffix(" lines are left out: nobody read them)"))
    assert 80 <= left_out < 80 + tries
    assert shown[22:] == ["back"]


def test_a_terminal_that_somebody_made_non_blocking_loses_nothing(pipe: tuple[int, int]) -> None:
    os.set_blocking(pipe[1], False)
    terminal = Terminal(pipe[1])
    for _ in range(20):
        terminal.say(LINE)
    terminal.say("last")
    assert read_lines(pipe[0], "last") == [LINE] * 20 + ["last"]


def test_a_line_that_is_too_long_is_left_out_and_no_other(pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_WAITING", 1_000)
    terminal = Terminal(pipe[1])
    terminal.say("y" * 1_000)
    terminal.say("next")
    assert read_lines(pipe[0], "next") == ["(1 lines are left out: nobody read them)", "next"]


def test_a_reader_that_is_gone_ends_nothing(pipe: tuple[int, int]) -> None:
    os.close(pipe[0])
    terminal = Terminal(pipe[1])
    for _ in range(3):
        terminal.say("nobody hears this")
    terminal.flush()
    assert terminal._waiting == 0


def test_a_process_that_is_forked_writes_its_own_lines_and_no_others(pipe: tuple[int, int]) -> None:
    terminal = Terminal(pipe[1])
    terminal.say("parent")
    terminal.flush()
    child = os.fork()
    if child == 0:
        terminal.say("child")
        terminal.flush()
        os._exit(0)
    os.waitpid(child, 0)
    terminal.say("parent again")
    assert read_lines(pipe[0], "parent again") == ["parent", "child", "parent again"]


def test_lines_of_processes_that_share_a_pipe_do_not_mix(pipe: tuple[int, int]) -> None:
    children = []
    for letter in "ab":
        children.append(os.fork())
        if children[-1] == 0:
            terminal = Terminal(pipe[1])
            for _ in range(2_000):
                terminal.say(letter * 999)
            terminal.flush()
            os._exit(0)
    os.close(pipe[1])
    with os.fdopen(pipe[0]) as shown:
        lines = shown.read().splitlines()
    for child in children:
        os.waitpid(child, 0)
    assert sorted(lines) == ["a" * 999] * 2_000 + ["b" * 999] * 2_000
