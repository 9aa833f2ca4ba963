"""Nodes that an operator takes out: the others get the calls, what a node holds goes on, and it comes back when it is wanted again."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import uuid
from collections.abc import Iterator

import pytest

from callflow.aio.phone import Phone, PhoneCall
from sipproxy.sip.parser import parse_message
from tests.support.backend import TestBackend
from tests.support.fleet import Application, Fleet, until

DOMAIN = "sip-uri.example"
SECONDS = 20
CALLS = 4
WAIT = '<Response><Pause duration="600"/></Response>'
TWICE = ("sipproxy", "mediarelay", "callflow")


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Fleet, Fleet]]:
    """Two hosts on one database: both have a proxy, a relay and a call flow, the first one web and DNS as well."""
    state = tmp_path_factory.mktemp("hosts")
    shared = {"SIPURI_SIP_DOMAIN": DOMAIN}
    ports = {"SIPURI_RTP_PORTS": "41000-42000", "SIPURI_RTP_INTERNAL_PORTS": "43000-44000"}
    one = Fleet(state, ("web", "sipdns", *TWICE), {**shared, "SIPURI_NODE_NAME": "one"})
    two = Fleet(state, TWICE, {**shared, **ports, "SIPURI_NODE_NAME": "two"})
    relays = ",".join(host.env["SIPURI_MEDIA_RELAYS"] for host in (one, two))
    for host in (one, two):
        host.env["SIPURI_MEDIA_RELAYS"] = relays
    try:
        one.start()
        for role in TWICE:
            two.spawn(role)
        until(two._ready, seconds=60, what="the second host")
        yield one, two
    finally:
        codes = [*two.stop().items(), *one.stop().items()]
    assert {code for _, code in codes} == {0}, codes


@pytest.fixture
def application(hosts: tuple[Fleet, Fleet], backend: TestBackend) -> Application:
    """An application whose calls wait to be hung up."""
    backend.documents["/initiate"] = WAIT
    return hosts[0].application(callback=f"{backend.url}/initiate")


async def begin(proxy: Fleet, application: Application) -> PhoneCall:
    phone = Phone(proxy=proxy.sip)
    await phone.open()
    return await phone.call(application.sip_uri, username=application.application_id, password=application.password)


def refusal(proxy: Fleet, application: Application) -> tuple[int, str | None]:
    """Send an INVITE and return the status of the answer, and after how long to come again."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as phone:
        phone.bind(("127.0.0.1", 0))
        phone.settimeout(SECONDS)
        port, call_id, uri = phone.getsockname()[1], uuid.uuid4().hex, application.sip_uri
        text = (
            f"INVITE {uri} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bK{call_id}\r\nMax-Forwards: 70\r\n"
            f"From: <sip:desk@pbx.example>;tag=f\r\nTo: <{uri}>\r\nCall-ID: {call_id}\r\nCSeq: 1 INVITE\r\n"
            f"Contact: <sip:desk@127.0.0.1:{port}>\r\nContent-Length: 0\r\n\r\n"
        )
        phone.sendto(text.encode(), proxy.sip)
        response = parse_message(phone.recv(65_535))
        return response.status, response.header("retry-after")  # type: ignore[union-attr]  # what comes back is a response


def in_dns(host: Fleet) -> set[int]:
    """Return the ports of the proxies that DNS names."""
    command = ["dig", "@127.0.0.1", "-p", str(host.dns[1]), "+short", "+tries=1", "+time=2", f"_sip._udp.{DOMAIN}", "SRV"]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False).stdout
    return {int(line.split()[2]) for line in answer.splitlines() if line.count(" ") == 3}


def takes_calls(host: Fleet, role: str) -> bool:
    return host._status(f"http://127.0.0.1:{host.metrics[role]}/ready") == 200


def state_of(host: Fleet, name: str) -> str:
    """Return the state of a node as the command lists it."""
    return next(line.split()[2] for line in host.manage("node").splitlines() if line.startswith(name))


async def test_a_proxy_that_drains_leaves_dns_and_keeps_its_calls(hosts: tuple[Fleet, Fleet], application: Application) -> None:
    one, two = hosts
    until(lambda: in_dns(one) == {one.sip[1], two.sip[1]}, seconds=SECONDS, what="both proxies in DNS")
    call = await begin(one, application)
    one.manage("node", "sipproxy-one", "drain")
    until(lambda: in_dns(one) == {two.sip[1]}, seconds=SECONDS, what="one proxy in DNS")
    until(lambda: not takes_calls(one, "sipproxy"), seconds=SECONDS, what="a proxy that drains")
    assert refusal(one, application) == (503, "5")
    assert state_of(one, "sipproxy-one") == "draining"
    other = await begin(two, application)
    await other.hang_up()
    assert not call.ended
    assert one.gauge("sipproxy", "sipuri_sip_calls") == 1
    await call.hang_up()
    until(lambda: one.gauge("sipproxy", "sipuri_sip_calls") == 0, seconds=SECONDS, what="an empty proxy")
    one.manage("node", "sipproxy-one", "resume")
    until(lambda: in_dns(one) == {one.sip[1], two.sip[1]}, seconds=SECONDS, what="both proxies in DNS again")
    until(lambda: takes_calls(one, "sipproxy"), seconds=SECONDS, what="a proxy that takes calls")
    again = await begin(one, application)
    await again.hang_up()


def test_an_empty_proxy_stays_until_sigterm_and_its_next_boot_drains(hosts: tuple[Fleet, Fleet], application: Application) -> None:
    one, two = hosts
    one.manage("node", "sipproxy-one", "drain")
    until(lambda: not takes_calls(one, "sipproxy"), seconds=SECONDS, what="a proxy that drains")
    process = one.processes["sipproxy"]
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    assert process.wait(SECONDS) == 0
    assert state_of(one, "sipproxy-one") == "down"
    one.spawn("sipproxy")
    until(lambda: state_of(one, "sipproxy-one") == "draining", seconds=SECONDS, what="the next boot")
    assert in_dns(one) == {two.sip[1]}
    assert refusal(one, application) == (503, "5")
    one.manage("node", "sipproxy-one", "resume")
    until(lambda: takes_calls(one, "sipproxy"), seconds=SECONDS, what="a proxy that takes calls")


async def test_relays_and_call_flows_that_drain_get_no_calls_and_cost_none(hosts: tuple[Fleet, Fleet], application: Application) -> None:
    one, two = hosts
    one.manage("node", "mediarelay-one", "callflow-two", "drain")
    until(lambda: not takes_calls(one, "mediarelay"), seconds=SECONDS, what="a relay that drains")
    until(lambda: not takes_calls(two, "callflow"), seconds=SECONDS, what="a call flow that drains")
    calls = [await begin(proxy, application) for proxy in hosts for _ in range(CALLS)]
    assert one.gauge("mediarelay", "sipuri_relay_sessions") == two.gauge("callflow", "sipuri_callflow_calls") == 0
    assert two.gauge("mediarelay", "sipuri_relay_sessions") == one.gauge("callflow", "sipuri_callflow_calls") == 2 * CALLS
    one.manage("node", "*", "resume")
    until(lambda: takes_calls(one, "mediarelay") and takes_calls(two, "callflow"), seconds=SECONDS, what="nodes that take calls")
    async with asyncio.timeout(SECONDS):
        while not (one.gauge("mediarelay", "sipuri_relay_sessions") and two.gauge("callflow", "sipuri_callflow_calls")):
            calls.append(await begin(one, application))
    for call in calls:
        assert not call.ended
        await call.hang_up()
