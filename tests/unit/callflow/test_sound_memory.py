"""What 500 calls that play long files cost: measured in a process of its own."""

from __future__ import annotations

import asyncio
import struct
import sys
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.unit.callflow.players import CALLS, FRAME_SECONDS, PLAYED_SECONDS

MIB = 1024 * 1024
MAX_GROWTH = 300 * 1_000_000
_PIECE = bytes(64 * 1024)


class Shop:
    """A server with files of one size; all are equal or each is another."""

    def __init__(self, size: int, *, equal: bool) -> None:
        self._equal = equal
        self._served = 0
        self._size = size
        application = web.Application()
        application.router.add_get("/sound.wav", self._serve)
        self.server = TestServer(application)

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        self._served += 0 if self._equal else 1
        audio = struct.pack("<Q", self._served)
        form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 7, 1, 8_000, 8_000, 1, 8)
        head = b"RIFF" + struct.pack("<I", self._size - 8) + b"WAVE" + form + struct.pack("<4sI", b"data", self._size - 44) + audio
        response = web.StreamResponse()
        response.content_length = self._size
        await response.prepare(request)
        await response.write(head)
        for at in range(len(head), self._size, len(_PIECE)):
            await response.write(_PIECE[: self._size - at])
        return response


@pytest.mark.parametrize(
    ("downloads", "mib", "equal"),
    # All 500 at once with 31 MiB each are 15 GB through loopback: these are enough to exceed the bound many times without the spool.
    [(40, 31, True), pytest.param(40, 31, False, marks=pytest.mark.long), pytest.param(CALLS, 2, False, marks=pytest.mark.long)],
)
async def test_500_calls_that_play_long_files_add_less_than_300_mb(tmp_path: Path, downloads: int, mib: int, equal: bool) -> None:
    shop = Shop(mib * MIB, equal=equal)
    await shop.server.start_server()
    command = (sys.executable, "-m", "tests.unit.callflow.players", str(shop.server.make_url("/sound.wav")), str(downloads), str(tmp_path))
    players = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    said, _ = await players.communicate()
    await shop.server.close()
    growth, different, packets = map(int, said.split())
    assert different == (1 if equal else downloads)
    assert packets == CALLS * PLAYED_SECONDS / FRAME_SECONDS
    assert growth < MAX_GROWTH
