from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import cast

import pytest
from prometheus_client import CollectorRegistry

from daemonkit.address import Address
from daemonkit.udp import UdpEndpoint
from mediarelay.ng import bencode
from mediarelay.ng.control import pong
from sipproxy.aio import relay_client
from sipproxy.aio.relay_client import MAX_PENDING, NgReply, RelayClient
from sipproxy.config import Relay

HOST = "127.0.0.1"


class NgSocket:
    """The socket of a relay: it answers, or ignores the first datagrams of each cookie."""

    def __init__(self) -> None:
        self.endpoint = UdpEndpoint((HOST, 0), self._on_datagram)
        self.seen: list[tuple[bytes, bytes]] = []
        self.deaf = 0
        self.garbage = False
        self.draining = False

    def _on_datagram(self, data: bytes, address: Address) -> None:
        cookie, _, body = data.partition(b" ")
        command = cast(dict[bytes, bytes], bencode.decode(body))
        self.seen.append((cookie, command[b"command"]))
        if [held for held, _ in self.seen].count(cookie) <= self.deaf:
            return
        if self.garbage:
            self.endpoint.send(cookie + b" nonsense", address)
            self.endpoint.send(b"unknown d2:aai1ee", address)
        answer = pong(draining=self.draining) if command[b"command"] == b"ping" else {"result": "ok"}
        self.endpoint.send(cookie + b" " + bencode.encode(answer), address)


@pytest.fixture
async def relay() -> AsyncIterator[NgSocket]:
    relay = NgSocket()
    relay.endpoint.open()
    yield relay
    relay.endpoint.close()


@pytest.fixture
async def client(relay: NgSocket) -> AsyncIterator[RelayClient]:
    client = RelayClient((Relay(relay.endpoint.local),), bind_host=HOST, registry=CollectorRegistry())
    client.start()
    yield client
    client.stop()


async def ask(client: RelayClient, relay: Address, command: str = "offer") -> NgReply | None:
    answered: asyncio.Future[NgReply | None] = asyncio.get_running_loop().create_future()
    client.send(relay, {"command": command}, answered.set_result)
    async with asyncio.timeout(10):
        return await answered


async def test_a_command_is_answered(relay: NgSocket, client: RelayClient) -> None:
    assert await ask(client, relay.endpoint.local) == {b"result": b"ok"}


async def test_a_lost_command_is_repeated_with_its_cookie(relay: NgSocket, client: RelayClient) -> None:
    relay.deaf = 1
    assert await ask(client, relay.endpoint.local) == {b"result": b"ok"}
    offers = [cookie for cookie, command in relay.seen if command == b"offer"]
    assert len(offers) == 2
    assert len(set(offers)) == 1


async def test_a_relay_that_does_not_answer_is_none(relay: NgSocket, client: RelayClient) -> None:
    relay.deaf = 99
    assert await ask(client, relay.endpoint.local) is None
    assert [command for _, command in relay.seen].count(b"offer") == 3


async def test_garbage_and_strangers_change_nothing(relay: NgSocket, client: RelayClient) -> None:
    relay.garbage = True
    assert await ask(client, relay.endpoint.local) == {b"result": b"ok"}


async def test_only_a_relay_that_answers_pings_is_chosen(relay: NgSocket, client: RelayClient) -> None:
    assert client.choose() is None
    await ask(client, relay.endpoint.local, "ping")
    async with asyncio.timeout(10):
        while client.choose() is None:
            await asyncio.sleep(0.01)
    assert client.choose() == relay.endpoint.local


@pytest.fixture
async def second(relay: NgSocket) -> AsyncIterator[NgSocket]:
    second = NgSocket()
    second.endpoint.open()
    yield second
    second.endpoint.close()


async def test_a_silent_relay_gets_no_calls_until_it_answers(relay: NgSocket, second: NgSocket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay_client, "REPEAT_SECONDS", (0.01, 0.01))
    monkeypatch.setattr(relay_client, "PING_SECONDS", 0.02)
    heavy, light = relay.endpoint.local, second.endpoint.local
    registry = CollectorRegistry()
    client = RelayClient((Relay(heavy, 2), Relay(light)), bind_host=HOST, registry=registry)

    async def lives(*expected: Address) -> None:
        async with asyncio.timeout(10):
            while _live(registry) != {"{}:{}".format(*place): float(place in expected) for place in (heavy, light)}:
                await asyncio.sleep(0.005)

    client.start()
    await lives(heavy, light)
    assert [client.choose() for _ in range(6)] == [heavy, light, heavy] * 2
    relay.deaf = 10**9
    await lives(light)
    assert [client.choose() for _ in range(4)] == [light] * 4
    assert client.ready()
    relay.deaf = 0
    await lives(heavy, light)
    assert [client.choose() for _ in range(6)].count(heavy) == 4
    client.stop()


async def test_a_draining_relay_gets_no_calls_until_it_resumes(relay: NgSocket, second: NgSocket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay_client, "PING_SECONDS", 0.02)
    first, other = relay.endpoint.local, second.endpoint.local
    client = RelayClient((Relay(first), Relay(other)), bind_host=HOST, registry=CollectorRegistry())

    async def takes(*expected: Address) -> None:
        async with asyncio.timeout(10):
            while {client.choose(), client.choose()} - {None} != set(expected):
                await asyncio.sleep(0.005)

    client.start()
    await takes(first, other)
    relay.draining = True
    await takes(other)
    assert client.ready()
    assert await ask(client, first) == {b"result": b"ok"}
    second.draining = True
    await takes()
    assert not client.ready()
    relay.draining = False
    await takes(first)
    client.stop()


async def test_a_call_is_not_offered_to_a_relay_twice(relay: NgSocket, client: RelayClient) -> None:
    async with asyncio.timeout(10):
        while client.choose() is None:
            await asyncio.sleep(0.01)
    assert client.choose((relay.endpoint.local,)) is None


def _live(registry: CollectorRegistry) -> dict[str, float]:
    (family,) = (family for family in registry.collect() if family.name == "sipuri_relay_live")
    return {sample.labels["relay"]: sample.value for sample in family.samples}


async def test_commands_in_flight_are_bounded(relay: NgSocket, client: RelayClient) -> None:
    relay.deaf = 99
    answers: list[NgReply | None] = []
    for _ in range(MAX_PENDING + 10):
        client.send(relay.endpoint.local, {"command": "offer"}, answers.append)
    assert len(answers) >= 10
    assert set(map(str, answers)) == {"None"}
