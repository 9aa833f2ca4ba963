"""Two workers of the running proxy, and callers over UDP, TCP and TLS: who serves whom, and what a death, a signal and a bore cost."""

from __future__ import annotations

import os
import selectors
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from itertools import count
from pathlib import Path

import pytest

from daemonkit.address import Address
from sipproxy.aio.limits import MAX_CONNECTIONS_PER_SOURCE
from sipproxy.sip.framing import StreamFraming
from tests.support.fleet import ROOT, Application, Fleet, free_ports, until
from tests.support.kamailio import Certificate, make_certificate, proxy_address, tls_environment
from tests.support.ua import Agent, Attempt, Caller, Service

SECONDS = 20.0
WORKERS = 2
PHONES = 16
BORES = 50
REPLAYS = 100
_numbers = count(2)


class Wire:
    """An agent on a real socket."""

    def __init__(self, agent: Agent, sock: socket.socket) -> None:
        self.agent = agent
        self.sock = sock
        self.way_out = sock
        sock.setblocking(False)

    def read(self, now: float) -> None:
        with suppress(BlockingIOError):
            while True:
                data, source = self.sock.recvfrom(65_535)
                self.agent.receive(data, source, self.agent.local, now)

    def flush(self) -> None:
        for _, data, target in self.agent.take():
            self.way_out.sendto(data, target)


class StreamWire(Wire):
    """The same on a connection."""

    def __init__(self, agent: Agent, sock: socket.socket, proxy: Address) -> None:
        super().__init__(agent, sock)
        self.framing = StreamFraming()
        self.proxy = proxy

    def read(self, now: float) -> None:
        with suppress(BlockingIOError, ssl.SSLWantReadError):
            while data := self.sock.recv(65_535):
                for message in self.framing.feed(data):
                    self.agent.receive(message, self.proxy, self.agent.local, now)

    def flush(self) -> None:
        for _, data, _ in self.agent.take():
            self.sock.sendall(data)


class Street:
    """All agents of a test, driven by one loop."""

    def __init__(self, fleet: Fleet, application: Application) -> None:
        self.fleet = fleet
        self.application = application
        self.wires: list[Wire] = []
        self._selector = selectors.DefaultSelector()

    def add(self, wire: Wire) -> Wire:
        self.wires.append(wire)
        self._selector.register(wire.sock, selectors.EVENT_READ, wire)
        return wire

    def close(self) -> None:
        self._selector.close()
        for wire in self.wires:
            wire.sock.close()

    def until(self, condition: Callable[[], object], what: str) -> None:
        """Let messages and timers have their way until something is so."""
        deadline = time.monotonic() + SECONDS
        self._flush()
        while not condition():
            assert time.monotonic() < deadline, f"Not within {SECONDS:g} s: {what}"
            timers = [when for wire in self.wires if (when := wire.agent.timer()) is not None]
            wait = min([*timers, time.monotonic() + 0.1]) - time.monotonic()
            for key, _ in self._selector.select(max(wait, 0)):
                key.data.read(time.monotonic())
            for wire in self.wires:
                when = wire.agent.timer()
                if when is not None and when <= time.monotonic():
                    wire.agent.ring(time.monotonic())
            self._flush()

    def _flush(self) -> None:
        for wire in self.wires:
            wire.flush()

    # Its people.

    def phone(self, transport: str = "udp") -> Phone:
        """Return a caller with an address of its own."""
        host, proxy = f"127.0.1.{next(_numbers)}", proxy_address(self.fleet, transport)
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM)
        sock.bind((host, 0))
        if transport != "udp":
            sock.connect(proxy)
        if transport == "tls":
            sock = blind().wrap_socket(sock)
        caller = Caller(sock.getsockname(), proxy, password=self.application.password, transport=transport.upper())
        caller.talk_seconds = None
        wire = self.add(Wire(caller, sock) if transport == "udp" else StreamWire(caller, sock, proxy))
        return Phone(self, caller, wire)


class Phone:
    """A caller on the street."""

    def __init__(self, street: Street, caller: Caller, wire: Wire) -> None:
        self.street = street
        self.caller = caller
        self.wire = wire

    def dial(self) -> Attempt:
        return self.caller.call(self.street.application.sip_uri, time.monotonic())

    def hang_up(self, attempt: Attempt) -> None:
        assert attempt.leg is not None
        self.caller.send_inside(attempt.leg, "BYE", time.monotonic())


