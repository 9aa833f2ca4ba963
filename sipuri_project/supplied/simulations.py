"""Simulated calls, as a call flow with the present settings would take them."""

from __future__ import annotations

import uuid

from callflow.adapters.applications import to_application
from callflow.aio.simulated_call import run_simulation
from callflow.simulation.simulator import Simulation
from sipuri_project.config import callflow_config
from voiceapps.daemon.outbound import WebhookClient
from voiceapps.rules.trials.call_simulation import SimulatedCall
from voiceapps.services.trials.simulations import Planned


async def simulate(planned: Planned, client: WebhookClient, deadline_seconds: float) -> SimulatedCall:
    """Run a call until its end, or until its webhooks have taken longer than the deadline."""
    application = to_application(planned.application)
    simulation = Simulation(planned.script, application, planned.facts, callflow_config(), lambda: str(uuid.uuid4()))
    return await run_simulation(simulation, client, planned.application.account_id, deadline_seconds=deadline_seconds)
