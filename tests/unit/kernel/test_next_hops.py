"""Routes, rules and policies of a real kernel, on a host of its own; needs root."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Iterator
from contextlib import closing
from select import select
from socket import if_nametoindex

import pytest

from mediarelay.aio import next_hops
from mediarelay.aio.netlink import ROUTE, XFRM, NetlinkSocket
from mediarelay.aio.next_hops import NextHops
from mediarelay.kernel.messages import Message, attributes
from mediarelay.kernel.routes import Device, Hop
from tests.support.media_lab import lone_host
from tests.support.netns import run

pytestmark = pytest.mark.root

OWN, NEIGHBOUR, GATEWAY, OTHER_GATEWAY = "192.0.2.1", "192.0.2.7", "192.0.2.254", "192.0.2.253"
FAR, NOWHERE = "198.51.100.4", "203.0.113.9"
HARDWARE = "02:00:00:00:00:01"
PATIENCE = 5
LINK_GROUP, LINK_HEADER_OCTETS = 1, 16
NAME, OPERSTATE, OPERSTATE_UP = 3, 16, b"\6"


@pytest.fixture(autouse=True)
def device() -> Iterator[Device]:
    """Provide a host with one device that is up, and a gateway behind it."""
    with lone_host():
        run("ip link add d0 type veth peer name d1")
        run(f"ip address add {OWN}/24 dev d0")
        run(f"ip link set d0 mtu 1400 address {HARDWARE}")
        with closing(NetlinkSocket(ROUTE, LINK_GROUP)) as notices:
            run("ip link set d1 up")
            run("ip link set d0 up")
            until_at_rest(notices)
        run(f"ip route add 198.51.100.0/24 via {GATEWAY}")
        yield Device(if_nametoindex("d0"), "d0", is_up=True, is_ethernet=True, mtu=1400, address=HARDWARE, master=0)


def until_at_rest(notices: NetlinkSocket) -> None:
    """Wait for the notice that devices have a carrier, which the kernel sends a moment after they are up."""
    missing = {b"d0\0", b"d1\0"}
    while missing:
        assert select([notices], [], [], PATIENCE)[0]
        for fields in (attributes(message.payload, LINK_HEADER_OCTETS) for message in notices.read()):
            if fields[OPERSTATE] == OPERSTATE_UP:
                missing.discard(fields[NAME])


class Changes:
    """Counts the notices, and waits for the next one."""

    def __init__(self) -> None:
        self.count = 0
        self._came = asyncio.Event()

    def __call__(self) -> None:
        self.count += 1
        self._came.set()

    async def next(self) -> None:
        async with asyncio.timeout(PATIENCE):
            await self._came.wait()
        self._came.clear()


class Recorded(NetlinkSocket):
    """Remembers every socket."""

    made: list[NetlinkSocket]

    def __init__(self, family: int, groups: int = 0) -> None:
        super().__init__(family, groups)
        self.made.append(self)


@pytest.fixture
def sockets(monkeypatch: pytest.MonkeyPatch) -> list[NetlinkSocket]:
    found: list[NetlinkSocket] = []
    monkeypatch.setattr(Recorded, "made", found, raising=False)
    monkeypatch.setattr(next_hops, "NetlinkSocket", Recorded)
    return found


async def test_the_devices_are_known_by_their_index(device: Device) -> None:
    with closing(NextHops(Changes())) as hops:
        found = hops.devices()
    assert found[device.index] == device
    assert {each.name for each in found.values()} == {"d0", "d1"}


async def test_a_port_of_a_bridge_knows_it(device: Device) -> None:
    run("ip link add br0 type bridge")
    run("ip link set d0 master br0")
    with closing(NextHops(Changes())) as hops:
        found = {each.name: each for each in hops.devices().values()}
    assert (found["d0"].master, found["br0"].master) == (found["br0"].index, 0)


async def test_the_next_hop_to_an_address(device: Device) -> None:
    run("ip route add 10.1.0.0/16 dev lo")
    with closing(NextHops(Changes())) as hops:
        hops.devices()
        assert hops.find(NEIGHBOUR) == (Hop(device.index, NEIGHBOUR), device)
        assert hops.find(FAR) == (Hop(device.index, GATEWAY), device)
        for address in (NOWHERE, OWN, "127.0.0.1", "192.0.2.255", "224.0.0.5", "10.1.0.1"):
            assert hops.find(address) is None


async def test_there_is_no_hop_before_the_devices_have_been_read() -> None:
    with closing(NextHops(Changes())) as hops:
        assert hops.find(NEIGHBOUR) is None
        hops.devices()
        assert hops.find(NEIGHBOUR) is not None


async def test_known_hops_are_cached(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(next_hops, "MAX_KNOWN", 2)
    with closing(NextHops(Changes())) as hops:
        hops.devices()
        before = hops.find(FAR)
        run(f"ip route replace 198.51.100.0/24 via {OTHER_GATEWAY}")
        assert hops.find(NOWHERE) is None
        assert hops.find(FAR) == before == (Hop(device.index, GATEWAY), device)
        # One more than the cache holds, and all are forgotten.
        assert hops.find(NEIGHBOUR) is not None
        assert hops.find(FAR) == (Hop(device.index, OTHER_GATEWAY), device)


async def test_several_changes_give_one_notice_and_clear_the_cache(device: Device) -> None:
    changes = Changes()
    with closing(NextHops(changes)) as hops:
        hops.devices()
        assert (hops.find(FAR), hops.find(NOWHERE)) == ((Hop(device.index, GATEWAY), device), None)
        run(f"ip route replace 198.51.100.0/24 via {OTHER_GATEWAY}")
        run(f"ip route add {NOWHERE} via {GATEWAY}")
        run("ip address add 192.0.2.2/24 dev d0")
        await changes.next()
        assert hops.find(FAR) == (Hop(device.index, OTHER_GATEWAY), device)
        assert hops.find(NOWHERE) == (Hop(device.index, GATEWAY), device)
        run(f"ip route delete {NOWHERE}")
        await changes.next()
        assert hops.find(NOWHERE) is None
    assert changes.count == 2


@pytest.mark.parametrize(
    "change",
    [
        "ip link set d0 mtu 1300",
        "ip link set d0 down",
        "ip link delete d0",
        "ip address add 192.0.2.2/24 dev d0",
        "ip route add 10.0.0.0/8 via 192.0.2.254",
        "ip rule add fwmark 5 lookup 100",
        "ip xfrm policy add dst 10.2.0.0/16 dir out",
    ],
)
async def test_every_kind_of_change_gives_a_notice(monkeypatch: pytest.MonkeyPatch, change: str) -> None:
    monkeypatch.setattr(next_hops, "GATHER_SECONDS", 0)
    changes = Changes()
    with closing(NextHops(changes)):
        run(change)
        await changes.next()


@pytest.mark.parametrize(
    ("thing", "obstacle"),
    [
        ("rule {} pref 100 fwmark 5 lookup 100", "there are routing rules beyond the usual three"),
        ("rule {} pref 100 to 10.0.0.0/8 lookup main", "there are routing rules beyond the usual three"),
        ("rule {} pref 100 lookup main suppress_prefixlength 0", "there are routing rules beyond the usual three"),
        ("xfrm policy {} dst 10.2.0.0/16 dir out", "there are IPsec policies"),
    ],
)
async def test_rules_and_policies_are_obstacles_while_they_exist(thing: str, obstacle: str) -> None:
    with closing(NextHops(Changes())) as hops:
        assert hops.obstacle() == ""
        run("ip " + thing.format("add"))
        assert hops.obstacle() == obstacle
        run("ip " + thing.format("delete"))
        assert hops.obstacle() == ""


async def test_a_kernel_without_ipsec_has_no_policies(monkeypatch: pytest.MonkeyPatch, device: Device) -> None:
    def without(family: int, groups: int = 0) -> NetlinkSocket:
        if family == XFRM:
            raise OSError(errno.EPROTONOSUPPORT, "Protocol not supported")
        return NetlinkSocket(family, groups)

    monkeypatch.setattr(next_hops, "NetlinkSocket", without)
    changes = Changes()
    with closing(NextHops(changes)) as hops:
        hops.devices()
        assert (hops.obstacle(), hops.find(NEIGHBOUR)) == ("", (Hop(device.index, NEIGHBOUR), device))
        run("ip rule add fwmark 5 lookup 100")
        await changes.next()
        assert hops.obstacle() == "there are routing rules beyond the usual three"


async def test_close_leaves_no_socket_and_no_reader(sockets: list[NetlinkSocket]) -> None:
    hops = NextHops(Changes())
    numbers = [sock.fileno() for sock in sockets]
    assert len(numbers) == 4
    hops.close()
    assert [sock.fileno() for sock in sockets] == [-1] * 4
    assert not any(asyncio.get_running_loop().remove_reader(number) for number in numbers)


async def test_no_notice_comes_after_close(monkeypatch: pytest.MonkeyPatch) -> None:
    heard = asyncio.Event()

    class Heard(NetlinkSocket):
        def read(self) -> list[Message]:
            heard.set()
            return super().read()

    monkeypatch.setattr(next_hops, "NetlinkSocket", Heard)
    early, late = Changes(), Changes()
    with closing(NextHops(early)):
        run(f"ip route add {NOWHERE} via {GATEWAY}")
        async with asyncio.timeout(PATIENCE):
            await heard.wait()
    with closing(NextHops(late)):
        run(f"ip route delete {NOWHERE}")
        # What began earlier would be reported earlier.
        await late.next()
    assert early.count == 0
