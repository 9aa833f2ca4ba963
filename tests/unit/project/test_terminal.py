"""Output that nobody reads."""

from __future__ import annotations

import fcntl
import os
import threading

import pytest

from sipuri_project import terminal as module
from sipuri_project.terminal import Terminal


def test_lines_come_out_in_order() -> None:
    read_end, write_end = os.pipe()
    with os.fdopen(write_end, "w") as stream:
        terminal = Terminal(stream)
        for number in range(100):
            terminal.say(str(number))
        terminal.close()
    with os.fdopen(read_end) as shown:
        assert shown.read().split() == [str(number) for number in range(100)]


def test_a_pipe_that_nobody_reads_delays_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_LINES", 10)
    monkeypatch.setattr(module, "LAST_SECONDS", 0.01)
    read_end, write_end = os.pipe()
    fcntl.fcntl(write_end, fcntl.F_SETPIPE_SZ, 4096)
    terminal = Terminal(os.fdopen(write_end, "w"))
    for _ in range(100):
        terminal.say("x" * 10_000)
    while terminal._lines.full():  # until the thread has taken the first one
        threading.Event().wait(0.001)
    terminal.say("this one goes behind the word about the others")
    terminal.close()
    lines: list[str] = []
    seen = threading.Event()

    def read() -> None:
        with os.fdopen(read_end) as shown:
            for line in shown:
                lines.append(line.strip())
                if line == "back\n":
                    seen.set()

    threading.Thread(target=read, daemon=True).start()
    while not seen.wait(0.01):
        terminal.say("back")
    assert sum(line.startswith("x") for line in lines) == 10
    assert lines[10] == "(90 lines are left out: nobody read them)"


def test_a_reader_that_is_gone_ends_nothing() -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    terminal = Terminal(os.fdopen(write_end, "w"))
    for _ in range(3):
        terminal.say("nobody hears this")
    terminal.close()
    assert not terminal._thread.is_alive()
