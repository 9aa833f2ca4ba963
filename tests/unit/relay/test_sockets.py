"""Media through real sockets on loopback: a port's first socket, and the connected one of a regular source."""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import resource
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest
import pytest_asyncio

from daemonkit.address import Address
from mediarelay.aio import sockets as module
from mediarelay.aio.sockets import LOOKS_PER_WAKE, MAX_EARLY, REGULAR_PACKETS, REST_SECONDS, SOON_SECONDS, MediaSockets
from mediarelay.config import Interface, RelayConfig
from mediarelay.core.addresses import Side
from mediarelay.core.events import PairReleased, PairWanted
from mediarelay.core.flow import Drop
from mediarelay.ng.bencode import decode, encode
from mediarelay.relay import MediaRelay
from tests.unit.relay.harness import ports_in, rtp, sdp

OUTSIDE, INSIDE, CALLER, ENGINE, STRANGER = (f"127.0.0.{number}" for number in range(11, 16))
SECONDS = 5.0
QUIET_TURNS = 50


class Shell:
    """A relay's core with its real sockets, and a clock that stays where it is set."""

    def __init__(self) -> None:
        fields = {"external_ports": (31000, 31019), "internal_ports": (41000, 41019), "allow_private": True}
        config = RelayConfig("relay-1", ("127.0.0.1", 0), Interface(OUTSIDE, OUTSIDE), Interface(INSIDE, INSIDE), **fields)  # type: ignore[arg-type]  # named above
        self.now = 100.0
        self.relay = MediaRelay(config, choose=random.Random(3).randrange)
        self.sockets = MediaSockets(self.relay, lambda: self.now, self.pump, dscp=46)
        self._cookies = itertools.count()

    def pump(self) -> None:
        hosts = {Side.EXTERNAL: OUTSIDE, Side.INTERNAL: INSIDE}
        while (event := self.relay.next_event()) is not None:
            if isinstance(event, PairWanted):
                bound = self.sockets.open_pair(hosts[event.side], event.port)
                (self.relay.port_bound if bound else self.relay.port_failed)(event.side, event.port, self.now)
            elif isinstance(event, PairReleased):
                self.sockets.close_pair(hosts[event.side], event.port)

    def ng(self, command: str, call_id: str, **fields: object) -> dict[bytes, object]:
        named = {name.replace("_", "-"): value for name, value in fields.items()}
        question = b"%d " % next(self._cookies) + encode({"command": command, "call-id": call_id, "from-tag": "a", **named})
        self.relay.receive_datagram(question, ("127.0.0.1", 9), self.now)
        self.pump()
        ((reply, _),) = self.relay.datagrams_to_send()
        value = decode(reply.partition(b" ")[2])
        assert isinstance(value, dict)
        return value

    def call(self, call_id: str, caller: Address, engine: Address) -> Call:
        ways = {"direction": ["external", "internal"], "received-from": ["IP4", CALLER]}
        (inside,) = ports_in(self.ng("offer", call_id, sdp=sdp(*caller), **ways)[b"sdp"])
        (outside,) = ports_in(self.ng("answer", call_id, to_tag="b", sdp=sdp(*engine))[b"sdp"])
        return Call((OUTSIDE, outside), (INSIDE, inside))


class Call:
    """The addresses to which both ends of a call send."""

    def __init__(self, outside: Address, inside: Address) -> None:
        self.outside, self.inside = outside, inside


class Phone:
    """A socket that sends RTP and receives from anybody."""

    def __init__(self, host: str, port: int = 0, ssrc: int = 1) -> None:
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.setblocking(False)
        self.sock.bind((host, port))
        self.address: Address = self.sock.getsockname()
        self.ssrc, self.sequence = ssrc, 0

    def speak(self, to: Address) -> bytes:
        self.sequence += 1
        packet = rtp(self.sequence, ssrc=self.ssrc)
        self.sock.sendto(packet, to)
        return packet

    async def hear(self) -> tuple[bytes, Address]:
        async with asyncio.timeout(SECONDS):
            return await asyncio.get_running_loop().sock_recvfrom(self.sock, 2048)

    async def is_quiet(self) -> bool:
        for _ in range(QUIET_TURNS):
            await asyncio.sleep(0)
        try:
            self.sock.recv(2048)
        except BlockingIOError:
            return True
        return False


@pytest_asyncio.fixture
async def shell() -> AsyncIterator[Shell]:
    shell = Shell()
    yield shell
    shell.sockets.close()


