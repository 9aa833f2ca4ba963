"""Simulated calls in their table: claimed once, a few of each account, kept for a day."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from cryptography.fernet import Fernet
from django.utils import timezone
from pytest_django.fixtures import Settings

from tests.unit.voiceapps.builders import ACTOR, application
from voiceapps.models import CallSimulation, VoiceApplication
from voiceapps.rules.trials.call_simulation import Line, LineKind, Script, SimulatedCall
from voiceapps.services.trials import simulations
from voiceapps.services.trials.simulations import MAX_KEPT, MAX_OPEN, MAX_RUNNING, UNREADABLE
from voiceapps.services.trials.trial_table import NO_WORKER, TooManyOpenError

pytestmark = pytest.mark.django_db
SCRIPT = Script.parse({"from": "sip:bob@example.org", "turns": [{"digits": "7"}, {"words": "call me"}], "hangUpAt": 9})
CALL = SimulatedCall((Line(0.0, LineKind.ARRIVED, "from sip:bob@example.org"), Line(1.5, LineKind.SAYS, "nul: \0")), None)


@pytest.fixture
def row() -> VoiceApplication:
    return application(callback_username="u", callback_password="p")


def ordered(row: VoiceApplication, count: int = 1) -> list[UUID]:
    return [simulations.order(row, SCRIPT, actor=ACTOR).pk for _ in range(count)]


def shift(**since: object) -> None:
    """Make all simulations older."""
    ago = timezone.now() - timedelta(**since)  # type: ignore[arg-type]  # its units
    CallSimulation.objects.update(created_at=ago, began_at=ago)


def test_what_is_ordered_is_claimed_once_with_all_that_it_needs(row: VoiceApplication) -> None:
    (number,) = ordered(row)
    (planned,) = simulations.claim(8)
    assert (planned.simulation_id, planned.script) == (number, SCRIPT)
    assert (planned.application.username, planned.application.password) == ("u", "p")
    assert planned.facts.from_uri == "sip:bob@example.org"
    assert simulations.claim(8) == []


def test_what_came_of_it_is_read_as_it_was(row: VoiceApplication) -> None:
    (number,) = ordered(row)
    simulations.store(number, CALL)
    assert CallSimulation.objects.get().state == "waiting"
    simulations.claim(8)
    simulations.store(number, CALL)
    stored = CallSimulation.objects.get()
    assert (stored.state, stored.problem) == ("ended", None)
    assert simulations.transcript_of(stored) == [CALL.transcript[0], Line(1.5, LineKind.SAYS, "nul: \\0")]
    assert simulations.script_of(stored) == SCRIPT


def test_an_account_has_a_few_places_and_leaves_the_others(row: VoiceApplication) -> None:
    first = ordered(row, MAX_RUNNING + 2)
    (others,) = ordered(application("9900001"))
    claimed = [planned.simulation_id for planned in simulations.claim(8)]
    assert claimed == [*first[:MAX_RUNNING], others]
    assert simulations.claim(8) == []
    simulations.store(first[0], CALL)
    assert [planned.simulation_id for planned in simulations.claim(8)] == [first[MAX_RUNNING]]


def test_no_more_are_claimed_than_there_are_places() -> None:
    for number in range(3):
        ordered(application(f"990000{number}"))
    assert len(simulations.claim(2)) == 2
    assert len(simulations.claim(2)) == 1


def test_an_account_may_order_only_so_many(row: VoiceApplication) -> None:
    ordered(row, MAX_OPEN)
    with pytest.raises(TooManyOpenError):
        ordered(row)
    ordered(application("9900001"))
    simulations.store(simulations.claim(1)[0].simulation_id, CALL)
    ordered(row)


def test_the_oldest_of_an_account_make_room(row: VoiceApplication, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulations, "TABLE", replace(simulations.TABLE, max_kept=MAX_OPEN + 3))
    numbers = []
    for _ in range(5):
        numbers += ordered(row)
        simulations.store(simulations.claim(1)[0].simulation_id, CALL)
    waiting = ordered(row)
    assert set(CallSimulation.objects.values_list("pk", flat=True)) == {*numbers[-3:], *waiting}
    assert MAX_KEPT > MAX_OPEN


def test_what_is_given_back_is_claimed_again(row: VoiceApplication) -> None:
    numbers = ordered(row, 2)
    simulations.claim(8)
    simulations.store(numbers[0], CALL)
    simulations.give_back(numbers)
    assert [planned.simulation_id for planned in simulations.claim(8)] == numbers[1:]


def test_one_whose_worker_died_is_given_up_and_never_runs_again(row: VoiceApplication) -> None:
    (number,) = ordered(row)
    simulations.claim(8)
    simulations.sweep()
    assert CallSimulation.objects.get().state == "running"
    shift(minutes=5)
    simulations.sweep()
    simulations.store(number, CALL)
    stored = CallSimulation.objects.get()
    assert (stored.state, stored.problem) == ("ended", NO_WORKER)
    assert simulations.claim(8) == []


def test_old_ones_are_deleted(row: VoiceApplication) -> None:
    ordered(row)
    shift(hours=23)
    simulations.sweep()
    assert CallSimulation.objects.exists()
    shift(hours=25)
    simulations.sweep()
    assert not CallSimulation.objects.exists()


def test_what_no_key_opens_ends_and_stops_no_other(row: VoiceApplication, settings: Settings) -> None:
    (number,) = ordered(row)
    settings.SIPURI_FIELD_KEYS = (Fernet.generate_key().decode(),)
    (other,) = ordered(application("9900001"))
    assert [planned.simulation_id for planned in simulations.claim(8)] == [other]
    problem = CallSimulation.objects.values_list("problem", flat=True).get(pk=number)
    assert problem == UNREADABLE


def test_a_deleted_application_takes_its_simulations_along(row: VoiceApplication) -> None:
    (number,) = ordered(row)
    simulations.claim(8)
    row.delete()
    simulations.store(number, CALL)
    assert not CallSimulation.objects.exists()
