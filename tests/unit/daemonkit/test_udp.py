from __future__ import annotations

import asyncio

import pytest

from daemonkit.address import Address
from daemonkit.sockets import AddressUnavailable
from daemonkit.udp import UdpEndpoint


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
