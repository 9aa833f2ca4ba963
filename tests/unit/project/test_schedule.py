"""The schedule of periodic tasks, and a clock that is set back."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from celery import Celery
from celery.beat import Service
from celery.schedules import BaseSchedule

from sipuri_project.celery import app as ours
from sipuri_project.schedule import SteadyScheduler

SHORT, LONG = timedelta(seconds=5), timedelta(hours=1)


class Clock:
    """A clock that stands until it is set."""

    def __init__(self) -> None:
        self.time = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Recorded(SteadyScheduler):
    """A schedule that notes what it would have sent."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self.sent: list[str] = []
        super().__init__(*args, **options)

    def apply_entry(self, entry: Any, producer: Any = None) -> None:
        self.sent.append(entry.name)

    producer: Any = None

    def run(self) -> list[str]:
        """Return what is sent now."""
        self.sent = []
        while self.tick() == 0:
            pass
        return sorted(self.sent)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(BaseSchedule, "now", lambda _: clock.time)
    return clock


@pytest.fixture
def app() -> Celery:
    app = Celery("test", set_as_current=False)
    app.conf.beat_schedule = {name: {"task": name, "schedule": period} for name, period in {"short": SHORT, "long": LONG}.items()}
    app.conf.result_expires = 0
    return app


@pytest.fixture
def schedule(clock: Clock, app: Celery, tmp_path: Path) -> Iterator[Recorded]:
    schedule = started(app, tmp_path)
    yield schedule
    schedule.close()


def started(app: Celery, directory: Path) -> Recorded:
    return Recorded(app, schedule_filename=str(directory / "beat"))


def test_tasks_are_sent_by_their_periods(clock: Clock, schedule: Recorded) -> None:
    assert schedule.run() == []
    clock.time += SHORT
    assert schedule.run() == ["short"]
    assert schedule.run() == []
    clock.time += LONG
    assert schedule.run() == ["long", "short"]


@pytest.mark.parametrize("back", [SHORT, timedelta(hours=3), timedelta(days=400)])
def test_a_clock_that_is_set_back_costs_one_period(clock: Clock, schedule: Recorded, back: timedelta) -> None:
    clock.time += LONG
    schedule.run()
    clock.time -= back
    assert schedule.run() == []
    clock.time += SHORT
    assert schedule.run() == ["short"]
    clock.time += LONG
    assert schedule.run() == ["long", "short"]


def test_so_does_one_that_was_set_back_while_nothing_ran(clock: Clock, app: Celery, schedule: Recorded, tmp_path: Path) -> None:
    clock.time += LONG
    schedule.run()
    schedule.close()
    clock.time -= timedelta(hours=3)
    later = started(app, tmp_path)
    later.run()
    clock.time += SHORT
    assert later.run() == ["short"]
    later.close()


def test_each_way_to_start_it_has_this_schedule() -> None:
    assert ours.conf.beat_scheduler == "sipuri_project.schedule:SteadyScheduler"
    # `celery worker -B`, which `runall` starts too, and `celery beat`.
    worker, beat = cast("Any", ours.Worker(beat=True)), cast("Any", ours.Beat())
    for named in (worker.scheduler, beat.scheduler_cls):
        assert isinstance(Service(ours, scheduler_cls=named).get_scheduler(lazy=True), SteadyScheduler)
