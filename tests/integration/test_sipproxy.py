"""The real proxy daemon between user agents of ours: a static target in the call flow's place, a real relay, a real database."""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from daemonkit.address import Address
from tests.support.fleet import Fleet, free_ports, until
from tests.support.hep import HepPacket, decode
from tests.support.on_socket import OnSocket
from tests.support.ua import Agent, Attempt, Caller, Service


@pytest.fixture(scope="module")
def targets() -> tuple[Address, Address]:
    first, second = free_ports(2)
    return ("127.0.0.1", first), ("127.0.0.1", second)


@pytest.fixture(scope="module")
def collector() -> Iterator[socket.socket]:
    """Where copies of all messages go."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.setblocking(False)
        yield sock


@pytest.fixture(scope="module")
def daemons(tmp_path_factory: pytest.TempPathFactory, targets: tuple[Address, Address], collector: socket.socket) -> Iterator[Fleet]:
    environment = {
        "SIPURI_CALLFLOW_TARGETS": ",".join(f"sip:{host}:{port}" for host, port in targets),
        "SIPURI_HEP": f"localhost:{collector.getsockname()[1]}",
        "SIPURI_HEP_ID": "77",
        "SIPURI_HEP_KEY": "collect",
    }
    fleet = Fleet(tmp_path_factory.mktemp("proxy"), ("web", "sipproxy", "mediarelay"), environment)
    try:
        fleet.start()
        yield fleet
    finally:
        codes = fleet.stop()
    assert codes["sipproxy"] == 0, fleet.log("sipproxy")[-4000:]


@pytest.fixture
async def service(daemons: Fleet, targets: tuple[Address, Address]) -> AsyncIterator[Service]:
    """The second target; at the first one nobody listens."""
    shell = OnSocket(Service(targets[1], foreign=True))
    shell.open()
    yield shell.agent  # type: ignore[misc]  # a Service went in
    shell.close()


@pytest.fixture
async def phone(daemons: Fleet) -> AsyncIterator[OnSocket]:
    shell = OnSocket(Caller(("127.0.0.1", free_ports(1)[0]), daemons.sip))
    shell.open()
    yield shell
    shell.close()


async def place(phone: OnSocket, fleet: Fleet, uri: str, password: str) -> Attempt:
    caller = phone.agent
    assert isinstance(caller, Caller)
    caller.password = password
    attempt = caller.call(uri, phone.now)
    phone.pump()
    await phone.until(lambda: attempt.ended or attempt.statuses and attempt.statuses[-1] >= 400 and attempt.statuses[-1] != 407)
    return attempt


async def test_a_call_passes_over_the_dead_target(daemons: Fleet, service: Service, phone: OnSocket) -> None:
    application = daemons.application()
    attempt = await place(phone, daemons, application.sip_uri, application.password)
    assert attempt.statuses == [407, 100, 180, 200]
    assert attempt.ended == "local"
    assert service.ended[attempt.call_id] == "remote"
    code = f"""
from voiceapps.models import Call, CallEvent
call = Call.objects.get(application_id={application.application_id!r})
lines = list(CallEvent.objects.filter(call_id=call.call_id).values_list("leg", "first_line", "text"))
result = [call.state, call.end_reason, lines]"""
    state, reason, lines = await asyncio.to_thread(until, lambda: _ended(daemons, code), seconds=10, what="the record of the call")
    assert (state, reason) == ("disconnected", "caller_hangup")
    assert [line for leg, line, _ in lines if leg == "caller"][-2:][1] == "SIP/2.0 200 OK"
    assert any('response="***"' in text for _, _, text in lines)
    assert await asyncio.to_thread(daemons.gauge, "sipproxy", "sipuri_sip_calls") == 0


def _ended(fleet: Fleet, code: str) -> tuple[str, str, list[tuple[str, str, str]]] | None:
    found: tuple[str, str, list[tuple[str, str, str]]] = fleet.python(code)
    return found if found[0] == "disconnected" else None


async def test_a_collector_gets_every_message_of_a_call(
    daemons: Fleet, service: Service, phone: OnSocket, collector: socket.socket
) -> None:
    application = daemons.application()
    attempt = await place(phone, daemons, application.sip_uri, application.password)
    assert attempt.ended == "local"
    code = f"""
