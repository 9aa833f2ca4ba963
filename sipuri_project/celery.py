"""The Celery application: `celery -A sipuri_project worker -B`."""

from __future__ import annotations

import os
import signal
import sys

from celery import Celery
from celery.signals import (
    beat_embedded_init,
    setup_logging,
    worker_init,
    worker_process_init,
    worker_process_shutdown,
    worker_ready,
    worker_shutdown,
)
from django.core.exceptions import ImproperlyConfigured

from daemonkit.orphans import end_with_parent

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sipuri_project.settings")

app = Celery("sipuri_project")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
# The daemons announce tasks from threads of their own, which see the default application only.
app.set_default()


@setup_logging.connect
def _leave_logging_alone(**_event: object) -> None:
    """Keep the logging of the settings: whoever answers this signal spares Celery from setting up its own."""


@worker_init.connect
def _begin(**_event: object) -> None:
    """Do what each role does at its start; Celery goes on after any exception but this one."""
    from sipuri_project.start.begin import begin  # noqa: PLC0415  # it needs the models

    try:
        begin()
    except ImproperlyConfigured as error:
        sys.exit(f"Configuration error: {error}")


@worker_init.connect
def _tie_processes(**_event: object) -> None:
    """Have the schedule and the pool's processes end when the worker is killed: the schedule would run twice."""
    worker = os.getpid()

    def end_with_worker(**_event: object) -> None:
        # Some pools have no processes of their own.
        if os.getpid() != worker:
            end_with_parent(signal.SIGKILL, worker)

    for signal_of_process in (beat_embedded_init, worker_process_init):
        signal_of_process.connect(end_with_worker, weak=False)


@worker_ready.connect
def _on_ready(**_event: object) -> None:
    """Report at once that the worker is there; the schedule's first beat comes only later."""
    app.send_task("voiceapps.tasks.beat")
    app.send_task("voiceapps.tasks.beat_webhooks")


@worker_process_shutdown.connect
@worker_shutdown.connect
def _on_shutdown(**_event: object) -> None:
    """Wait for the answers of the webhooks that this process has sent, and leave its other work to others."""
    from voiceapps.runners import courier, exports, placed_calls, simulations, transcriptions  # noqa: PLC0415  # they need the models

    for runner in (placed_calls.runner, simulations.runner, transcriptions.runner, exports.runner, courier.courier):
        runner.drain()
