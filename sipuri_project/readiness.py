"""Tell in one line when every role is ready, and where to go."""

from __future__ import annotations

import asyncio
import urllib.request
from collections.abc import Callable
from http.client import HTTPException

from django.conf import settings

POLL_SECONDS = 0.5
ANSWER_SECONDS = 5.0
EVERY_ADDRESS = "0.0.0.0"  # noqa: S104  # we ask there, we do not bind it


async def announce_ready(say: Callable[[str], None]) -> None:
    """Ask for the installation's health until every role is well, then write the line."""
    while not await asyncio.to_thread(_is_well, health_request()):
        await asyncio.sleep(POLL_SECONDS)
    say(ready_line())


def health_request() -> urllib.request.Request:
    """Return the request that the web role answers whatever hosts it allows and wherever it listens."""
    host, port = settings.HTTP_BIND
    allowed = settings.ALLOWED_HOSTS[0].lstrip(".")
    reachable = "127.0.0.1" if host == EVERY_ADDRESS else host
    return urllib.request.Request(  # noqa: S310  # our own http URL
        f"http://{reachable}:{port}/healthz", headers={"Host": reachable if allowed == "*" else allowed}
    )


def ready_line() -> str:
    """Return where the console, the API and the SIP port are."""
    host, port = settings.SIP_BIND
    url = settings.PUBLIC_URL
    return f"sipuri is ready: console {url}/console/, API {url}/docs/api, SIP on {host}:{port}. Ctrl-C drains and stops it."


def _is_well(request: urllib.request.Request) -> bool:
    try:
        with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as answer:  # noqa: S310  # our own http URL
            return bool(answer.status == 200)
    except (OSError, HTTPException):
        return False
