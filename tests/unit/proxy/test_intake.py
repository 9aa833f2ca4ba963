"""The two queues in front of the proxy core."""

from __future__ import annotations

import asyncio

from daemonkit.address import Address
from sipproxy.aio.intake import Intake
from sipproxy.aio.limits import MAX_WAITING_KNOWN, MAX_WAITING_STRANGERS
from sipproxy.transactions.listener import Listener
from tests.unit.proxy.harness import UDP

KNOWN, STRANGER = "198.51.100.7", "192.0.2.1"
Handled = list[tuple[str, bytes]]


def intake() -> tuple[Intake, Handled, list[str]]:
    handled: Handled = []
    full: list[str] = []

    def handle(_listener: Listener, data: bytes, address: Address, passed_at: int) -> None:
        assert passed_at == 7
        handled.append((address[0], data))

    return Intake(handle=handle, is_known=lambda source_ip: source_ip == KNOWN, on_full=full.append), handled, full


def put(line: Intake, source_ip: str, *numbers: int) -> None:
    for number in numbers:
        line.put(UDP, b"%d" % number, (source_ip, 5060), 7)


async def all_of(line: Intake) -> None:
    while line:
        await asyncio.sleep(0)


async def test_datagrams_are_handled_in_their_order() -> None:
    line, handled, _ = intake()
    put(line, STRANGER, *range(20))
    assert handled == []
    await all_of(line)
    assert handled == [(STRANGER, b"%d" % number) for number in range(20)]


async def test_known_callers_go_first() -> None:
    line, handled, _ = intake()
    put(line, STRANGER, *range(50))
    put(line, KNOWN, 1, 2)
    await all_of(line)
    assert handled[:3] == [(KNOWN, b"1"), (KNOWN, b"2"), (STRANGER, b"0")]


async def test_the_socket_is_read_between_the_turns() -> None:
    line, handled, _ = intake()
    put(line, STRANGER, *range(50))
    seen = []
    while line:
        await asyncio.sleep(0)
        seen.append(len(handled))
    assert len(seen) > 10
    assert max(after - before for before, after in zip([0, *seen], seen, strict=False)) <= 4


async def test_both_queues_are_bounded_and_sources_that_find_them_full_are_counted() -> None:
    line, handled, full = intake()
    put(line, STRANGER, *range(MAX_WAITING_STRANGERS + 10))
    put(line, KNOWN, *range(MAX_WAITING_KNOWN + 5))
    assert (len(line), full) == (MAX_WAITING_STRANGERS + MAX_WAITING_KNOWN, [STRANGER] * 10 + [KNOWN] * 5)
    await all_of(line)
    assert len(handled) == MAX_WAITING_STRANGERS + MAX_WAITING_KNOWN
    put(line, STRANGER, 1)
    await all_of(line)
    assert handled[-1] == (STRANGER, b"1")
