"""Connections on real sockets: caps, time-outs, keep-alives, TLS with a certificate that is renewed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from daemonkit.address import Address
from daemonkit.errors import CannotStart
from daemonkit.sockets import open_tcp
from sipproxy.aio import places, streams
from sipproxy.aio.certificates import Certificates
from sipproxy.aio.streams import StreamEndpoint
from sipproxy.config import TlsConfig

OPTIONS = b"OPTIONS sip:a SIP/2.0\r\nContent-Length: 0\r\n\r\n"
ANSWER = b"SIP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n"
SECONDS = 5.0


class Shell:
    """The endpoint's user: it keeps what arrives and answers each message."""

    def __init__(self, *, trusted: bool = False, tls: ssl.SSLContext | None = None) -> None:
        self.messages: list[tuple[bytes, Address]] = []
        self.lost: list[Address] = []
        self.banned: set[str] = set()
        self.changed = asyncio.Event()
        self.endpoint = StreamEndpoint(
            on_message=self.receive, on_lost=self.lose, is_trusted=lambda _host: trusted, is_banned=self.banned.__contains__, tls=tls
        )
        self.address: Address = ("", 0)

    async def start(self) -> None:
        sock = open_tcp(("127.0.0.1", 0))
        self.address = sock.getsockname()
        self.endpoint.start(sock)

    def receive(self, data: bytes, address: Address) -> None:
        self.messages.append((data, address))
        self.endpoint.send(ANSWER, address)
        self.changed.set()

    def lose(self, address: Address) -> None:
        self.lost.append(address)
        self.changed.set()

    async def until_lost(self, count: int = 1) -> None:
        async with asyncio.timeout(SECONDS):
            while len(self.lost) < count:
                self.changed.clear()
                await self.changed.wait()


@pytest.fixture
async def shell() -> AsyncIterator[Shell]:
    made = Shell()
    await made.start()
    yield made
    made.endpoint.stop()


async def test_an_answer_goes_back_along_the_connection(shell: Shell) -> None:
    reader, writer = await asyncio.open_connection(*shell.address)
    writer.write(OPTIONS[:20])
    await writer.drain()
    writer.write(OPTIONS[20:] + OPTIONS + b"\r\n\r\n")
    assert await asyncio.wait_for(reader.readexactly(2 * len(ANSWER) + 2), SECONDS) == ANSWER + ANSWER + b"\r\n"
    assert [data for data, _ in shell.messages] == [OPTIONS, OPTIONS]
    own = writer.get_extra_info("sockname")
    assert shell.endpoint.is_connected(own)
    writer.close()
    await shell.until_lost()
    assert (shell.lost, len(shell.endpoint)) == ([own], 0)


async def test_a_stream_without_message_boundaries_is_closed(shell: Shell) -> None:
    reader, writer = await asyncio.open_connection(*shell.address)
    writer.write(b"OPTIONS sip:a SIP/2.0\r\n\r\n")
    assert await asyncio.wait_for(reader.read(), SECONDS) == b""
    assert shell.endpoint.counters.unreadable == 1
    writer.close()


