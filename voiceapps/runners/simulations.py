"""The runner of simulated calls in a worker's process: one event loop that waits for all backends, one database connection.

A task only wakes it. A backend that hangs costs a place of its own account, and no thread.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from uuid import UUID

import structlog
from django.conf import settings
from django.utils.module_loading import import_string
from prometheus_client import CollectorRegistry

from voiceapps.daemon.database import DatabaseExecutor
from voiceapps.daemon.outbound import WebhookClient
from voiceapps.rules.trials.call_simulation import SimulatedCall
from voiceapps.runners.loop_thread import LoopThread
from voiceapps.runners.table_work import TableWork
from voiceapps.services import webhooks
from voiceapps.services.trials import simulations
from voiceapps.services.trials.simulations import DEADLINE_SECONDS, Planned

PLACES = 8
FAILED = "It could not be simulated: a fault of this system, which is in its log."

log = structlog.get_logger(__name__)

Simulate = Callable[[Planned, WebhookClient, float], Awaitable[SimulatedCall]]
"""Runs a call until its end or the deadline, in seconds; what `CALL_SIMULATION` names."""


class SimulationRunner(TableWork[UUID, Planned, SimulatedCall]):
    """Runs the simulated calls that wait."""

    def __init__(self, simulate: Callable[[Planned], Awaitable[SimulatedCall]], database: DatabaseExecutor) -> None:
        super().__init__(PLACES)
        self._simulate = simulate
        self._database = database

    async def _claim(self, places: int) -> dict[UUID, Planned]:
        return {planned.simulation_id: planned for planned in await self._database.write(simulations.claim, places)}

    async def _carry_out(self, job: Planned) -> SimulatedCall:
        try:
            return await self._simulate(job)
        except Exception:  # noqa: BLE001  # whatever it is, the customer waits for an end
            log.exception("simulation_failed", simulation=str(job.simulation_id))
            return SimulatedCall((), FAILED)

    async def _store(self, key: UUID, result: SimulatedCall) -> None:
        await self._database.write(simulations.store, key, result)

    async def _give_back(self, keys: Collection[UUID]) -> None:
        await self._database.write(simulations.give_back, keys)


@asynccontextmanager
async def _open() -> AsyncIterator[SimulationRunner]:
    client = webhooks.new_client()
    database = DatabaseExecutor(registry=CollectorRegistry(), threads=1)
    simulate: Simulate = import_string(settings.CALL_SIMULATION)
    try:
        yield SimulationRunner(lambda planned: simulate(planned, client, DEADLINE_SECONDS), database)
    finally:
        await client.close()
        await database.close()


runner = LoopThread("simulations", _open)
