"""The Celery application: `celery -A sipuri_project worker -B`."""

from __future__ import annotations

import os

from celery import Celery
from celery.signals import setup_logging, worker_ready

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sipuri_project.settings")

app = Celery("sipuri_project")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
# The daemons announce tasks from threads of their own, which see the default application only.
app.set_default()


@setup_logging.connect
def _leave_logging_alone(**_event: object) -> None:
    """Keep the logging of the settings: whoever answers this signal spares Celery from setting up its own."""


@worker_ready.connect
def _on_ready(**_event: object) -> None:
    """Report at once that the worker is there; the schedule's first beat comes only later."""
    app.send_task("voiceapps.tasks.beat")
