"""Downloads that become sounds: equal ones are shared, long ones lie on the disk, and there is not room for all."""

from __future__ import annotations

import asyncio
import gzip
import struct
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from callflow.aio.sounds import fetcher as module
from callflow.aio.sounds import spool as spool_module
from callflow.aio.sounds.fetcher import SoundFetcher, SoundUnavailable, decoded_sound
from callflow.aio.sounds.spool import NoRoomError, Spool
from callflow.engine.effects import AudioWanted
from voiceapps.daemon.outbound import WebhookClient

LONG = spool_module.MAX_MEMORY_EACH + 100_000


def ulaw_file(ulaw: bytes) -> bytes:
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 7, 1, 8_000, 8_000, 1, 8)
    return b"RIFF" + struct.pack("<I", 36 + len(ulaw)) + b"WAVE" + form + struct.pack("<4sI", b"data", len(ulaw)) + ulaw


class Shop:
    """A server whose next answers are scripted, and a fetcher that asks it."""

    def __init__(self, folder: Path) -> None:
        self.answers: list[web.Response] = []
        self.spool = Spool(str(folder))
        self._client = WebhookClient(allow_private=True, signing_key=b"k" * 32)
        self.fetcher = SoundFetcher(self._client, self.spool)
        application = web.Application()
        application.router.add_get("/sound", self._answer)
        self._server = TestServer(application)

    async def open(self) -> None:
        await self._server.start_server()

    async def close(self) -> None:
        self.fetcher.close()
        await self._client.close()
        await self._server.close()

    async def fetch(self, *answers: web.Response, account_id: str = "1") -> list[spool_module.Spooled]:
        """Have as many calls fetch the same URL at once as there are answers."""
        self.answers = list(answers)
        tasks = [asyncio.create_task(self.fetcher.fetch(self.wanted(), account_id=account_id)) for _ in answers]
        return [await task for task in tasks]

    async def problem(self, answer: web.Response) -> str:
        """Return why an answer is no sound."""
        self.answers = [answer]
        try:
            await self.fetcher.fetch(self.wanted(), account_id="1")
        except (SoundUnavailable, NoRoomError) as error:
            return str(error)
        return "There is none."

    async def holds(self, memory: int, disk: int) -> None:
        """Wait until so many octets are held: event loop and threads let go of what they have done a moment later."""
        async with asyncio.timeout(10):
            while (self.spool.memory.held, self.spool.disk.held) != (memory, disk):
                await asyncio.sleep(0)

    def wanted(self) -> AudioWanted:
        return AudioWanted(1, str(self._server.make_url("/sound")), "", "", 10.0)

    async def _answer(self, _: web.Request) -> web.Response:
        return self.answers.pop()


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    shop = Shop(tmp_path)
    await shop.open()
    yield shop
    await shop.close()


def answer(ulaw: bytes, *, coding: str = "", packed: bool = False) -> web.Response:
    body = ulaw_file(ulaw)
    response = web.Response(body=gzip.compress(body, 1) if packed else body)
    if coding:
        response.headers["Content-Encoding"] = coding
    return response


@pytest.mark.parametrize("size", [160, LONG])
async def test_equal_files_are_one_for_as_long_as_a_call_has_it(shop: Shop, size: int) -> None:
    sounds = await shop.fetch(answer(b"a" * size), answer(b"b" * size), answer(b"a" * size))
    assert sorted(sound[:] for sound in sounds) == [b"a" * size, b"a" * size, b"b" * size]
    assert len(set(map(id, sounds))) == 2
    (again,) = await shop.fetch(answer(b"a" * size))
    assert again in sounds
    await shop.holds(*((2 * size, 0) if size < LONG else (0, 2 * size)))
    sounds.clear()
    assert again[:] == b"a" * size
    await shop.holds(*((size, 0) if size < LONG else (0, size)))
    del again
    await shop.holds(0, 0)


async def test_a_url_may_give_another_file_to_each_call(shop: Shop) -> None:
    files = [bytes([number]) * 200 for number in range(20)]
    sounds = await shop.fetch(*map(answer, files))
    assert sorted(sound[:] for sound in sounds) == files


