"""A browser without a screen, of somebody who has logged in."""

from __future__ import annotations

import re
import time
import urllib.parse
import urllib.request
from dataclasses import dataclass
from http.cookiejar import CookieJar

from bench.signalling.processes import processes, tree

LOGIN = "/console/login/"
POLL = {"HX-Request": "true"}
FIRST = 2
"""Turns before those that count: the first one fills the database's cache, as an operator's first look does."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What one page took: the milliseconds of each turn, and those of CPU time of the web role, a turn at the mean."""

    turns: tuple[float, ...]
    cpu: float


class Browser:
    """Asks for pages of a web role whose process has this number."""

    def __init__(self, base: str, name: str, password: str, web: int) -> None:
        self._base = base
        self._web = web
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
        token = re.search(rb'name="csrfmiddlewaretoken" value="([^"]+)"', self._get(LOGIN, {}))
        form = {"username": name, "password": password, "csrfmiddlewaretoken": token[1].decode() if token else "", "next": "/console/"}
        request = urllib.request.Request(self._base + LOGIN, urllib.parse.urlencode(form).encode(), {"Referer": self._base + LOGIN})  # noqa: S310  # our own http URL
        with self._opener.open(request, timeout=60) as answer:
            if answer.url.endswith(LOGIN):
                raise RuntimeError(f"{name} cannot log in.")

    def measure(self, path: str, turns: int, *, is_live: bool) -> Taken:
        """Ask for a page so many times, or for the part of it that lives, as the page does."""
        headers = POLL if is_live else {}
        for _ in range(FIRST):
            self._get(path, headers)
        before = self._cpu()
        taken = [self._timed(path, headers) for _ in range(turns)]
        return Taken(tuple(taken), 1000 * (self._cpu() - before) / turns)

    def _timed(self, path: str, headers: dict[str, str]) -> float:
        began = time.monotonic()
        self._get(path, headers)
        return 1000 * (time.monotonic() - began)

    def _get(self, path: str, headers: dict[str, str]) -> bytes:
        request = urllib.request.Request(self._base + path, headers=headers)  # noqa: S310  # our own http URL
        with self._opener.open(request, timeout=60) as answer:
            return bytes(answer.read())

    def _cpu(self) -> float:
        return sum(process.cpu for process in tree(self._web, processes()))
