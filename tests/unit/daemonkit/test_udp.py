from __future__ import annotations

import asyncio
import socket
import struct
import time

import pytest

from daemonkit.address import Address
from daemonkit.sockets import AddressUnavailable
from daemonkit.udp import UdpEndpoint, _waited


async def test_datagrams_arrive_whole_and_empty_ones_too() -> None:
    seen: list[tuple[bytes, Address]] = []
    done = asyncio.Event()

    def on_datagram(data: bytes, address: Address) -> None:
        seen.append((data, address))
        if len(seen) == 3:
            done.set()

    receiver = UdpEndpoint(("127.0.0.1", 0), on_datagram)
    sender = UdpEndpoint(("127.0.0.1", 0), lambda _data, _address: None)
    receiver.open()
    sender.open()
    for data in (b"x" * 65_507, b"", b"last"):
        sender.send(data, receiver.local)
    await asyncio.wait_for(done.wait(), 5)
    assert [data for data, _ in seen] == [b"x" * 65_507, b"", b"last"]
    assert seen[0][1] == sender.local
    receiver.close()
    sender.close()


async def test_who_reads_regularly_takes_a_fresh_datagram_for_the_last_one() -> None:
    seen: list[bytes] = []
    receiver = UdpEndpoint(("127.0.0.1", 0), lambda data, _address: seen.append(data), stamped=True)
    sender = UdpEndpoint(("127.0.0.1", 0), lambda _data, _address: None)
    receiver.open()
    sender.open()
    receiver.stop_reading()
    for data in (b"1", b"2", b"3"):
        sender.send(data, receiver.local)
    await asyncio.sleep(0)
    assert seen == [], "nobody reads it"
    receiver.read(fresh_seconds=60)
    assert seen == [b"1"]
    # What waits is old by now: the rest is asked for.
    receiver.read(fresh_seconds=1e-9)
    assert seen == [b"1", b"2", b"3"]
    sender.send(b"4", receiver.local)
    receiver.read()
    assert seen[-1] == b"4"
    receiver.close()
    sender.close()


async def test_a_port_in_use_is_one_sentence() -> None:
    first = UdpEndpoint(("127.0.0.1", 0), lambda _data, _address: None)
    first.open()
    with pytest.raises(AddressUnavailable, match=rf"UDP 127\.0\.0\.1:{first.local[1]} is already in use\."):
        UdpEndpoint(first.local, lambda _data, _address: None).open()
    with pytest.raises(AddressUnavailable, match="is not an address of this machine"):
        UdpEndpoint(("203.0.113.1", 5060), lambda _data, _address: None).open()
    first.close()


async def test_what_cannot_be_sent_is_counted() -> None:
    endpoint = UdpEndpoint(("127.0.0.1", 0), lambda _data, _address: None)
    endpoint.open()
    endpoint.send(b"x" * 65_508, ("127.0.0.1", 9))
    assert endpoint.errors == 1
    endpoint.close()
    endpoint.send(b"after the end", ("127.0.0.1", 9))


async def test_a_datagram_tells_when_it_came() -> None:
    came_at: asyncio.Queue[float] = asyncio.Queue()
    receiver = UdpEndpoint(("127.0.0.1", 0), lambda _data, _address: came_at.put_nowait(receiver.came_at), stamped=True)
    receiver.open()
    sender = UdpEndpoint(("127.0.0.1", 0), lambda _data, _address: None)
    sender.open()
    waited = 1.0
    # The kernel begins to stamp some time after the first socket of the machine wants it.
    for _ in range(50):
        sender.send(b"while the process stands still", receiver.local)
        sent_at = time.monotonic()
        time.sleep(0.1)  # noqa: ASYNC251  # it is the event loop that has to stand still
        waited = await asyncio.wait_for(came_at.get(), 5) - sent_at
        if waited < 0.1:
            break
    assert waited < 0.1
    receiver.close()
    sender.close()


@pytest.mark.parametrize(("seconds_ago", "waited"), [(10.0, 10.0), (-3600.0, 0.0), (3600.0, 0.0)])
def test_a_clock_that_was_set_says_nothing(seconds_ago: float, waited: float) -> None:
    stamp = struct.pack("=qq", int(time.time() - seconds_ago), 0)
    assert _waited([(socket.SOL_SOCKET, 35, stamp)]) == pytest.approx(waited, abs=5)
    assert _waited([(socket.SOL_SOCKET, 35, b"short"), (socket.SOL_SOCKET, 36, stamp)]) == 0.0
