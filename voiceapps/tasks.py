"""Celery's tasks: each takes ids and calls services, nothing else."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from typing import cast

from celery import shared_task
from django.conf import settings
from django.utils import timezone

from voiceapps.rules.reports import NodeBeat, Role
from voiceapps.runners.courier import courier
from voiceapps.runners.exports import runner as export_runner
from voiceapps.runners.placed_calls import runner as phone_runner
from voiceapps.runners.simulations import runner as simulation_runner
from voiceapps.runners.transcriptions import runner as transcription_runner
from voiceapps.services import call_orders, calls, clients, idempotency, leases, nodes, recordings, refusals
from voiceapps.services.delivery import failing_hosts, waits
from voiceapps.services.diagnosis import exports
from voiceapps.services.figures import minutes
from voiceapps.services.people import operators
from voiceapps.services.transcriptions import claims
from voiceapps.services.trials import placed_calls, simulations

LEASED_PART = 0.9
"""Of a task's period: the schedule that has the lease comes a little late or early."""
SETTLE_SECONDS = 6.0
"""In which each living node beats, also where it had lost the database: it may wait five seconds to connect, and one between two tries."""


def _periodic(function: Callable[[], None]) -> Callable[[], None]:
    """Make a task of what the schedule repeats; it does nothing where another schedule has just had it done."""

    @wraps(function)
    def run() -> None:
        if leases.take(function.__name__, LEASED_PART * _seconds_of(function.__name__)):
            function()

    return shared_task(run)


def _seconds_of(name: str) -> float:
    entries = settings.CELERY_BEAT_SCHEDULE.values()
    return next(cast("float", entry["schedule"]) for entry in entries if entry["task"] == f"{__name__}.{name}")


@shared_task
def send_webhooks() -> None:
    """Have the deliveries that are due sent; it returns at once."""
    courier.wake()


@shared_task
def beat_webhooks() -> None:
    """Store the heartbeat of the process that sends webhooks, if it is well."""
    courier.wake()
    if courier.is_well():
        _beat("webhooks")


@shared_task
def run_simulations() -> None:
    """Have the simulated calls that wait run; it returns at once."""
    simulation_runner.wake()


@_periodic
def sweep_simulations() -> None:
    """Give up the simulated calls whose worker has ended, and delete old ones."""
    simulations.sweep()


@shared_task
def run_placed_calls() -> None:
    """Have the calls that our own phone is to place placed; it returns at once."""
    phone_runner.wake()


@_periodic
def sweep_placed_calls() -> None:
    """Give up the placed calls whose worker has ended, and delete old ones."""
    placed_calls.sweep()


@shared_task
def run_exports() -> None:
    """Have the files of calls that wait written; it returns at once."""
    export_runner.wake()


@_periodic
def sweep_exports() -> None:
    """Delete files of calls that are older than a day."""
    exports.sweep()


@shared_task
def run_transcriptions() -> None:
    """Have the recordings that wait written down; it returns at once."""
    transcription_runner.wake()


@_periodic
def sweep_transcriptions() -> None:
    """Give back the transcriptions whose worker has died, and fail those that have had their tries."""
    claims.sweep()


@_periodic
def sweep_calls() -> None:
    """End the calls whose node is silent."""
    calls.sweep(SETTLE_SECONDS)


@_periodic
def sweep_recordings() -> None:
    """Give up the files of recordings that nobody completes any more."""
    recordings.sweep()


@_periodic
def sweep_orders() -> None:
    """Delete the orders for calls that nobody waits for any more."""
    call_orders.sweep()


@_periodic
def sweep_messages() -> None:
    """Delete SIP messages that are older than `SIPURI_MESSAGE_STORE_DAYS`."""
    calls.sweep_messages(timedelta(days=settings.MESSAGE_STORE_DAYS))


@_periodic
def sweep_refusals() -> None:
    """Delete refused attempts that are older than `SIPURI_REFUSAL_STORE_DAYS`, and those of an application that has too many."""
    refusals.sweep(timedelta(days=settings.REFUSAL_STORE_DAYS))


@_periodic
def roll_up() -> None:
    """Compute the figures of the minutes of which something was written."""
    minutes.roll_up()


@_periodic
def sweep_figures() -> None:
    """Delete the figures of minutes that are older than `SIPURI_FIGURE_STORE_DAYS`."""
    minutes.sweep(timedelta(days=settings.FIGURE_STORE_DAYS))


@_periodic
def sweep_tokens() -> None:
    """Delete the access tokens that have expired."""
    clients.sweep_tokens()


@_periodic
def sweep_sessions() -> None:
    """Delete the operators' sessions that have ended by themselves."""
    operators.sweep_sessions()


@_periodic
def sweep_idempotent_answers() -> None:
    """Delete the answers to Idempotency-Keys that have expired."""
    idempotency.sweep()


@_periodic
def shorten_waits() -> None:
    """Make due the deliveries that wait because the clock was set back."""
    waits.shorten()


@_periodic
def sweep_failing_hosts() -> None:
    """Forget the hosts to which nothing was sent for a day."""
    failing_hosts.sweep()


@shared_task
def beat() -> None:
    """Store the heartbeat of the process that runs periodic tasks."""
    _beat("worker")


def _beat(role: Role) -> None:
    nodes.beat(
        NodeBeat(
            role=role,
            name=f"{role}-{settings.NODE_NAME}",
            at=timezone.now().timestamp(),
            state="up",
            public_address="",
            internal_address="",
            load=0,
            metrics_address="",
        )
    )
