"""The runner of simulated calls in a worker's process: one event loop that waits for all backends, one database connection.

A task only wakes it. A backend that hangs costs a place of its own account, and no thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from uuid import UUID

import structlog
from django.conf import settings
from django.utils.module_loading import import_string
from prometheus_client import CollectorRegistry

from voiceapps.daemon.database import DatabaseExecutor
from voiceapps.daemon.outbound import WebhookClient
from voiceapps.loop_thread import RETRY_SECONDS, LoopThread, Work
from voiceapps.rules.call_simulation import SimulatedCall
from voiceapps.services import webhooks
from voiceapps.services.trials import simulations
from voiceapps.services.trials.simulations import DEADLINE_SECONDS, Planned

PLACES = 8
MAX_TRIES = 30
FAILED = "It could not be simulated: a fault of this system, which is in its log."

log = structlog.get_logger(__name__)

Simulate = Callable[[Planned, WebhookClient, float], Awaitable[SimulatedCall]]
"""Runs a call until its end or the deadline, in seconds; what `CALL_SIMULATION` names."""


class SimulationRunner(Work):
    """Runs what waits, whenever it is woken, until it is closed."""

    def __init__(self, simulate: Callable[[Planned], Awaitable[SimulatedCall]], database: DatabaseExecutor) -> None:
        super().__init__()
        self._simulate = simulate
        self._database = database
        self._running: dict[UUID, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Run what waits until it is closed, and leave to others what has not ended."""
        await super().run()
        await self._give_back()

    def _is_over(self) -> bool:
        return True

    async def _look(self) -> None:
        while not self._is_closing and (places := PLACES - len(self._running)):
            claimed = await self._database.write(simulations.claim, places)
            if not claimed:
                return
            for planned in claimed:
                task = asyncio.create_task(self._run(planned))
                self._running[planned.simulation_id] = task
                task.add_done_callback(partial(self._on_done, planned.simulation_id))

    async def _run(self, planned: Planned) -> None:
        try:
            call = await self._simulate(planned)
        except Exception:  # noqa: BLE001  # whatever it is, the customer waits for an end
            log.exception("simulation_failed", simulation=str(planned.simulation_id))
            call = SimulatedCall((), FAILED)
        for _ in range(MAX_TRIES):
            try:
                return await self._database.write(simulations.store, planned.simulation_id, call)
            except Exception as error:  # noqa: BLE001  # while the database is away; the sweep ends what is never stored
                log.warning("simulation_waits", error=f"{type(error).__name__}: {error}")
                await asyncio.sleep(RETRY_SECONDS)

    async def _give_back(self) -> None:
        tasks = dict(self._running)
        for task in tasks.values():
            task.cancel()
        if tasks:
            await asyncio.wait(tasks.values())
            await self._database.write(simulations.give_back, tuple(tasks))

    def _on_done(self, number: UUID, _task: asyncio.Task[None]) -> None:
        del self._running[number]
        self._woken.set()


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
