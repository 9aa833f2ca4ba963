"""A helper process: it is told what to do by lines of JSON, and answers each of them by one."""

from __future__ import annotations

import json
import select
from collections.abc import Sequence
from subprocess import PIPE, Popen
from typing import Any

from tests.support.fleet import ROOT

ANSWER_SECONDS = 60
READ_BYTES = 2**16


class Child:
    """One running helper; `name` is what an error calls it."""

    def __init__(self, name: str, command: Sequence[str]) -> None:
        self._name = name
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
                raise RuntimeError(f"{self._name} does not answer.")
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