def blind() -> ssl.SSLContext:
    """Return a context that takes any certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture(scope="module")
def target() -> Address:
    return "127.0.0.1", free_ports(1)[0]


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory, certificate: Certificate, target: Address) -> Iterator[Fleet]:
    """Relay, web, and a proxy with two workers that waits long for its last call."""
    environment = {"SIPURI_SIP_WORKERS": str(WORKERS), "SIPURI_CALLFLOW_TARGETS": "sip:{}:{}".format(*target)}
    made = Fleet(tmp_path_factory.mktemp("workers"), ("web", "mediarelay"), {**environment, **tls_environment(certificate)})
    try:
        made.prepare()
        spawn_proxy(made)
        made.start()
        yield made
    finally:
        codes = made.stop()
    assert codes.get("sipproxy", 0) == 0, made.log("sipproxy")[-4000:]
    assert "Traceback" not in made.log("sipproxy"), made.log("sipproxy")[-4000:]


def spawn_proxy(fleet: Fleet) -> None:
    port = free_ports(1)[0]
    fleet.metrics |= {"sipproxy": port, **{f"worker {number}": port + 1 + number for number in range(WORKERS)}}
    command = [sys.executable, "manage.py", "runsipproxy", "--metrics-port", str(port), "--drain-seconds", "60"]
    with (fleet.state / "sipproxy.log").open("ab") as log:
        fleet.processes["sipproxy"] = subprocess.Popen(command, cwd=ROOT, env=fleet.env, stdout=log, stderr=log, start_new_session=True)


@pytest.fixture(scope="module")
def application(fleet: Fleet) -> Application:
    return fleet.application()


@pytest.fixture
def street(fleet: Fleet, application: Application) -> Iterator[Street]:
    made = Street(fleet, application)
    yield made
    made.close()


@pytest.fixture
def service(street: Street, target: Address) -> Service:
    """Who is called, whoever calls."""
    # Branches of its own: the proxy remembers those of the test before.
    agent = Service(target, prefix=f"b{next(_numbers)}-", foreign=True)
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(target)
    street.add(Wire(agent, sock))
    return agent


def worker_of(fleet: Fleet, service: Service, attempt: Attempt) -> int:
    """Return which worker brought a call: each has a port of its own inside."""
    invite = next(request for request in service.requests if request.method == "INVITE" and request.call_id == attempt.call_id)
    return (invite.top_via.port or 0) - int(fleet.env["SIPURI_SIP_INTERNAL_BIND"].rpartition(":")[2])


def one_of_each(street: Street, service: Service) -> list[tuple[Phone, Attempt]]:
    """Return a call that is up at each worker, by its number."""
    found: dict[int, tuple[Phone, Attempt]] = {}
    calls = [(phone, phone.dial()) for phone in (street.phone() for _ in range(PHONES))]
    street.until(lambda: all(attempt.call_id in service.acked for _, attempt in calls), "the calls up")
    for phone, attempt in calls:
        found[worker_of(street.fleet, service, attempt)] = phone, attempt
    spare = [call for call in calls if call not in found.values()]
    for phone, attempt in spare:
        phone.hang_up(attempt)
    street.until(lambda: all(attempt.ended for _, attempt in spare), "the other calls ended")
    assert sorted(found) == list(range(WORKERS))
    return [found[number] for number in range(WORKERS)]


def process_of(fleet: Fleet, worker: int) -> int:
    """Return the process id of a worker, 0 where there is none."""
    supervisor = fleet.processes["sipproxy"].pid
    for pid in Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text(encoding="ascii").split():
        with suppress(OSError):
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            if b"--worker" in words and words[words.index(b"--worker") + 1] == str(worker).encode():
                return int(pid)
    return 0


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
def test_calls_are_spread_over_the_workers(fleet: Fleet, street: Street, service: Service, transport: str) -> None:
    phones = [street.phone(transport) for _ in range(PHONES)]
    calls = [(phone, phone.dial()) for phone in phones]
    street.until(lambda: all(attempt.call_id in service.acked for _, attempt in calls), "all calls up")
    for phone, attempt in calls[::2]:
        phone.hang_up(attempt)
    for _, attempt in calls[1::2]:
        service.send_inside(service.legs[attempt.call_id], "BYE", time.monotonic())
    street.until(lambda: all(attempt.ended for _, attempt in calls), "all calls ended")
    assert [attempt.ended for _, attempt in calls] == ["local", "remote"] * (PHONES // 2)
    names = [attempt.call_id for _, attempt in calls]
    code = (
        f"from voiceapps.models import Call\nresult = list(Call.objects.filter(sip_call_id__in={names}).values_list('state', 'proxy_node'))"
    )
    rows = until(lambda: _all_over(fleet.python(code)), seconds=SECONDS, what="the rows of all calls")
    nodes = {node for _, node in rows}
    assert len(nodes) == WORKERS
    assert {node.rpartition("-")[2] for node in nodes} == {"0", "1"}


def _all_over(rows: list[tuple[str, str]]) -> list[tuple[str, str]] | None:
    return rows if len(rows) == PHONES and {state for state, _ in rows} == {"disconnected"} else None


def test_an_answer_at_the_wrong_worker_is_handed_over(fleet: Fleet, street: Street, service: Service) -> None:
    (phone, attempt), (other, talk) = one_of_each(street, service)
    before = fleet.gauge("worker 1", "sipuri_sip_handed_over_total")
    phone.wire.way_out = other.wire.sock
    service.send_inside(service.legs[attempt.call_id], "BYE", time.monotonic())
    street.until(lambda: service.ended.get(attempt.call_id), "the answer to our BYE at the callee")
    assert (service.ended[attempt.call_id], attempt.ended) == ("local", "remote")
    assert fleet.gauge("worker 1", "sipuri_sip_handed_over_total") > before
    other.hang_up(talk)
    street.until(lambda: talk.ended, "the other call ended")


def test_the_calls_of_one_worker_outlive_the_other(fleet: Fleet, street: Street, service: Service) -> None:
    (orphan, orphaned), (other, talk) = one_of_each(street, service)
    dead = process_of(fleet, 0)
    os.kill(dead, signal.SIGKILL)
    changed = len(service.requests)
    other.caller.send_inside(talk.leg, "INFO", time.monotonic())  # type: ignore[arg-type]  # it is up
    street.until(lambda: any(request.method == "INFO" for request in service.requests[changed:]), "the other worker at work")
    other.hang_up(talk)
    street.until(lambda: talk.ended, "the other worker's call ended")
    # Its own caller repeats the BYE until the worker is back, and the route it carries is all that is needed.
    orphan.hang_up(orphaned)
    street.until(lambda: orphaned.ended, "the orphan's call ended")
    assert (talk.ended, orphaned.ended) == ("local", "local")
    again = orphan.dial()
    street.until(lambda: again.call_id in service.acked, "a new call from the same port")
    assert worker_of(fleet, service, again) == 0
    assert process_of(fleet, 0) not in {0, dead}
    orphan.hang_up(again)
    street.until(lambda: again.ended, "that call ended")
    assert fleet.gauge("sipproxy", "sipuri_worker_restarts_total") == 1


def test_a_call_that_was_ringing_at_a_dead_worker_is_answered(fleet: Fleet, street: Street, service: Service) -> None:
    service.answer_delay = 1.0
    phone = street.phone()
    attempt = phone.dial()
    street.until(lambda: 180 in attempt.statuses, "the ringing")
    os.kill(process_of(fleet, worker_of(fleet, service, attempt)), signal.SIGKILL)
    street.until(lambda: attempt.call_id in service.acked, "the answer by the worker that took its place")
    phone.hang_up(attempt)
    street.until(lambda: attempt.ended, "the call ended")
    assert attempt.ended == "local"


def test_a_captured_authorization_makes_no_second_call(fleet: Fleet, street: Street, service: Service) -> None:
    phone = street.phone()
    attempt = phone.dial()
    # Who captures it knows it once it has been used; which of two that race comes first is not the point.
    street.until(lambda: attempt.leg, "the call answered")
    captured = bytes(attempt.request or b"")
    assert b"Proxy-Authorization" in captured
    copies = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(REPLAYS)]
    heard: dict[int, bytes] = {}

    def all_heard() -> bool:
        for number, sock in enumerate(copies):
            with suppress(BlockingIOError):
                heard.setdefault(number, sock.recv(65_535)[:11])
        return len(heard) == REPLAYS and attempt.call_id in service.acked

    try:
        for number, sock in enumerate(copies):
            sock.setblocking(False)
            sock.bind((phone.caller.local[0], 0))
            sock.sendto(captured, phone.caller.proxy)
            # The same bytes belong to the call itself; with a transaction and a dialog of its own it would be another one.
            changed = captured.replace(b"branch=z9hG4bK", b"branch=z9hG4bKcopy%d" % number).replace(
                b"Call-ID: ", b"Call-ID: copy%d" % number
            )
            sock.sendto(changed, phone.caller.proxy)
        street.until(all_heard, "an answer to every copy")
        assert set(heard.values()) == {b"SIP/2.0 407"}
        invites = [request for request in service.requests if request.method == "INVITE"]
        assert [request.call_id for request in invites] == [attempt.call_id]
    finally:
        for sock in copies:
            sock.close()
        phone.hang_up(attempt)
        street.until(lambda: attempt.ended, "the call ended")


def test_a_new_certificate_costs_no_call(fleet: Fleet, street: Street, service: Service, certificate: Certificate, tmp_path: Path) -> None:
    phone = street.phone("tls")
    attempt = phone.dial()
    street.until(lambda: attempt.call_id in service.acked, "a call over TLS")
    before = shown_certificates(fleet)
    renewed = make_certificate(tmp_path)
    for old, new in ((certificate.key, renewed.key), (certificate.certificate, renewed.certificate)):
        # With its old time the file looks unchanged, so only the signal makes the proxy read it.
        times = old.stat()
        old.write_bytes(new.read_bytes())
        os.utime(old, ns=(times.st_atime_ns, times.st_mtime_ns))
    os.kill(fleet.processes["sipproxy"].pid, signal.SIGHUP)
    expected = {ssl.PEM_cert_to_DER_cert(renewed.certificate.read_text())}
    until(lambda: shown_certificates(fleet) == expected, seconds=SECONDS, what="the new certificate at every worker")
    assert before.isdisjoint(expected)
    service.send_inside(service.legs[attempt.call_id], "BYE", time.monotonic())
    street.until(lambda: attempt.ended, "the call ended by the callee")
    assert attempt.ended == "remote"


def shown_certificates(fleet: Fleet) -> set[bytes]:
    """Return what new connections are shown; there are enough of them to meet every worker."""
    return {_shown(proxy_address(fleet, "tls")) for _ in range(PHONES)}


def _shown(address: Address) -> bytes:
    with socket.create_connection(address, timeout=SECONDS) as plain, blind().wrap_socket(plain) as sock:
        return sock.getpeercert(binary_form=True) or b""


@pytest.mark.parametrize("transport", ["tcp", "tls"])
def test_connections_that_never_finish_a_message_cost_no_call(fleet: Fleet, street: Street, service: Service, transport: str) -> None:
    bore = partial(socket.create_connection, proxy_address(fleet, transport), SECONDS, ("127.0.0.2", 0))
    bores = [bore() for _ in range(BORES)]
    try:
        for sock in bores:
            sock.sendall(b"INVITE sip:" if transport == "tcp" else b"\x16\x03\x01\x02\x00\x01")
        phone = street.phone(transport)
        attempt = phone.dial()
        street.until(lambda: attempt.call_id in service.acked, "a call beside them")
        phone.hang_up(attempt)
        street.until(lambda: attempt.ended, "that call ended")
        assert attempt.ended == "local"
        metric = f'sipuri_sip_connections{{transport="{transport.upper()}"}}'
        assert sum(fleet.gauge(f"worker {number}", metric) for number in range(WORKERS)) > BORES
    finally:
        for sock in bores:
            sock.close()


@pytest.mark.parametrize("transport", ["tcp", "tls"])
def test_a_caller_keeps_its_connection_however_many_strangers_come(fleet: Fleet, street: Street, service: Service, transport: str) -> None:
    phone = street.phone(transport)
    attempt = phone.dial()
    street.until(lambda: attempt.call_id in service.acked, "a call up")
    host = phone.caller.local[0]
    strangers: list[socket.socket] = []
    try:
        # Twice as many as two workers give to one address.
        for _ in range(2 * WORKERS * MAX_CONNECTIONS_PER_SOURCE):
            strangers.append(socket.create_connection(proxy_address(fleet, transport), SECONDS, (host, 0)))
            if transport == "tls":
                strangers[-1] = blind().wrap_socket(strangers[-1])
        with suppress(ConnectionError):
            assert strangers[0].recv(1) == b""
        phone.hang_up(attempt)
        street.until(lambda: attempt.ended, "the call ended")
        assert attempt.ended == "local"
    finally:
        for sock in strangers:
            sock.close()


def test_a_proxy_that_is_to_end_waits_for_its_last_call(fleet: Fleet, street: Street, service: Service) -> None:
    (first, talk), (second, other) = one_of_each(street, service)
    process = fleet.processes.pop("sipproxy")
    process.send_signal(signal.SIGTERM)
    until(lambda: _status(fleet, "worker 0") == _status(fleet, "worker 1") == 503, seconds=SECONDS, what="workers that drain")
    assert _status(fleet, "sipproxy") == 503
    refused = [(phone, phone.dial()) for phone in (first, second)]
    street.until(lambda: all(attempt.statuses for _, attempt in refused), "an answer for new calls")
    for phone, attempt in refused:
        response = next(held for held in phone.caller.responses if held.call_id == attempt.call_id)
        assert (attempt.statuses, response.header("retry-after")) == ([503], "5")
    assert process.poll() is None
    first.hang_up(talk)
    service.send_inside(service.legs[other.call_id], "BYE", time.monotonic())
    street.until(lambda: talk.ended and other.ended, "the last calls ended")
    assert (talk.ended, other.ended) == ("local", "remote")
    assert process.wait(SECONDS) == 0


def _status(fleet: Fleet, role: str) -> int:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{fleet.metrics[role]}/ready", timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
