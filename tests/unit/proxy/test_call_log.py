from __future__ import annotations

import asyncio
from dataclasses import replace

from prometheus_client import CollectorRegistry

from sipproxy.adapters.call_log import MAX_GATHERED, RefusalLog
from sipproxy.core.events import InviteRefused
from voiceapps.rules.admission import Reason
from voiceapps.rules.reports import RefusalSeen, Report

REFUSED = InviteRefused("app", "192.0.2.1", Reason.DIGEST_WRONG, 401, 10.0, "US", "user", "call", "agent", ())


def make() -> tuple[RefusalLog, list[Report]]:
    kept: list[Report] = []
    return RefusalLog(kept.append, registry=CollectorRegistry()), kept


async def test_refusals_of_one_kind_become_one_record() -> None:
    log, kept = make()
    log.start()
    for at in (10.0, 11.0, 12.0):
        log.add(replace(REFUSED, at=at))
    log.add(replace(REFUSED, reason=Reason.DISABLED))
    assert kept == []
    log.stop()
    first, second = kept
    assert isinstance(first, RefusalSeen)
    assert isinstance(second, RefusalSeen)
    assert (first.count, first.first_at, first.last_at, second.count) == (3, 10.0, 12.0, 1)


def test_gathering_is_bounded() -> None:
    log, kept = make()
    for number in range(MAX_GATHERED + 10):
        log.add(replace(REFUSED, source_ip=str(number)))
    log.flush()
    assert len(kept) == MAX_GATHERED


async def test_refusals_are_written_each_second() -> None:
    log, kept = make()
    log.start()
    log.add(REFUSED)
    async with asyncio.timeout(10):
        while not kept:
            await asyncio.sleep(0.01)
    log.stop()
    assert len(kept) == 1
