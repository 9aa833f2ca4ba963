"""The two ends of the calls, each a process in its own namespace and on its own core."""

from __future__ import annotations

import json
import os
import select
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from subprocess import PIPE, Popen
from typing import Any

from bench.media.namespaces import CALLER, CALLER_ADDRESS, ENGINE, ENGINE_ADDRESS
from tests.support.fleet import ROOT

ANSWER_SECONDS = 60
READ_BYTES = 2**16
CALLER_SSRC, ENGINE_SSRC = 0x10000000, 0x20000000


class End:
    """One running endpoint."""

    def __init__(self, namespace: str, **options: object) -> None:
        named = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
        command = ["ip", "netns", "exec", namespace, sys.executable, "-m", "bench.media.endpoint", *named]
        self._name = namespace
        self._process = Popen(command, cwd=ROOT, stdin=PIPE, stdout=PIPE, start_new_session=True, bufsize=0)
        assert self._process.stdin is not None and self._process.stdout is not None
        self._input, self._output = self._process.stdin, self._process.stdout
        self._unread = b""

    def tell(self, do: str, **options: object) -> None:
        """Give a command; fetch its answer later."""
        self._input.write(json.dumps({"do": do, **options}).encode() + b"\n")

    def answer(self) -> dict[str, Any]:
        """Return the answer to the oldest unanswered command; raises RuntimeError if none comes."""
        while b"\n" not in self._unread:
            ready, _, _ = select.select([self._output], [], [], ANSWER_SECONDS)
            if not ready or not (data := self._output.read(READ_BYTES)):
                raise RuntimeError(f"The endpoint in {self._name} does not answer.")
            self._unread += data
        line, _, self._unread = self._unread.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def ask(self, do: str, **options: object) -> dict[str, Any]:
        """Give a command and return its answer."""
        self.tell(do, **options)
        return self.answer()

    def close(self) -> None:
        """End the program."""
        self._process.kill()
        self._process.wait()


@dataclass(frozen=True, slots=True)
class Ends:
    """The caller, whose packets are measured, and the engine, which counts them."""

    caller: End
    engine: End


@contextmanager
def ends() -> Iterator[Ends]:
    """Run both ends."""
    with ExitStack() as closing:
        caller = End(CALLER, host=CALLER_ADDRESS, ssrc=CALLER_SSRC, far_ssrc=ENGINE_SSRC, core=min(os.sched_getaffinity(0)))
        closing.callback(caller.close)
        engine = End(ENGINE, host=ENGINE_ADDRESS, ssrc=ENGINE_SSRC, far_ssrc=CALLER_SSRC, core=max(os.sched_getaffinity(0)))
        closing.callback(engine.close)
        yield Ends(caller, engine)
