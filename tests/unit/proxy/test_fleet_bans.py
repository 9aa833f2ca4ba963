"""Two proxies, their adapters and one database: they share their bans, and an operator lifts a ban at both."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence

import pytest
from django.db import OperationalError
from prometheus_client import CollectorRegistry

from sipproxy.adapters import bans as adapter
from sipproxy.adapters.bans import FleetBans
from sipproxy.admission.bans import BanBook
from sipproxy.admission.limits import BAN_SCORE
from tests.unit.proxy.harness import ProxyHarness
from voiceapps.daemon.database import DatabaseExecutor
from voiceapps.models import Ban
from voiceapps.rules.bans import BanReason
from voiceapps.rules.reports import SourceBanned
from voiceapps.selectors import SourceRules
from voiceapps.services import bans
from voiceapps.services.audit import Actor
from voiceapps.services.reports import write_reports

SOURCE = "198.51.100.7"
OPERATOR = Actor("operator test")


@pytest.fixture
async def database() -> AsyncIterator[DatabaseExecutor]:
    database = DatabaseExecutor(registry=CollectorRegistry())
    yield database
    await database.close()


def proxy(database: DatabaseExecutor) -> tuple[ProxyHarness, FleetBans]:
    harness = ProxyHarness()
    # The harness's clock starts in 2023; in the database the ban ends as many seconds from now.
    epoch = 1_700_000_000

    def take(found: Sequence[SourceBanned]) -> None:
        offset = time.time() - epoch - harness.now
        shifted = [SourceBanned(ban.source_ip, ban.reason, ban.node, ban.at - offset, ban.until - offset) for ban in found]
        harness.core.replace_bans(shifted, harness.now)

    return harness, FleetBans(database, take, harness.trusted.replace)


def learned() -> SourceBanned:
    book = BanBook(is_trusted=lambda _source_ip: False)
    ban = book.count(SOURCE, BAN_SCORE + 1, 0.0)
    assert ban is not None
    return SourceBanned(SOURCE, ban.reason, "sipproxy-one", time.time() + ban.at, time.time() + ban.until)


@pytest.mark.django_db(transaction=True)
async def test_a_ban_reaches_the_other_proxy_and_is_lifted_at_both(database: DatabaseExecutor) -> None:
    proxies = [proxy(database), proxy(database)]
    await database.write(write_reports, [learned()])
    for harness, fleet in proxies:
        await fleet.refresh()
        assert harness.core.is_banned(SOURCE, harness.now)
    await database.write(lambda: bans.lift(Ban.objects.get(), actor=OPERATOR))
    for harness, fleet in proxies:
        await fleet.refresh()
        assert not harness.core.is_banned(SOURCE, harness.now)


@pytest.mark.django_db(transaction=True)
async def test_a_range_that_an_operator_trusts_is_trusted_by_every_proxy(database: DatabaseExecutor) -> None:
    proxies = [proxy(database), proxy(database)]
    await database.write(write_reports, [learned()])
    for harness, fleet in proxies:
        await fleet.refresh()
        assert harness.core.is_banned(SOURCE, harness.now)
    row = await database.write(lambda: bans.trust(f"{SOURCE}/32", "the trunk", actor=OPERATOR))
    for harness, fleet in proxies:
        await fleet.refresh()
        assert harness.trusted(SOURCE)
        assert not harness.core.is_banned(SOURCE, harness.now)
    await database.write(lambda: bans.distrust(row, actor=OPERATOR))
    for harness, fleet in proxies:
        await fleet.refresh()
        assert not harness.trusted(SOURCE)


@pytest.mark.django_db(transaction=True)
async def test_a_proxy_that_starts_knows_the_bans_at_once(database: DatabaseExecutor) -> None:
    await database.write(lambda: bans.place(SOURCE, 5, actor=OPERATOR))
    harness, fleet = proxy(database)
    await fleet.start()
    fleet.stop()
    assert harness.core.is_banned(SOURCE, harness.now + 299)
    assert not harness.core.is_banned(SOURCE, harness.now + 301)


async def test_an_unavailable_database_lifts_no_ban(database: DatabaseExecutor, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> SourceRules:
        raise OperationalError("the server went away")

    harness, fleet = proxy(database)
    at = 1_700_000_000 + harness.now
    harness.core.replace_bans([SourceBanned(SOURCE, BanReason.OPERATOR, "", at, at + 60)], harness.now)
    monkeypatch.setattr(adapter, "source_rules", broken)
    await fleet.refresh()
    assert harness.core.is_banned(SOURCE, harness.now)


async def test_it_reads_by_itself_until_it_is_stopped(database: DatabaseExecutor, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[int] = []
    twice = asyncio.Event()

    def take(_bans: Sequence[SourceBanned]) -> None:
        told.append(1)
        if len(told) > 1:
            twice.set()

    monkeypatch.setattr(adapter, "source_rules", lambda: SourceRules((), ()))
    monkeypatch.setattr(adapter, "REFRESH_SECONDS", 0)
    fleet = FleetBans(database, take, lambda _ranges: None)
    await fleet.start()
    async with asyncio.timeout(10):
        await twice.wait()
    fleet.stop()
