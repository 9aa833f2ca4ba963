from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import cast

import pytest
from prometheus_client import CollectorRegistry

from daemonkit.sockets import Address
from daemonkit.udp import UdpEndpoint
from mediarelay import bencode
from sipproxy.aio.relay_client import MAX_PENDING, RelayClient, Reply

HOST = "127.0.0.1"


class Relay:
    """A relay's ng socket: it answers, or ignores the first datagrams of each cookie."""

    def __init__(self) -> None:
        self.endpoint = UdpEndpoint((HOST, 0), self._on_datagram)
        self.seen: list[tuple[bytes, bytes]] = []
        self.deaf = 0
        self.garbage = False

    def _on_datagram(self, data: bytes, address: Address) -> None:
        cookie, _, body = data.partition(b" ")
        command = cast(dict[bytes, bytes], bencode.decode(body))
        self.seen.append((cookie, command[b"command"]))
        if [held for held, _ in self.seen].count(cookie) <= self.deaf:
            return
        if self.garbage:
            self.endpoint.send(cookie + b" nonsense", address)
            self.endpoint.send(b"unknown d2:aai1ee", address)
        answer = {"result": "pong" if command[b"command"] == b"ping" else "ok"}
        self.endpoint.send(cookie + b" " + bencode.encode(answer), address)


@pytest.fixture
async def relay() -> AsyncIterator[Relay]:
    relay = Relay()
    relay.endpoint.open()
    yield relay
    relay.endpoint.close()


@pytest.fixture
async def client(relay: Relay) -> AsyncIterator[RelayClient]:
    client = RelayClient((relay.endpoint.local,), bind_host=HOST, registry=CollectorRegistry())
    client.start()
    yield client
    client.stop()


async def ask(client: RelayClient, relay: Address, command: str = "offer") -> Reply | None:
    answered: asyncio.Future[Reply | None] = asyncio.get_running_loop().create_future()
    client.send(relay, {"command": command}, answered.set_result)
    async with asyncio.timeout(10):
        return await answered


async def test_a_command_is_answered(relay: Relay, client: RelayClient) -> None:
    assert await ask(client, relay.endpoint.local) == {b"result": b"ok"}


async def test_a_lost_command_is_repeated_with_its_cookie(relay: Relay, client: RelayClient) -> None:
    relay.deaf = 1
    assert await ask(client, relay.endpoint.local) == {b"result": b"ok"}
    offers = [cookie for cookie, command in relay.seen if command == b"offer"]
    assert len(offers) == 2
    assert len(set(offers)) == 1


async def test_silence_is_none(relay: Relay, client: RelayClient) -> None:
    relay.deaf = 99
    assert await ask(client, relay.endpoint.local) is None
    assert [command for _, command in relay.seen].count(b"offer") == 3


async def test_garbage_and_strangers_change_nothing(relay: Relay, client: RelayClient) -> None:
    relay.garbage = True
    assert await ask(client, relay.endpoint.local) == {b"result": b"ok"}


async def test_only_a_relay_that_answers_pings_is_chosen(relay: Relay, client: RelayClient) -> None:
    assert client.choose() is None
    await ask(client, relay.endpoint.local, "ping")
    async with asyncio.timeout(10):
        while client.choose() is None:
            await asyncio.sleep(0.01)
    assert client.choose() == relay.endpoint.local


async def test_commands_in_flight_are_bounded(relay: Relay, client: RelayClient) -> None:
    relay.deaf = 99
    answers: list[Reply | None] = []
    for _ in range(MAX_PENDING + 10):
        client.send(relay.endpoint.local, {"command": "offer"}, answers.append)
    assert len(answers) >= 10
    assert set(map(str, answers)) == {"None"}