@pytest.fixture
def phone() -> Iterator[Callable[..., Phone]]:
    with ExitStack() as opened:

        def new(host: str, port: int = 0, ssrc: int = 1) -> Phone:
            made = Phone(host, port, ssrc)
            opened.callback(made.sock.close)
            return made

        yield new


async def talk(call: Call, caller: Phone, engine: Phone, packets: int) -> None:
    """Let both ends receive some packets of each other, each unchanged and in order."""
    for _ in range(packets):
        said, answered = caller.speak(call.outside), engine.speak(call.inside)
        assert await engine.hear() == (said, call.inside)
        assert await caller.hear() == (answered, call.outside)


async def regular(shell: Shell, phone: Callable[..., Phone]) -> tuple[Call, Phone, Phone]:
    """Return a call whose ends both have a connected socket."""
    caller, engine = phone(CALLER, ssrc=1), phone(ENGINE, ssrc=2)
    call = shell.call("c-1", caller.address, engine.address)
    await talk(call, caller, engine, REGULAR_PACKETS)
    assert shell.sockets.connected == 2
    return call, caller, engine


async def test_a_regular_source_gets_a_connected_socket_and_relaying_goes_on(shell: Shell, phone: Callable[..., Phone]) -> None:
    caller, engine = phone(CALLER, ssrc=1), phone(ENGINE, ssrc=2)
    call = shell.call("c-1", caller.address, engine.address)
    assert len(shell.sockets) == 4
    await talk(call, caller, engine, REGULAR_PACKETS - 1)
    assert shell.sockets.connected == 0
    await talk(call, caller, engine, 2 * REGULAR_PACKETS)
    assert (shell.sockets.connected, len(shell.sockets)) == (2, 4)
    outside, inside = shell.relay.figures(["c-1"])["c-1"]
    assert (outside.packets_in, outside.packets_out, outside.lost) == (3 * REGULAR_PACKETS - 1, 3 * REGULAR_PACKETS - 1, 0)
    assert (inside.packets_in, inside.packets_out, inside.lost) == (3 * REGULAR_PACKETS - 1, 3 * REGULAR_PACKETS - 1, 0)
    assert shell.sockets.errors == 0


async def test_a_stranger_is_heard_by_the_first_socket_and_refused(shell: Shell, phone: Callable[..., Phone]) -> None:
    call, caller, engine = await regular(shell, phone)
    stranger = phone(STRANGER, ssrc=1)
    for _ in range(2 * REGULAR_PACKETS):
        stranger.speak(call.outside)
    assert await engine.is_quiet()
    assert shell.relay.table.drops[Drop.STRANGER] == 2 * REGULAR_PACKETS
    await talk(call, caller, engine, 3)
    assert await stranger.is_quiet()


async def test_an_rtcp_port_gets_no_connected_socket(shell: Shell, phone: Callable[..., Phone]) -> None:
    call, _, engine = await regular(shell, phone)
    _, rtcp = phone(CALLER), phone(CALLER)
    report = bytes((0x80, 201, 0, 1)) + bytes(4)
    for _ in range(2 * REGULAR_PACKETS):
        rtcp.sock.sendto(report, (call.outside[0], call.outside[1] + 1))
    assert await engine.is_quiet()
    assert shell.sockets.connected == 2


async def test_the_connected_socket_follows_a_source_that_moves(shell: Shell, phone: Callable[..., Phone]) -> None:
    call, _, engine = await regular(shell, phone)
    moved = phone(CALLER, ssrc=1)
    moved.sequence = REGULAR_PACKETS
    shell.now += 1.0
    for _ in range(2):
        moved.speak(call.outside)
    assert await engine.is_quiet()
    # The third in sequence proves the new port; from there on both ends receive everything, at first through the first socket.
    await talk(call, moved, engine, 3)
    await talk(call, moved, engine, REGULAR_PACKETS)
    assert shell.sockets.connected == 2
    await talk(call, moved, engine, 3)


async def test_a_far_end_that_comes_back_misses_nothing(shell: Shell, phone: Callable[..., Phone]) -> None:
    call, caller, engine = await regular(shell, phone)
    engine.sock.close()
    lost = [caller.speak(call.outside) for _ in range(3)]
    for _ in range(QUIET_TURNS):
        await asyncio.sleep(0)
    back = phone(ENGINE, engine.address[1], ssrc=2)
    back.sequence = engine.sequence
    said = caller.speak(call.outside)
    assert said not in lost
    assert await back.hear() == (said, call.inside)
    await talk(call, caller, back, 3)
    assert shell.sockets.errors == 0


