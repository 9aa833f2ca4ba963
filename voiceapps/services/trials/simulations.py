"""Simulated calls: what is ordered waits in a table until a worker has run it, and its transcript is kept for a day.

Like a delivery of a webhook, a simulation that the broker does not announce is found in the table. One whose worker died is not run
again: it may be what the worker died of.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from celery import current_app
from cryptography.fernet import InvalidToken
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from voiceapps.choices import SimulationState
from voiceapps.models import Account, CallSimulation, VoiceApplication
from voiceapps.rules.call_simulation import Line, LineKind, Script, SimulatedCall
from voiceapps.rules.reports import CallFacts
from voiceapps.selectors import CallApplication, as_call_application
from voiceapps.services.announcements import Announcer
from voiceapps.services.call_rows import storable
from voiceapps.services.trials.made_up_call import made_up_call

DEADLINE_SECONDS = 120.0
"""For the webhooks of one call."""
LOST = timedelta(seconds=DEADLINE_SECONDS + 30)
KEPT = timedelta(days=1)
MAX_KEPT = 200
MAX_OPEN = 20
MAX_RUNNING = 2
"""Of one account, each of the three."""
MAX_LOOKED_AT = 500
"""Simulations that one claim looks at: those of 25 accounts at least."""
UNREADABLE = "No key in SIPURI_FIELD_KEYS opens its script or its application's passwords."
NO_WORKER = "The process that ran it has ended."


class TooManyOpenError(Exception):
    """The account has too many simulations that have not ended."""


@dataclass(frozen=True, slots=True)
class Planned:
    """A call to be simulated now."""

    simulation_id: UUID
    application: CallApplication
    facts: CallFacts
    script: Script


def order(application: VoiceApplication, script: Script) -> CallSimulation:
    """Have a call to an application simulated soon; raises TooManyOpenError."""
    with transaction.atomic():
        # Two orders of one account are counted one after the other.
        Account.objects.select_for_update(no_key=True).get(pk=application.account_id)
        if _open().filter(account=application.account_id).count() >= MAX_OPEN:
            raise TooManyOpenError(application.account_id)
        _make_room(application.account_id)
        row = CallSimulation.objects.create(
            account_id=application.account_id, application=application, script=json.dumps(script.as_json()), created_at=timezone.now()
        )
        transaction.on_commit(announcer.put)
    return row


def claim(places: int) -> list[Planned]:
    """Claim as many simulations that wait as there are places, the oldest first, a few of each account."""
    with transaction.atomic():
        rows = _choose(places)
        won = [row for row in rows if _turn(row, SimulationState.WAITING, SimulationState.RUNNING, began_at=timezone.now())]
    return [planned for row in won if (planned := _plan(row)) is not None]


def give_back(simulation_ids: Iterable[UUID]) -> None:
    """Have simulations that were claimed run by another process."""
    running = CallSimulation.objects.filter(pk__in=list(simulation_ids), state=SimulationState.RUNNING)
    running.update(state=SimulationState.WAITING, began_at=None)


def store(simulation_id: UUID, call: SimulatedCall) -> None:
    """Store what came of a simulation, unless it was given up meanwhile."""
    lines = [(line.at, line.what, storable(line.text)) for line in call.transcript]
    row = CallSimulation(pk=simulation_id)
    problem = None if call.problem is None else storable(call.problem)
    ended = {"transcript": json.dumps(lines), "problem": problem, "ended_at": timezone.now()}
    _turn(row, SimulationState.RUNNING, SimulationState.ENDED, **ended)


def sweep() -> None:
    """Give up the simulations whose process has ended, and delete old ones."""
    now = timezone.now()
    lost = CallSimulation.objects.filter(state=SimulationState.RUNNING, began_at__lt=now - LOST)
    lost.update(state=SimulationState.ENDED, problem=NO_WORKER, ended_at=now)
    CallSimulation.objects.filter(created_at__lt=now - KEPT).delete()


def script_of(row: CallSimulation) -> Script:
    """Return the script of a simulation."""
    return Script.parse(json.loads(row.script))


def transcript_of(row: CallSimulation) -> list[Line]:
    """Return what was heard, asked and done, which is nothing yet if the call has not ended."""
    return [Line(at, LineKind(what), text) for at, what, text in json.loads(row.transcript or "[]")]


def _open() -> QuerySet[CallSimulation]:
    return CallSimulation.objects.exclude(state=SimulationState.ENDED)


def _make_room(account_id: str) -> None:
    """Delete the oldest simulations of an account that has as many as are kept."""
    ended = CallSimulation.objects.filter(account=account_id, state=SimulationState.ENDED)
    old = list(ended.order_by("-created_at").values_list("pk", flat=True)[MAX_KEPT - MAX_OPEN :][:MAX_KEPT])
    CallSimulation.objects.filter(pk__in=old).delete()


def _choose(places: int) -> list[CallSimulation]:
    running = Counter(CallSimulation.objects.filter(state=SimulationState.RUNNING).values_list("account", flat=True))
    full = [account for account, number in running.items() if number >= MAX_RUNNING]
    waiting = CallSimulation.objects.filter(state=SimulationState.WAITING).exclude(account__in=full).order_by("created_at")
    chosen: list[CallSimulation] = []
    for row in waiting.defer(*CallSimulation.SECRETS)[:MAX_LOOKED_AT]:
        if len(chosen) == places:
            break
        if running[row.account_id] < MAX_RUNNING:
            running[row.account_id] += 1
            chosen.append(row)
    return chosen


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


def _turn(row: CallSimulation, before: SimulationState, after: SimulationState, **values: object) -> bool:
    """Change the state of a simulation; False if another process was quicker."""
    return bool(CallSimulation.objects.filter(pk=row.pk, state=before).update(state=after, **values))


def _send() -> None:
    current_app.send_task("voiceapps.tasks.run_simulations", retry=False)


announcer = Announcer(_send)
