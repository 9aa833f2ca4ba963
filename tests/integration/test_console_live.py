"""A call that an operator sees, hears of and ends, with every role running; then it is in the figures."""

from __future__ import annotations

import asyncio
import http.cookiejar
import re
import urllib.parse
import urllib.request

from tests.integration.test_call_control import calling
from tests.support.backend import TestBackend
from tests.support.fleet import Fleet, until


class Operator:
    """A browser without a screen, logged in."""

    def __init__(self, fleet: Fleet) -> None:
        self._http = fleet.http
        self._cookies = http.cookiejar.CookieJar()
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self._cookies))
        self.read("/console/login/")
        self.send("/console/login/", username="admin", password="operator", next="/console/")

    def read(self, path: str, **headers: str) -> str:
        """Return a page."""
        with self._opener.open(urllib.request.Request(self._http + path, headers=headers), timeout=10) as answer:
            return str(answer.read().decode())

    def send(self, path: str, **fields: str) -> str:
        """Send a form, and return the page that follows."""
        token = next(cookie.value or "" for cookie in self._cookies if cookie.name == "csrftoken")
        body = urllib.parse.urlencode({**fields, "csrfmiddlewaretoken": token}).encode()
        headers = {"Referer": self._http + path, "Origin": self._http}
        with self._opener.open(urllib.request.Request(self._http + path, body, headers), timeout=10) as answer:
            return str(answer.read().decode())


def tile(page: str, title: str) -> str:
    """Return the figure of a tile."""
    found = re.search(rf"<dt>{re.escape(title)}</dt><dd>(?:<a[^>]*>)?([^<]*)", page)
    assert found, title
    return found.group(1)


async def test_an_operator_ends_a_call_and_finds_it_in_the_figures(fleet: Fleet, backend: TestBackend) -> None:
    operator = await asyncio.to_thread(Operator, fleet)
    async with calling(fleet, backend) as (call, call_id):

        def is_reported() -> bool:
            page = operator.read("/console/live/?live=1", **{"HX-Request": "true"})
            return call_id in page and "came" in page

        # A relay reports every ten seconds.
        await asyncio.to_thread(until, is_reported, seconds=30, what="figures of the call", every=0.5)
        overview = await asyncio.to_thread(operator.read, "/console/")
        assert int(tile(overview, "Live calls")) >= 1
        assert re.search(r"[1-9]\d* of \d+ pairs in use", overview)
        assert "The call is ended." in await asyncio.to_thread(operator.send, f"/console/live/{call_id}/end")
        assert await call.wait_ended(5) == "remote"

    def is_counted() -> bool:
        return re.search(r"ended as calls end <b>[1-9]", operator.read("/console/?live=1", **{"HX-Request": "true"})) is not None

    await asyncio.to_thread(until, is_counted, seconds=30, what="the call in the figures", every=0.5)
