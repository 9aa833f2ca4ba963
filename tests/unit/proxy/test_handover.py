from __future__ import annotations

import asyncio
import socket
from dataclasses import replace

import pytest

from sipproxy.admission.nonces import Claim
from sipproxy.aio import handover
from sipproxy.aio.handover import HANDOVER, Handover
from sipproxy.aio.sharing import shared_sockets
from sipproxy.transactions.branches import make_branch, worker_of
from sipproxy.transactions.listener import Listener
from tests.support.fleet import free_ports
from tests.support.sip import make_request
from tests.unit.proxy.harness import CONFIG, INTERNAL, TCP, UDP

LISTENERS = (UDP, TCP, INTERNAL)


def response(worker: int, *, above: str = "") -> bytes:
    branch = make_branch(make_request(branch="z9hG4bKx"), key=b"k", random="0" * 16, worker=worker)
    return f"SIP/2.0 200 OK\r\n{above}v : SIP/2.0/UDP 203.0.113.5:6160 ;rport; Branch={branch}\r\nVia: x;branch=z\r\n\r\n".encode()


def never(claim: Claim) -> bool:
    raise AssertionError(claim)


def test_a_branch_names_its_worker() -> None:
    request = make_request(branch="z9hG4bKx")
    for worker in (0, 7, 255):
        assert worker_of(make_branch(request, key=b"k", random="f" * 20, worker=worker)) == worker
    assert worker_of("z9hG4bKshort") is None
    assert worker_of("z9hG4bKzz" + "0" * 34) is None


async def test_a_response_goes_to_the_worker_that_waits_for_it() -> None:
    got: asyncio.Queue[tuple[Listener, bytes]] = asyncio.Queue()
    own, way = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    for end in (own, way):
        end.setblocking(False)
    first, second = (Handover(worker, LISTENERS, lambda *found: got.put_nowait(found), never) for worker in (0, 1))
    first.start({f"{HANDOVER}-1": way})
    second.start({HANDOVER: own})
    assert first.take(TCP, response(1, above="To: <sip:a>;branch=z9hG4bK00\r\n"))
    assert await asyncio.wait_for(got.get(), 5) == (TCP, response(1, above="To: <sip:a>;branch=z9hG4bK00\r\n"))
    assert first.handed_over == 1
    for kept in (response(0), response(2), b"OPTIONS sip:a SIP/2.0\r\n\r\n", b"SIP/2.0 200 OK\r\n\r\n", b"SIP/2.0 "):
        assert not first.take(UDP, kept)
    assert not second.take(UDP, response(0))
    first.stop()
    second.stop()


CLAIM = Claim("nonce", 7, ("call\udcff", "2 INVITE", "z9hG4bKa"), 1)


class Pair:
    """Two workers with sockets to each other; the second one grants what `grants` holds."""

    def __init__(self) -> None:
        self.asked: list[Claim] = []
        self.grants = True
        ends = [socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(2)]
        for end in (end for pair in ends for end in pair):
            end.setblocking(False)
        self.one, self.other = (Handover(worker, LISTENERS, lambda *_found: None, self.grant) for worker in (0, 1))
        self.one.start({HANDOVER: ends[0][0], f"{HANDOVER}-1": ends[1][1]})
        self.other.start({HANDOVER: ends[1][0], f"{HANDOVER}-0": ends[0][1]})

    def grant(self, claim: Claim) -> bool:
        self.asked.append(claim)
        return self.grants

    def stop(self) -> None:
        self.one.stop()
        self.other.stop()


@pytest.mark.parametrize("grants", [True, False])
async def test_a_claim_goes_to_the_worker_that_made_the_nonce(grants: bool) -> None:
    pair = Pair()
    pair.grants = grants
    answers: asyncio.Queue[bool | None] = asyncio.Queue()
    pair.one.ask(CLAIM, answers.put_nowait)
    assert await asyncio.wait_for(answers.get(), 5) is grants
    assert pair.asked == [CLAIM]
    pair.stop()


async def test_a_claim_for_a_worker_that_there_is_not_has_no_answer() -> None:
    pair = Pair()
    answers: list[bool | None] = []
    pair.one.ask(replace(CLAIM, worker=2), answers.append)
    pair.one.ask(replace(CLAIM, worker=None), answers.append)
    assert answers == [None, None]
    pair.stop()


async def test_lost_claims_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handover, "MAX_CLAIMS_ASKED", 2)
    pair = Pair()
    answers: asyncio.Queue[str] = asyncio.Queue()
    for name in "abc":
        pair.one.ask(CLAIM, lambda _granted, name=name: answers.put_nowait(name))  # type: ignore[misc]  # it is called with one
    assert [await asyncio.wait_for(answers.get(), 5) for _ in range(2)] == ["b", "c"]
    pair.stop()


@pytest.mark.parametrize("workers", [2, 3])
def test_workers_share_the_outside_and_have_an_inside_each(workers: int) -> None:
    outside, *inside = (("127.0.0.1", port) for port in free_ports(1 + workers))
    external = (replace(UDP, bind=outside), replace(TCP, bind=outside))
    configs = [
        replace(CONFIG, worker=number, external=external, internal=replace(INTERNAL, bind=inside[number])) for number in range(workers)
    ]
    found = shared_sockets(configs)
    for number, sockets in enumerate(found):
        ways = {f"{HANDOVER}-{other}" for other in range(workers) if other != number}
        assert set(sockets) == {"external-udp-0", "external-tcp-0", "internal-udp-0", HANDOVER} | ways
        assert sockets["external-udp-0"].getsockname() == outside
        assert sockets["internal-udp-0"].getsockname() == inside[number]
    for sock in {sock for sockets in found for sock in sockets.values()}:
        sock.close()
