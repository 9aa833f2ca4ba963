"""The real DNS server, asked by dig and by broken clients."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import dns.flags
import dns.message
import dns.query
import pytest

from sipproxy.aio.dns_server import MAX_CONNECTIONS, MAX_CONNECTIONS_EACH
from tests.support.fleet import copy_state
from tests.support.ng import free_port

pytestmark = pytest.mark.daemons

ROOT = Path(__file__).parents[2]
DOMAIN = "sip-uri.example"
STOP_SECONDS = 15
TRIES = 600


@dataclass
class Server:
    """A running `runsipdns` and its database."""

    process: subprocess.Popen[bytes]
    port: int
    database: Path

    def dig(self, *arguments: str) -> str:
        """Return what dig prints."""
        command = ["dig", "@127.0.0.1", "-p", str(self.port), "+tries=1", "+time=2", *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=False).stdout

    def set_proxy(self, name: str, state: str, address: str) -> None:
        """Write a proxy's row; its heart beats far into the future."""
        with closing(sqlite3.connect(self.database, timeout=20)) as database, database:
            database.execute(
                "INSERT INTO voiceapps_node"
                " (name, role, state, public_address, internal_address, transports, metrics_address, load, seen_at)"
                " VALUES (?, 'sipproxy', ?, ?, '', 'udp:6160', '', 0, '2999-01-01 00:00:00')"
                " ON CONFLICT (name) DO UPDATE SET state = excluded.state",
                (name, state, address),
            )

    def wait_for(self, expected: set[str], *question: str) -> None:
        """Ask until the answer is as expected; the pool is read every two seconds, and dig takes its time."""
        for _ in range(TRIES):
            if set(self.dig("+short", *question).split("\n")) - {""} == expected:
                return
        raise AssertionError(self.dig(*question))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("dns")
    port = free_port()
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "sipuri_project.settings",
        "SIPURI_VAR_DIR": str(folder),
        "SIPURI_DNS_BIND": f"127.0.0.1:{port}",
        "SIPURI_SIP_DOMAIN": DOMAIN,
        "SIPURI_NODE_NAME": "test",
    }
    manage = [sys.executable, str(ROOT / "manage.py")]
    copy_state(folder)
    with (folder / "stderr.txt").open("wb") as stderr:
        process = subprocess.Popen([*manage, "runsipdns"], env=environment, stderr=stderr)
    running = Server(process, port, folder / "sipuri.sqlite3")
    running.set_proxy("sipproxy-1", "up", "203.0.113.9:6160")
    running.set_proxy("sipproxy-2", "up", "203.0.113.10:6160")
    running.wait_for({"203.0.113.9", "203.0.113.10"}, DOMAIN, "A")
    yield running
    process.send_signal(signal.SIGTERM)
    assert process.wait(STOP_SECONDS) == 0


def test_dig_gets_addresses_and_services(server: Server) -> None:
    answer = server.dig(DOMAIN, "A")
    assert "status: NOERROR" in answer
    assert "flags: qr aa rd;" in answer
    assert f"{DOMAIN}.\t60\tIN\tA\t203.0.113.9" in answer.replace("\t\t", "\t")
    expected = {f"10 60 6160 ip-203-0-113-{n}.{DOMAIN}." for n in (9, 10)}
    assert set(server.dig("+short", f"_sip._udp.{DOMAIN}", "SRV").split("\n")) - {""} == expected
    assert server.dig("+short", f"ip-203-0-113-9.{DOMAIN}", "A") == "203.0.113.9\n"


def test_dig_over_tcp(server: Server) -> None:
    assert "10 60 6160" in server.dig("+tcp", f"_sip._udp.{DOMAIN}", "SRV")


def test_dig_is_denied_what_is_not_there_and_refused_what_is_not_ours(server: Server) -> None:
    assert "status: NXDOMAIN" in server.dig(f"nobody.{DOMAIN}", "A")
    assert "status: REFUSED" in server.dig("example.org", "A")
    assert "SOA" in server.dig(DOMAIN, "AAAA")


def test_a_draining_proxy_leaves_the_answers(server: Server) -> None:
    server.set_proxy("sipproxy-3", "up", "203.0.113.11:6160")
    server.wait_for({"203.0.113.9", "203.0.113.10", "203.0.113.11"}, DOMAIN, "A")
    server.set_proxy("sipproxy-3", "draining", "")
    server.wait_for({"203.0.113.9", "203.0.113.10"}, DOMAIN, "A")


def test_broken_tcp_clients_cost_nobody_anything(server: Server) -> None:
    query = dns.message.make_query(DOMAIN, "A")
    for junk in (b"\xff\xff", b"\0\x05hello", b"\0\0", b""):
        with socket.create_connection(("127.0.0.1", server.port), timeout=5) as client:
            client.sendall(junk)
            client.shutdown(socket.SHUT_WR)
            client.recv(100)
    half_open = [socket.create_connection(("127.0.0.1", server.port), timeout=5) for _ in range(20)]
    for _ in range(2):
        assert len(dns.query.tcp(query, "127.0.0.1", port=server.port, timeout=5).answer[0]) == 2
    assert len(dns.query.udp(query, "127.0.0.1", port=server.port, timeout=5).answer[0]) == 2
    for client in half_open:
        client.close()


def test_connections_are_bounded(server: Server) -> None:
    query = dns.message.make_query(DOMAIN, "A").to_wire()
    with ExitStack() as stack:

        def connect(source: str) -> socket.socket:
            client = stack.enter_context(socket.create_connection(("127.0.0.1", server.port), 5, (source, 0)))
            client.sendall(len(query).to_bytes(2, "big") + query)
            answer = client.makefile("rb")
            assert len(answer.read(int.from_bytes(answer.read(2), "big"))) > len(query)
            return client

        own = [connect("127.0.0.1") for _ in range(MAX_CONNECTIONS_EACH + 1)]
        assert own[0].recv(2) == b""
        for number in range(1, MAX_CONNECTIONS // MAX_CONNECTIONS_EACH):
            for _ in range(MAX_CONNECTIONS_EACH):
                connect(f"127.0.1.{number}")
        connect("127.0.2.1")
        assert own[1].recv(2) == b""


def test_a_flood_gets_few_whole_answers_and_a_real_client_its_own(server: Server) -> None:
    query = dns.message.make_query(f"_sip._udp.{DOMAIN}", "SRV").to_wire()
    whole = truncated = 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as flood:
        flood.settimeout(0.5)
        for _ in range(600):
            flood.sendto(query, ("127.0.0.1", server.port))
        while True:
            try:
                answer = dns.message.from_wire(flood.recv(2_000), ignore_trailing=True)
            except TimeoutError:
                break
            whole += bool(answer.answer)
            truncated += bool(answer.flags & dns.flags.TC)
    assert 0 < whole < 200
    assert truncated > 100
    assert whole + truncated < 500
    assert set(server.dig("+short", DOMAIN, "A").split()) == {"203.0.113.9", "203.0.113.10"}
