"""Copies of messages for a collector, read back by a decoder of the specification."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from sipproxy.aio.hep import HepExporter
from sipproxy.aio.hep_packet import MAX_PAYLOAD, encode
from sipproxy.config import HepConfig
from sipproxy.core.events import MessageSeen
from sipproxy.transactions.listener import Transport
from tests.support.hep import decode

CALL = "c-95ac8d6e-1a31c52e-b38f-4198-93c1-000000000001"
PLACES = st.tuples(st.ip_addresses(v=4).map(str), st.integers(0, 65_535))
MESSAGES = st.builds(
    MessageSeen,
    call_id=st.just(CALL),
    at=st.floats(0, 2**32 - 1),
    transport=st.sampled_from(Transport),
    source=PLACES,
    destination=PLACES,
    data=st.binary(max_size=300),
)
SEEN = MessageSeen(CALL, 1_700_000_000.25, Transport.TLS, ("198.51.100.7", 5080), ("203.0.113.5", 5061), b"BYE sip:a SIP/2.0\r\n\r\n")


@given(MESSAGES, st.integers(0, 2**32 - 1), st.binary(max_size=40))
def test_any_message_comes_back_as_it_was(message: MessageSeen, agent_id: int, key: bytes) -> None:
    read = decode(encode(message, agent_id=agent_id, key=key))
    assert (read.source, read.destination, read.payload) == (message.source, message.destination, message.data)
    assert (read.agent_id, read.correlation, read.key) == (agent_id, CALL, key or None)
    assert abs(read.at - message.at) < 0.000_002
    assert read.protocol == (17 if message.transport is Transport.UDP else 6)


def test_the_octets_are_those_of_the_specification() -> None:
    packet = encode(SEEN, agent_id=2001, key=b"k")
    head = "48455033 00b4 000000010007 02 000000020007 06 00000003000a c6336407 00000004000a cb007105 000000070008 13d8 000000080008 13c5"
    assert packet.startswith(bytes.fromhex(head.replace(" ", "")))
    assert bytes.fromhex("0000000e0007") + b"k" in packet
    assert packet.endswith(bytes.fromhex("0000000f001b") + SEEN.data)


def test_a_message_larger_than_a_datagram_is_cut() -> None:
    long = MessageSeen(CALL, 1.0, Transport.TCP, SEEN.source, SEEN.destination, b"x" * 100_000)
    packet = encode(long, agent_id=1, key=b"k" * 100)
    assert len(decode(packet).payload) == MAX_PAYLOAD
    assert len(packet) <= 65_507


@pytest.fixture
async def collector() -> AsyncIterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.setblocking(False)
        yield sock


async def started(host: str, port: int) -> tuple[HepExporter, CollectorRegistry]:
    registry = CollectorRegistry()
    exporter = HepExporter(HepConfig(host, port, agent_id=7, key=b"secret"), registry)
    await exporter.start()
    return exporter, registry


async def test_the_collectors_name_is_resolved_and_each_message_sent_there(collector: socket.socket) -> None:
    exporter, registry = await started("localhost", collector.getsockname()[1])
    exporter.send(SEEN)
    read = decode(await asyncio.wait_for(asyncio.get_running_loop().sock_recv(collector, 65_535), 10))
    assert (read.payload, read.agent_id, read.key) == (SEEN.data, 7, b"secret")
    assert (registry.get_sample_value("sipuri_hep_messages_total"), registry.get_sample_value("sipuri_hep_errors_total")) == (1, 0)
    exporter.stop()


async def test_an_unknown_collector_disturbs_no_call(monkeypatch: pytest.MonkeyPatch) -> None:
    async def unknown(*_arguments: object, **_options: object) -> list[object]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", unknown)
    exporter, registry = await started("homer.invalid", 9060)
    exporter.send(SEEN)
    assert (registry.get_sample_value("sipuri_hep_messages_total"), registry.get_sample_value("sipuri_hep_errors_total")) == (0, 1)
    exporter.stop()


async def test_failed_sends_are_counted() -> None:
    exporter, registry = await started("255.255.255.255", 9060)
    exporter.send(SEEN)
    assert registry.get_sample_value("sipuri_hep_errors_total") == 1
    exporter.stop()