@pytest.mark.parametrize("size", [160, LONG])
async def test_a_compressed_file_is_the_same_sound(shop: Shop, size: int) -> None:
    plain, packed = await shop.fetch(answer(b"a" * size), answer(b"a" * size, coding="gzip", packed=True))
    assert plain is packed
    (wrongly_named,) = await shop.fetch(answer(b"a" * size, coding="gzip"))
    assert wrongly_named is plain


async def test_a_file_may_be_too_long_in_either_form(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_SOUND_BYTES", LONG)
    for too_long in (answer(bytes(LONG)), answer(bytes(LONG), coding="gzip", packed=True)):
        assert (await shop.problem(too_long)).endswith(f"could not be fetched. The answer is longer than {LONG} bytes.")
    assert await shop.problem(answer(bytes(LONG - 44))) == "There is none."
    await shop.holds(0, 0)


async def test_an_answer_that_is_no_sound_leaves_nothing_behind(shop: Shop) -> None:
    for problem, sentence in (
        (web.Response(body=b"OggS" * LONG), "cannot be played. It is neither a wav nor an mp3 file."),
        (web.Response(body=ulaw_file(bytes(LONG)), status=404), "could not be fetched. It answered 404."),
    ):
        assert (await shop.problem(problem)).endswith(sentence)
    await shop.holds(0, 0)


async def test_a_long_file_needs_room_and_a_short_one_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool_module, "MAX_DISK", LONG)
    shop = Shop(tmp_path)
    await shop.open()
    assert (await shop.problem(answer(bytes(2 * LONG)))).startswith("There is no room for sounds")
    await shop.holds(0, 0)
    short, long = await shop.fetch(answer(b"a" * 160), answer(b"b" * (LONG - 44)))
    assert sorted([short[:1], long[:1]]) == [b"a", b"b"]
    await shop.close()


async def test_an_account_whose_files_take_long_keeps_no_other_one_waiting(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    decoding, released = threading.Event(), threading.Event()

    def decode(file: spool_module.Spooled, spool: Spool) -> spool_module.Spooled:
        if b"slow" in file[:]:
            decoding.set()
            assert released.wait(10)
        return decoded_sound(file, spool)

    monkeypatch.setattr(module, "decoded_sound", decode)
    files = [b"slow" + bytes([number]) * 40 for number in range(6)]
    slow = asyncio.create_task(shop.fetch(*map(answer, files)))
    async with asyncio.timeout(10):
        while shop.answers or not decoding.is_set():
            await asyncio.sleep(0)
        (other,) = await shop.fetch(answer(b"a" * 160), account_id="2")
        assert other[:] == b"a" * 160
        released.set()
        assert sorted(sound[:] for sound in await slow) == files


@pytest.mark.parametrize(
    ("headers", "asked"),
    [
        ({}, 2),
        ({"Cache-Control": "max-age=60"}, 1),
        ({"Cache-Control": "public, Max-Age=60"}, 1),
        ({"Cache-Control": "max-age=60", "Age": "60"}, 2),
        ({"Cache-Control": "no-store, max-age=60"}, 2),
        ({"Expires": "Fri, 31 Dec 2100 23:59:59 GMT"}, 1),
        ({"Expires": "0"}, 2),
    ],
)
async def test_a_sound_lasts_as_long_as_its_server_says(shop: Shop, headers: dict[str, str], asked: int) -> None:
    answers = [answer(b"a" * 160), answer(b"b" * 160)]
    for one in answers:
        one.headers.update(headers)
    shop.answers = answers
    sounds = [await shop.fetcher.fetch(shop.wanted(), account_id="1") for _ in range(2)]
    assert len({sound[:] for sound in sounds}) == asked
    assert len(shop.answers) == 2 - asked


async def test_a_kept_sound_is_its_accounts_alone(shop: Shop) -> None:
    shop.answers = [answer(b"a" * 160), answer(b"b" * 160)]
    for one in shop.answers:
        one.headers["Cache-Control"] = "max-age=60"
    sounds = [await shop.fetcher.fetch(shop.wanted(), account_id=account) for account in ("1", "2", "1")]
    assert [sound[:1] for sound in sounds] == [b"b", b"a", b"b"]