@dataclass(frozen=True)
class Client:
    """The far end of a connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @property
    def address(self) -> Address:
        name: Address = self.writer.get_extra_info("sockname")
        return name

    async def answers(self) -> bool:
        """Return whether a message gets an answer; False if the connection has been closed."""
        try:
            self.writer.write(OPTIONS)
            return await asyncio.wait_for(self.reader.readexactly(len(ANSWER)), SECONDS) == ANSWER
        except (asyncio.IncompleteReadError, ConnectionError):
            return False


async def connect(shell: Shell, source: str = "127.0.0.1") -> Client:
    return Client(*await asyncio.open_connection(*shell.address, local_addr=(source, 0)))


async def greeted(shell: Shell, source: str = "127.0.0.1") -> Client:
    """Return a connection that has a place."""
    made = await connect(shell, source)
    assert await made.answers()
    return made


CAPS = {
    "source": ("MAX_CONNECTIONS_PER_SOURCE", ("127.0.0.1", "127.0.0.1", "127.0.0.1"), "127.0.0.2"),
    "network": ("MAX_STRANGERS_PER_NETWORK", ("127.0.2.1", "127.0.2.2", "127.0.2.3"), "127.0.3.1"),
    "all": ("MAX_CONNECTIONS", ("127.0.2.1", "127.0.3.1", "127.0.4.1"), None),
}


@pytest.mark.parametrize("cap", CAPS)
async def test_the_oldest_stranger_makes_room(shell: Shell, monkeypatch: pytest.MonkeyPatch, cap: str) -> None:
    name, (first, second, third), elsewhere = CAPS[cap]
    monkeypatch.setattr(places, name, 2)
    bystander = await greeted(shell, elsewhere) if elsewhere else None
    oldest, other = await greeted(shell, first), await greeted(shell, second)
    newest = await greeted(shell, third)
    assert shell.lost == [oldest.address]
    assert [await client.answers() for client in (oldest, other, newest)] == [False, True, True]
    assert bystander is None or await bystander.answers()
    assert (shell.endpoint.counters.displaced, shell.endpoint.counters.refused) == (1, 0)


@pytest.mark.parametrize("cap", CAPS)
async def test_a_caller_never_makes_room_for_a_stranger(shell: Shell, monkeypatch: pytest.MonkeyPatch, cap: str) -> None:
    name, sources, _ = CAPS[cap]
    monkeypatch.setattr(places, name, 2)
    caller = await greeted(shell, sources[0])
    shell.endpoint.welcome(caller.address)
    strangers = [await greeted(shell, source) for source in sources[1:] * 3]
    assert await caller.answers()
    assert not await strangers[0].answers()
    assert await strangers[-1].answers()


async def test_a_connection_that_we_send_a_request_along_is_a_callers(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "MAX_CONNECTIONS_PER_SOURCE", 1)
    caller = await greeted(shell)
    shell.endpoint.send(OPTIONS, caller.address)
    assert await asyncio.wait_for(caller.reader.readexactly(len(OPTIONS)), SECONDS) == OPTIONS
    assert not await (await connect(shell)).answers()
    assert await caller.answers()
    assert (shell.endpoint.counters.displaced, shell.endpoint.counters.refused) == (0, 1)


async def test_callers_alone_fill_a_listener_to_its_cap(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "MAX_CONNECTIONS", 2)
    callers = [await greeted(shell, f"127.0.{number}.1") for number in range(2, 4)]
    for caller in callers:
        shell.endpoint.welcome(caller.address)
    assert not await (await connect(shell)).answers()
    assert [await caller.answers() for caller in callers] == [True, True]
    callers[0].writer.close()
    await shell.until_lost()
    assert await (await connect(shell)).answers()


async def test_there_is_a_cap_on_all_of_them_even_for_trusted_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, most in (("MAX_CONNECTIONS", 1), ("MAX_CONNECTIONS_PER_SOURCE", 0), ("MAX_STRANGERS_PER_NETWORK", 0)):
        monkeypatch.setattr(places, name, most)
    shell = Shell(trusted=True)
    await shell.start()
    first = await greeted(shell)
    assert not await (await connect(shell)).answers()
    assert await first.answers()
    assert shell.endpoint.counters.refused == 1
    shell.endpoint.stop()


@pytest.mark.parametrize("said", [b"", OPTIONS[:10], OPTIONS + OPTIONS[:10]])
async def test_a_message_must_arrive_in_time(shell: Shell, monkeypatch: pytest.MonkeyPatch, said: bytes) -> None:
    monkeypatch.setattr(streams, "MESSAGE_SECONDS", 0.05)
    reader, writer = await asyncio.open_connection(*shell.address)
    writer.write(said)
    with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
        await asyncio.wait_for(reader.readexactly(1000), SECONDS)
    assert shell.endpoint.counters.overdue == 1
    writer.close()


async def test_silence_ends_a_connection(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "IDLE_SECONDS", 0.05)
    reader, writer = await asyncio.open_connection(*shell.address)
    writer.write(OPTIONS)
    with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
        await asyncio.wait_for(reader.readexactly(1000), SECONDS)
    assert shell.endpoint.counters.overdue == 1
    writer.close()


async def test_a_peer_that_does_not_read_is_dropped(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "MAX_WRITE_BUFFER", 0)
    reader, writer = await asyncio.open_connection(*shell.address)
    writer.write(OPTIONS)
    await asyncio.wait_for(reader.readexactly(len(ANSWER)), SECONDS)
    while not shell.lost:
        shell.endpoint.send(b"x" * 100_000, writer.get_extra_info("sockname"))
        await asyncio.sleep(0)
    assert shell.endpoint.counters.unread == 1
    writer.close()


async def test_a_connection_is_opened_for_a_message(shell: Shell) -> None:
    other = Shell()
    await other.start()
    other.endpoint.send(OPTIONS, shell.address)
    other.endpoint.send(OPTIONS, shell.address)
    async with asyncio.timeout(SECONDS):
        while len(other.messages) < 2:
            other.changed.clear()
            await other.changed.wait()
    assert (len(shell.messages), len(other.endpoint)) == (2, 1)
    other.endpoint.stop()


async def test_an_address_without_a_listener_is_lost(shell: Shell) -> None:
    free = open_tcp(("127.0.0.1", 0))
    nobody = free.getsockname()
    free.close()
    shell.endpoint.send(OPTIONS, nobody)
    await shell.until_lost()
    assert shell.lost == [nobody]


async def test_a_banned_source_gets_no_connection(shell: Shell) -> None:
    shell.banned.add("127.0.0.1")
    reader, writer = await asyncio.open_connection(*shell.address)
    with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
        await asyncio.wait_for(reader.readexactly(1), SECONDS)
    assert (shell.endpoint.counters.refused, len(shell.endpoint)) == (1, 0)
    writer.close()


@pytest.mark.parametrize("says", [OPTIONS, b""])
async def test_a_source_that_is_banned_loses_its_connection(shell: Shell, monkeypatch: pytest.MonkeyPatch, says: bytes) -> None:
    if not says:
        monkeypatch.setattr(streams, "MESSAGE_SECONDS", 0.2)
    reader, writer = await asyncio.open_connection(*shell.address)
    writer.write(OPTIONS)
    await asyncio.wait_for(reader.readexactly(len(ANSWER)), SECONDS)
    shell.banned.add("127.0.0.1")
    writer.write(says)
    await shell.until_lost()
    assert (len(shell.messages), shell.endpoint.counters.overdue) == (1, 0)
    writer.close()


async def test_no_connection_is_opened_to_a_banned_source(shell: Shell) -> None:
    other = Shell()
    other.banned.add("127.0.0.1")
    other.endpoint.send(OPTIONS, shell.address)
    await other.until_lost()
    assert (other.lost, len(shell.endpoint), shell.messages) == ([shell.address], 0, [])


async def test_a_connection_of_ours_over_a_cap_is_lost_and_not_retried(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "MAX_CONNECTIONS_PER_SOURCE", 0)
    other = Shell()
    other.endpoint.send(OPTIONS, shell.address)
    await other.until_lost()
    assert (other.lost, other.endpoint.counters.refused, other.messages) == ([shell.address], 1, [])
    other.endpoint.stop()


def certificate(folder: Path, name: str) -> TlsConfig:
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    subprocess.run([*command, "-subj", f"/CN={name}", *files], check=True, capture_output=True)
    return TlsConfig(str(folder / "cert.pem"), str(folder / "key.pem"))


def client(config: TlsConfig) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=config.certificate)
    context.check_hostname = False
    return context


async def test_new_tls_connections_get_the_renewed_certificate(tmp_path: Path) -> None:
    config = certificate(tmp_path, "first.example")
    certificates = Certificates(config)
    shell = Shell(tls=certificates.context)
    await shell.start()

    async def subject() -> str:
        reader, writer = await asyncio.open_connection(*shell.address, ssl=client(config))
        writer.write(OPTIONS)
        assert await asyncio.wait_for(reader.readexactly(len(ANSWER)), SECONDS) == ANSWER
        shown = writer.get_extra_info("peercert")
        assert writer.get_extra_info("ssl_object").version() in {"TLSv1.2", "TLSv1.3"}
        writer.close()
        return str(shown["subject"][0][0][1])

    assert await subject() == "first.example"
    certificate(tmp_path, "second.example")
    for path in (config.certificate, config.key):
        os.utime(path, ns=(1, 1))
    certificates.reload_if_changed()
    assert await subject() == "second.example"
    shell.endpoint.stop()


async def greeted_secretly(shell: Shell, context: ssl.SSLContext, source: str) -> Client:
    """Return a connection with a handshake that has a place."""
    made = Client(*await asyncio.open_connection(*shell.address, ssl=context, local_addr=(source, 0)))
    assert await made.answers()
    return made


async def test_strangers_who_never_shake_hands_have_places_and_the_oldest_makes_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "MAX_CONNECTIONS_PER_SOURCE", 3)
    config = certificate(tmp_path, "first.example")
    shell = Shell(tls=Certificates(config).context)
    await shell.start()
    phone = await greeted_secretly(shell, client(config), "127.0.0.2")
    strangers = [await connect(shell, "127.0.0.1") for _ in range(8)]
    await shell.until_lost(5)
    assert shell.lost == [stranger.address for stranger in strangers[:5]]
    assert (len(shell.endpoint), shell.endpoint.counters.displaced) == (4, 5)
    for stranger in strangers[:5]:
        with contextlib.suppress(ConnectionError):
            assert await asyncio.wait_for(stranger.reader.read(), SECONDS) == b""
    # A phone behind the same address takes the place of one more.
    neighbour = await greeted_secretly(shell, client(config), "127.0.0.1")
    assert shell.lost[5:] == [strangers[5].address]
    assert [await one.answers() for one in (phone, neighbour)] == [True, True]
    shell.endpoint.stop()


async def test_who_is_crowded_out_before_anything_was_done_for_him_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "MAX_CONNECTIONS_PER_SOURCE", 1)
    shell = Shell(tls=Certificates(certificate(tmp_path, "first.example")).context)
    listening = open_tcp(("127.0.0.1", 0))
    shell.address = listening.getsockname()
    with contextlib.ExitStack() as held:
        strangers = [held.enter_context(socket.create_connection(shell.address)) for _ in range(4)]
        # All of them are accepted in one turn of the loop.
        shell.endpoint.start(listening)
        await shell.until_lost(3)
        assert shell.lost == [stranger.getsockname() for stranger in strangers[:3]]
        for stranger in strangers[:3]:
            stranger.settimeout(SECONDS)
            with contextlib.suppress(ConnectionError):
                assert await asyncio.to_thread(stranger.recv, 1) == b""
    await shell.until_lost(4)
    assert (len(shell.endpoint), len(shell.endpoint._places)) == (0, 0)
    shell.endpoint.stop()


async def test_a_handshake_must_be_done_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "MESSAGE_SECONDS", 0.05)
    shell = Shell(tls=Certificates(certificate(tmp_path, "first.example")).context)
    await shell.start()
    stranger = await connect(shell)
    await shell.until_lost()
    assert not shell.endpoint.is_connected(stranger.address)
    assert (shell.endpoint.counters.overdue, len(shell.endpoint), len(shell.endpoint._places)) == (1, 0, 0)
    shell.endpoint.stop()


async def test_nothing_is_sent_before_the_handshake_is_done(tmp_path: Path) -> None:
    shell = Shell(tls=Certificates(certificate(tmp_path, "first.example")).context)
    await shell.start()
    stranger = await connect(shell)
    async with asyncio.timeout(SECONDS):
        while not len(shell.endpoint):
            await asyncio.sleep(0)
    shell.endpoint.send(OPTIONS, stranger.address)
    await shell.until_lost()
    assert (shell.lost, shell.endpoint.is_connected(stranger.address)) == ([stranger.address], False)
    shell.endpoint.stop()
    with contextlib.suppress(ConnectionError):
        assert await asyncio.wait_for(stranger.reader.read(), SECONDS) == b""


async def test_a_banned_source_shakes_no_hands(tmp_path: Path) -> None:
    config = certificate(tmp_path, "first.example")
    shell = Shell(tls=Certificates(config).context)
    await shell.start()
    shell.banned.add("127.0.0.1")
    with pytest.raises(OSError):  # noqa: PT011  # which one depends on how far the client came
        await asyncio.open_connection(*shell.address, ssl=client(config))
    assert (shell.endpoint.counters.refused, len(shell.endpoint)) == (1, 0)
    shell.endpoint.stop()


async def test_a_broken_renewal_keeps_the_old_certificate(tmp_path: Path) -> None:
    config = certificate(tmp_path, "first.example")
    trusted = client(config)
    certificates = Certificates(config)
    shell = Shell(tls=certificates.context)
    await shell.start()
    Path(config.certificate).write_text("no certificate")
    certificates.reload()
    reader, writer = await asyncio.open_connection(*shell.address, ssl=trusted)
    writer.write(OPTIONS)
    assert await asyncio.wait_for(reader.readexactly(len(ANSWER)), SECONDS) == ANSWER
    writer.close()
    shell.endpoint.stop()


async def test_tls_connections_are_never_opened_by_us(tmp_path: Path) -> None:
    shell = Shell(tls=Certificates(certificate(tmp_path, "first.example")).context)
    await shell.start()
    shell.endpoint.send(OPTIONS, ("127.0.0.1", 9))
    await shell.until_lost()
    assert shell.lost == [("127.0.0.1", 9)]
    shell.endpoint.stop()


async def test_clients_without_a_certificate_can_be_refused(tmp_path: Path) -> None:
    config = certificate(tmp_path, "both.example")
    shell = Shell(tls=Certificates(TlsConfig(config.certificate, config.key, config.certificate)).context)
    await shell.start()
    context = client(config)
    reader, writer = await asyncio.open_connection(*shell.address, ssl=context)
    writer.write(OPTIONS)
    with pytest.raises((ssl.SSLError, ConnectionResetError, asyncio.IncompleteReadError)):
        await asyncio.wait_for(reader.readexactly(1), SECONDS)
    assert shell.messages == []
    context.load_cert_chain(config.certificate, config.key)
    reader, writer = await asyncio.open_connection(*shell.address, ssl=context)
    writer.write(OPTIONS)
    assert await asyncio.wait_for(reader.readexactly(len(ANSWER)), SECONDS) == ANSWER
    writer.close()
    shell.endpoint.stop()


def test_a_missing_certificate_keeps_the_proxy_from_starting(tmp_path: Path) -> None:
    with pytest.raises(CannotStart, match="TLS has no usable certificate in /nowhere.pem with the key in /nowhere.key"):
        Certificates(TlsConfig("/nowhere.pem", "/nowhere.key"))
