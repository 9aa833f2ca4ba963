"""Simulated calls' webhooks: the application's backend is asked as a call asks it, and told that nobody calls."""

from __future__ import annotations

import asyncio

from callflow.aio.call_work import webhook_request
from callflow.simulation.simulator import Simulation
from voiceapps.daemon.outbound import WebhookClient
from voiceapps.rules.trials.call_simulation import SimulatedCall


async def run_simulation(simulation: Simulation, client: WebhookClient, account_id: str, *, deadline_seconds: float) -> SimulatedCall:
    """Run a simulation to its end, or until its webhooks have taken longer than the deadline."""
    try:
        async with asyncio.timeout(deadline_seconds):
            while (fetch := simulation.run()) is not None:
                answer = await client.send(webhook_request(fetch, account_id, simulated=True))
                simulation.document_answered(fetch.number, answer)
    except TimeoutError:
        return simulation.result(f"Its webhooks took longer than {deadline_seconds:g} s.")
    return simulation.result()