async def test_an_error_of_an_earlier_packet_does_not_cost_the_next(shell: Shell, phone: Callable[..., Phone]) -> None:
    call, caller, engine = await regular(shell, phone)
    engine.sock.close()
    said = caller.speak(call.outside)
    # Nobody listens there: the next use of the socket raises the resulting ICMP error.
    shell.sockets._beside[call.inside].send(b"?")
    back = phone(ENGINE, engine.address[1], ssrc=2)
    assert await back.hear() == (said, call.inside)
    assert shell.sockets.errors == 0


class SlowToConnect(socket.socket):
    """A socket to which strangers send between its bind and its connect."""

    before: Callable[[], None]

    def connect(self, address: object) -> None:
        type(self).before()
        super().connect(address)  # type: ignore[arg-type]  # as it came


def slow_socket(before: Callable[[], None]) -> Callable[[int], socket.socket]:
    kind = type("Slow", (SlowToConnect,), {"before": staticmethod(before)})

    def new(dscp: int) -> socket.socket:
        sock: socket.socket = kind(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setblocking(False)
        return sock

    return new


async def test_packets_between_bind_and_connect_keep_their_source(
    shell: Shell, phone: Callable[..., Phone], monkeypatch: pytest.MonkeyPatch
) -> None:
    caller, engine, stranger = phone(CALLER, ssrc=1), phone(ENGINE, ssrc=2), phone(STRANGER, ssrc=1)
    call = shell.call("c-1", caller.address, engine.address)
    await talk(call, caller, engine, REGULAR_PACKETS - 1)
    own: list[bytes] = []

    def before() -> None:
        stranger.speak(call.outside)
        own.append(caller.speak(call.outside))
        stranger.speak(call.inside)

    monkeypatch.setattr(module, "_socket", slow_socket(before))
    said = caller.speak(call.outside)
    assert await engine.hear() == (said, call.inside)
    assert await engine.hear() == (own[0], call.inside), "what the source has sent meanwhile is not lost"
    assert await engine.is_quiet()
    assert await caller.is_quiet()
    assert shell.sockets.connected == 1
    monkeypatch.undo()
    await talk(call, caller, engine, 3)


async def test_an_error_is_not_taken_for_an_empty_socket(
    shell: Shell, phone: Callable[..., Phone], monkeypatch: pytest.MonkeyPatch
) -> None:
    caller, engine, stranger = phone(CALLER, ssrc=1), phone(ENGINE, ssrc=2), phone(STRANGER, ssrc=1)
    call = shell.call("c-1", caller.address, engine.address)
    await talk(call, caller, engine, REGULAR_PACKETS - 1)

    class Refused(socket.socket):
        def connect(self, address: object) -> None:
            stranger.speak(call.outside)
            super().connect(address)  # type: ignore[arg-type]  # as it came
            self.send(b"nobody listens any more")

    def refused(dscp: int) -> socket.socket:
        sock = Refused(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setblocking(False)
        return sock

    monkeypatch.setattr(module, "_socket", refused)
    said = caller.speak(call.outside)
    caller.sock.close()
    assert await engine.hear() == (said, call.inside)
    assert await engine.is_quiet()
    assert shell.relay.table.drops[Drop.STRANGER] == 1


async def test_a_socket_that_holds_too_much_from_before_is_given_up(
    shell: Shell, phone: Callable[..., Phone], monkeypatch: pytest.MonkeyPatch
) -> None:
    caller, engine, stranger = phone(CALLER, ssrc=1), phone(ENGINE, ssrc=2), phone(STRANGER, ssrc=1)
    call = shell.call("c-1", caller.address, engine.address)

    def flood() -> None:
        for _ in range(MAX_EARLY):
            stranger.speak(call.outside)

    monkeypatch.setattr(module, "_socket", slow_socket(flood))
    for _ in range(REGULAR_PACKETS):
        said = caller.speak(call.outside)
        assert await engine.hear() == (said, call.inside)
    assert await engine.is_quiet()
    assert shell.sockets.connected == 0
    monkeypatch.undo()
    await talk(call, caller, engine, 3)


async def test_connected_sockets_are_bounded(shell: Shell, phone: Callable[..., Phone], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_CONNECTED", 1)
    caller, engine = phone(CALLER, ssrc=1), phone(ENGINE, ssrc=2)
    call = shell.call("c-1", caller.address, engine.address)
    await talk(call, caller, engine, 3 * REGULAR_PACKETS)
    assert shell.sockets.connected == 1


async def test_connected_sockets_close_when_descriptors_run_short(shell: Shell, phone: Callable[..., Phone]) -> None:
    call, caller, engine = await regular(shell, phone)
    with no_more_descriptors():
        assert shell.ng("offer", "c-2", sdp=sdp(CALLER, 5000))[b"result"] == b"error"
        assert shell.sockets.connected == 0, "they go before a call is refused"
        await talk(call, caller, engine, 3)
    shell.ng("delete", "c-1")
    assert len(shell.sockets) >= 4, "ports rest before they are closed"


async def test_closing_a_port_closes_its_connected_socket(shell: Shell, phone: Callable[..., Phone]) -> None:
    before = len(os.listdir("/proc/self/fd"))
    call, caller, engine = await regular(shell, phone)
    for made in (caller, engine):
        made.sock.close()
    shell.sockets.close_pair(*call.outside)
    assert (shell.sockets.connected, len(shell.sockets)) == (1, 2)
    shell.sockets.close_pair(*call.inside)
    assert (shell.sockets.connected, len(shell.sockets)) == (0, 0)
    # The poller stays.
    assert len(os.listdir("/proc/self/fd")) == before + 1


async def test_a_port_is_shared_for_a_moment_only(shell: Shell, phone: Callable[..., Phone]) -> None:
    call, _, _ = await regular(shell, phone)
    assert not can_bind(call.outside)
    with no_more_descriptors():
        shell.ng("offer", "c-2", sdp=sdp(CALLER, 5000))
    assert shell.sockets.connected == 0
    assert not can_bind(call.outside)


def can_bind(address: Address) -> bool:
    """Return whether a program that asks to share can have a port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            other.bind(address)
        except OSError:
            return False
        return True


@contextmanager
def no_more_descriptors() -> Iterator[None]:
    """Let this process open three more files, which is not enough for two pairs of ports."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(name) for name in os.listdir("/proc/self/fd"))
    holes = [os.open("/dev/null", os.O_RDONLY) for _ in range(highest + 1 - len(os.listdir("/proc/self/fd")))]
    highest = max(int(name) for name in os.listdir("/proc/self/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for hole in holes:
            os.close(hole)


class Rests:
    """Stands for `time.sleep` of the sockets: in each rest another packet of a phone arrives, `packets` in all."""

    def __init__(self, phone: Phone, to: Address, packets: int) -> None:
        self._phone, self._to, self._packets = phone, to, packets
        self.seconds: list[float] = []

    def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)
        if len(self.seconds) <= self._packets:
            self._phone.speak(self._to)


async def wake(shell: Shell, call: Call, caller: Phone, engine: Phone, *, after: float) -> None:
    """Let the sockets wake up a given number of seconds after the last time."""
    caller.speak(call.outside)
    await engine.hear()
    shell.now += after
    caller.speak(call.outside)
    await engine.hear()


@pytest.mark.parametrize(("packets", "rests"), [(0, 1), (3, 4), (100, LOOKS_PER_WAKE)])
async def test_the_relay_stays_awake_while_packets_come_fast(
    shell: Shell, phone: Callable[..., Phone], monkeypatch: pytest.MonkeyPatch, packets: int, rests: int
) -> None:
    call, caller, engine = await regular(shell, phone)
    shell.now += 1
    arriving = Rests(caller, call.outside, packets)
    monkeypatch.setattr("mediarelay.aio.sockets.time.sleep", arriving)
    await wake(shell, call, caller, engine, after=SOON_SECONDS / 2)
    assert arriving.seconds == [REST_SECONDS] * rests, "it stays until nothing comes, and not for ever"
    for _ in range(min(packets, rests)):
        assert (await engine.hear())[1] == call.inside


async def test_the_relay_does_not_wait_when_packets_are_rare(
    shell: Shell, phone: Callable[..., Phone], monkeypatch: pytest.MonkeyPatch
) -> None:
    call, caller, engine = await regular(shell, phone)
    shell.now += 1
    arriving = Rests(caller, call.outside, 1)
    monkeypatch.setattr("mediarelay.aio.sockets.time.sleep", arriving)
    await wake(shell, call, caller, engine, after=SOON_SECONDS * 2)
    assert not arriving.seconds


async def test_a_flood_does_not_starve_commands(shell: Shell, phone: Callable[..., Phone], monkeypatch: pytest.MonkeyPatch) -> None:
    call, caller, engine = await regular(shell, phone)
    shell.now += 1
    monkeypatch.setattr(module, "DATAGRAMS_PER_WAKE", 3)
    arriving = Rests(caller, call.outside, 100)
    monkeypatch.setattr("mediarelay.aio.sockets.time.sleep", arriving)
    await wake(shell, call, caller, engine, after=SOON_SECONDS / 2)
    assert len(arriving.seconds) == 2
