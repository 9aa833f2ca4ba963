"""`python -m bench.voice.raw URL`: ask for one document after the other as a plain HTTP client, and run none of them."""

from __future__ import annotations

import asyncio
import sys

import aiohttp

from bench.voice.backend import RAW
from bench.voice.documents import REDIRECTS

BODY = {
    "eventType": "redirect",
    "eventTime": "2026-01-01T00:00:00.000Z",
    "accountId": "9900000",
    "applicationId": "00000000-0000-4000-8000-000000000000",
    "from": "sip:fetch@bench.example",
    "to": "sip:bench@127.0.0.1:6161",
    "direction": "inbound",
    "callId": RAW,
    "callUrl": "http://127.0.0.1:8000/api/v2/accounts/9900000/calls/raw",
    "startTime": "2026-01-01T00:00:00.000Z",
}
"""As much as a call's webhook says."""


async def ask(url: str) -> None:
    """Ask as often as a call does."""
    async with aiohttp.ClientSession() as session:
        for left in reversed(range(REDIRECTS)):
            async with session.post(f"{url}/again/{left}", json=BODY) as answer:
                await answer.read()


if __name__ == "__main__":
    asyncio.run(ask(sys.argv[1]))
