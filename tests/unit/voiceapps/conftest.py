"""What tests of daemons' access to the database share."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from prometheus_client import CollectorRegistry

from voiceapps.daemon.database import DatabaseExecutor


@pytest.fixture
async def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
async def database(registry: CollectorRegistry) -> AsyncIterator[DatabaseExecutor]:
    database = DatabaseExecutor(registry=registry)
    yield database
    await database.close()
