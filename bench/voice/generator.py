"""`python -m bench.voice.generator`: the callers, as the standard input says.

A command is a line of JSON, `{"do": …}`, and so is the answer to it; the end of the input ends the program.
"""

from __future__ import annotations

import gc
import json
import os
import resource
from collections.abc import Callable
from typing import Any

from bench.program import say
from bench.voice.callers import Callers
from bench.voice.dialog import Target

INPUT = 0
READ_BYTES = 2**16
Command = Callable[..., dict[str, Any]]


class Commands:
    """What the input can say."""

    def __init__(self, callers: Callers) -> None:
        self._callers = callers
        self._cpu = 0.0
        self.all: dict[str, Command] = {
            "place": self._place,
            "states": callers.states,
            "begin": self._begin,
            "end": self._end,
            "hang_up": self._hang_up,
            "forget": self._forget,
        }

    def _place(self, target: dict[str, Any], scenario: str, count: int, rate: float) -> dict[str, Any]:
        self._callers.place(Target(**target), scenario, count, rate)
        return {}

    def _begin(self) -> dict[str, Any]:
        self._cpu = _cpu()
        self._callers.begin()
        return {}

    def _end(self) -> dict[str, Any]:
        cpu = _cpu() - self._cpu
        return self._callers.end() | {"cpu_seconds": cpu}

    def _hang_up(self) -> dict[str, Any]:
        self._callers.hang_up()
        return {}

    def _forget(self) -> dict[str, Any]:
        self._callers.forget()
        return {}


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Hold the calls until the input ends."""
    callers = Callers()
    commands = Commands(callers).all
    os.set_blocking(INPUT, False)
    # A garbage collection in the middle would delay what is said.
    gc.freeze()
    gc.disable()
    unread = b""
    while True:
        if not callers.turn():
            continue
        try:
            data = os.read(INPUT, READ_BYTES)
        except BlockingIOError:
            continue
        if not data:
            return
        *lines, unread = (unread + data).split(b"\n")
        for line in lines:
            command = json.loads(line)
            say(json.dumps(commands[command.pop("do")](**command)))


if __name__ == "__main__":
    main()
