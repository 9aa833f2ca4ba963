from __future__ import annotations

import asyncio
from dataclasses import replace

from prometheus_client import CollectorRegistry

from sipproxy.adapters.call_log import MAX_FURTHER, MAX_GATHERED, RefusalLog
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


def test_gathering_is_bounded_and_every_attempt_is_counted() -> None:
    log, kept = make()
    for number in range(MAX_GATHERED + 10):
        log.add(replace(REFUSED, source_ip=str(number)))
    log.add(replace(REFUSED, source_ip="another", reason=Reason.DISABLED))
    log.add(replace(REFUSED, source_ip="0"))
    log.flush()
    records = [record for record in kept if isinstance(record, RefusalSeen)]
    assert [(record.source_ip, record.count) for record in records[MAX_GATHERED:]] == [("", 10), ("", 1)]
    assert (len(records), records[0].count, sum(record.count for record in records)) == (MAX_GATHERED + 2, 2, MAX_GATHERED + 12)


def test_kinds_without_a_source_are_bounded_too() -> None:
    log, kept = make()
    for number in range(MAX_GATHERED + MAX_FURTHER + 10):
        log.add(replace(REFUSED, application_id=str(number)))
    log.flush()
    assert len(kept) == MAX_GATHERED + MAX_FURTHER


async def test_refusals_are_written_each_second() -> None:
    log, kept = make()
    log.start()
    log.add(REFUSED)
    async with asyncio.timeout(10):
        while not kept:
            await asyncio.sleep(0.01)
    log.stop()
    assert len(kept) == 1
