"""Simulated calls' webhooks: the application's backend is asked as a call asks it, and told that nobody calls."""

from __future__ import annotations

import asyncio

from callflow.aio.call_work import webhook_request
from callflow.simulation.simulator import Simulation
from voiceapps.daemon.outbound import WebhookClient


async def run_simulation(simulation: Simulation, client: WebhookClient, account_id: str, *, deadline_seconds: float) -> None:
    """Run a simulation to its end; raises TimeoutError if its webhooks take longer than the deadline."""
    async with asyncio.timeout(deadline_seconds):
        while (fetch := simulation.run()) is not None:
            answer = await client.send(webhook_request(fetch, account_id, simulated=True))
            simulation.document_answered(fetch.number, answer)