from voiceapps.models import Call, CallEvent
call = Call.objects.get(application_id={application.application_id!r})
ladder = list(CallEvent.objects.filter(call_id=call.call_id).values_list("source", "destination", "text"))
result = [call.state, call.call_id, ladder]"""
    _, call_id, ladder = await asyncio.to_thread(until, lambda: _ended(daemons, code), seconds=10, what="the record of the call")
    packets = [packet for packet in collected(collector) if packet.correlation == call_id]
    # Both came off one drawing of the message, but by different ways: the database, and the wire.
    told = [("{}:{}".format(*packet.source), "{}:{}".format(*packet.destination), packet.payload.decode()) for packet in packets]
    assert sorted(told) == sorted(tuple(line) for line in ladder)
    caller, inside = phone.agent.local, ("127.0.0.1", int(daemons.env["SIPURI_SIP_INTERNAL_BIND"].rpartition(":")[2]))
    ways = {(packet.source, packet.destination) for packet in packets}
    assert ways >= {(caller, daemons.sip), (daemons.sip, caller), (inside, service.local), (service.local, inside)}
    assert {(packet.agent_id, packet.key, packet.protocol) for packet in packets} == {(77, b"collect", 17)}
    methods = [text.split(" ")[0] for source, target, text in told if source == "{}:{}".format(*caller)]
    assert methods == ["INVITE", "ACK", "BYE"]


def collected(collector: socket.socket) -> Iterator[HepPacket]:
    """Take what has arrived; the call is in the database by now, its copies left before."""
    while True:
        try:
            yield decode(collector.recv(65_535))
        except BlockingIOError:
            return


async def test_a_rotated_password_and_a_disabled_uri_end_at_once(daemons: Fleet, service: Service, phone: OnSocket) -> None:
    application = daemons.application()
    path = f"/v2/accounts/9900000/voice-applications/{application.application_id}"
    rotated = (await asyncio.to_thread(daemons.api, "PATCH", path, {"passwordAuthEnabled": True}))["data"]
    assert (await place(phone, daemons, application.sip_uri, application.password)).statuses == [407, 401]
    assert (await place(phone, daemons, application.sip_uri, rotated["sipAuthPassword"])).statuses[-1] == 200
    await asyncio.to_thread(daemons.api, "PATCH", path, {"inboundSipCallsEnabled": False})
    assert (await place(phone, daemons, application.sip_uri, rotated["sipAuthPassword"])).statuses == [401]


async def test_noise_costs_no_call(daemons: Fleet, service: Service, phone: OnSocket) -> None:
    application = daemons.application()
    dice = random.Random(7)
    # From an address of its own: limits are per source.
    noise = OnSocket(Agent("noise", ("127.0.0.2", 0)))
    noise.open()
    invite = b"INVITE sip:x@y SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKn\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\nCSeq: 1 INVITE\r\n"
    for _ in range(500):
        damaged = bytearray(invite)
        damaged[dice.randrange(len(damaged))] = dice.randrange(256)
        for data in (bytes(damaged), dice.randbytes(dice.randrange(1, 1400)), b"\r\n\r\n"):
            noise.endpoint.send(data, daemons.sip)
    attempt = await place(phone, daemons, application.sip_uri, application.password)
    noise.close()
    assert attempt.ended == "local"


async def test_a_second_call_waits_until_the_first_is_over(daemons: Fleet, service: Service, phone: OnSocket) -> None:
    application = daemons.application()
    path = f"/v2/accounts/9900000/voice-applications/{application.application_id}"
    await asyncio.to_thread(daemons.api, "PATCH", path, {"maxConcurrentCalls": 1})
    caller = phone.agent
    assert isinstance(caller, Caller)
    caller.talk_seconds = None
    caller.password = application.password
    first = caller.call(application.sip_uri, phone.now)
    phone.pump()
    await phone.until(lambda: first.leg)

    second = await place(phone, daemons, application.sip_uri, application.password)
    assert second.statuses == [407, 480]
    assert caller.responses[-1].header("retry-after") == "5"
    seen = await asyncio.to_thread(until, lambda: _refusals(daemons, path), seconds=10, what="the refused attempt")
    assert [(entry["reason"], entry["sipStatus"], entry["count"]) for entry in seen] == [("capacity", 480, 1)]
    failed = [result for result in seen[0]["trace"] if result["verdict"] == "failed"]
    assert [(result["rule"], result["seen"]) for result in failed] == [("application_calls", "1 is up")]
    check = await asyncio.to_thread(daemons.api, "POST", f"{path}/admission-checks", {"sourceIp": "127.0.0.1"})
    assert check["data"]["reason"] == "capacity"

    assert first.leg is not None
    caller.send_inside(first.leg, "BYE", phone.now)
    phone.pump()
    await phone.until(lambda: first.ended)
    caller.talk_seconds = 1.0
    assert (await place(phone, daemons, application.sip_uri, application.password)).ended == "local"
    status = (await asyncio.to_thread(daemons.api, "GET", f"{path}/sip-status"))["data"]
    assert (status["maxConcurrentCalls"], status["last24Hours"]["refusalsByReason"]) == (1, {"capacity": 1})


def _refusals(fleet: Fleet, path: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = fleet.api("GET", f"{path}/refused-attempts")["data"]
    return found
