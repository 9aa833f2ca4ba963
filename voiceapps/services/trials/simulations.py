"""Simulated calls: what is ordered waits in a table until a worker has run it, and its transcript is kept for a day."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from celery import current_app
from cryptography.fernet import InvalidToken
from django.db import transaction
from django.utils import timezone

from voiceapps.models import CallSimulation, VoiceApplication
from voiceapps.rules.reports import CallFacts
from voiceapps.rules.trials.call_simulation import Line, LineKind, Script, SimulatedCall
from voiceapps.selectors import CallApplication, as_call_application
from voiceapps.services import audit
from voiceapps.services.announcements import Announcer
from voiceapps.services.audit import Actor
from voiceapps.services.call_rows import storable
from voiceapps.services.trials.made_up_call import made_up_call
from voiceapps.services.trials.trial_table import NO_WORKER, TrialTable

DEADLINE_SECONDS = 120.0
"""For the webhooks of one call."""
MAX_KEPT = 200
MAX_OPEN = 20
MAX_RUNNING = 2
TABLE = TrialTable(CallSimulation, MAX_KEPT, MAX_OPEN, MAX_RUNNING, timedelta(seconds=DEADLINE_SECONDS + 30))
UNREADABLE = "No key in SIPURI_FIELD_KEYS opens its script or its application's passwords."


@dataclass(frozen=True, slots=True)
class Planned:
    """A call to be simulated now."""

    simulation_id: UUID
    application: CallApplication
    facts: CallFacts
    script: Script


def order(application: VoiceApplication, script: Script, *, actor: Actor) -> CallSimulation:
    """Have a call to an application simulated soon; raises TooManyOpenError."""
    with transaction.atomic():
        TABLE.make_room(application.account_id)
        row = CallSimulation.objects.create(
            account_id=application.account_id, application=application, script=json.dumps(script.as_json()), created_at=timezone.now()
        )
        changes: dict[str, object] = {"simulation": str(row.pk)}
        audit.record(actor, "application.simulate_call", str(application.pk), changes, account=application.account_id)
        transaction.on_commit(announcer.put)
    return row


def claim(places: int) -> list[Planned]:
    """Claim as many simulations that wait as there are places, the oldest first, a few of each account."""
    return [planned for row in TABLE.claim(places) if (planned := _plan(row)) is not None]


def give_back(simulation_ids: Iterable[UUID]) -> None:
    """Have simulations that were claimed run by another process."""
    TABLE.give_back(simulation_ids)


def store(simulation_id: UUID, call: SimulatedCall) -> None:
    """Store what came of a simulation, unless it was given up meanwhile."""
    lines = [(line.at, line.what, storable(line.text)) for line in call.transcript]
    problem = None if call.problem is None else storable(call.problem)
    TABLE.end(simulation_id, transcript=json.dumps(lines), problem=problem)


def sweep() -> None:
    """Give up the simulations whose process has ended, and delete old ones."""
    TABLE.sweep(problem=NO_WORKER)


def script_of(row: CallSimulation) -> Script:
    """Return the script of a simulation."""
    return Script.parse(json.loads(row.script))


def transcript_of(row: CallSimulation) -> list[Line]:
    """Return what was heard, asked and done, which is nothing yet if the call has not ended."""
    return [Line(at, LineKind(what), text) for at, what, text in json.loads(row.transcript or "[]")]


def _plan(row: CallSimulation) -> Planned | None:
    """Return what a claimed simulation needs; what no key opens is ended."""
    try:
        row = CallSimulation.objects.select_related("application").get(pk=row.pk)
        script = script_of(row)
        return Planned(row.pk, as_call_application(row.application), made_up_call(row.application, script.caller), script)
    except CallSimulation.DoesNotExist:
        return None
    except InvalidToken:
        store(row.pk, SimulatedCall((), UNREADABLE))
        return None


def _send() -> None:
    current_app.send_task("voiceapps.tasks.run_simulations", retry=False)


announcer = Announcer(_send)
