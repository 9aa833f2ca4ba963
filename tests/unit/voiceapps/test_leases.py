"""Leases: of several schedules, one has a periodic task done."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from voiceapps import tasks
from voiceapps.models import TaskLease
from voiceapps.services import calls, leases

pytestmark = pytest.mark.django_db


def test_one_has_it_until_it_ends() -> None:
    assert leases.take("sweep", 60)
    assert not leases.take("sweep", 60)
    assert leases.take("another", 60)
    TaskLease.objects.filter(name="sweep").update(until=timezone.now() - timedelta(seconds=1))
    assert leases.take("sweep", 60)
    assert not leases.take("sweep", 60)


def test_a_clock_that_is_set_back_stops_no_task() -> None:
    assert leases.take("sweep", 60)
    TaskLease.objects.filter(name="sweep").update(until=timezone.now() + timedelta(hours=1))
    assert leases.take("sweep", 60)
    assert not leases.take("sweep", 60)


def test_a_second_schedule_doubles_no_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    swept: list[None] = []
    monkeypatch.setattr(calls, "sweep", lambda _: swept.append(None))
    tasks.sweep_calls()
    tasks.sweep_calls()
    assert len(swept) == 1
    period = TaskLease.objects.get(name="sweep_calls").until - timezone.now()
    assert timedelta(seconds=8) < period < timedelta(seconds=10)
