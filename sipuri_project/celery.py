"""The Celery application: `celery -A sipuri_project worker -B`."""

from __future__ import annotations

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sipuri_project.settings")

app = Celery("sipuri_project")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
# The daemons announce tasks from threads of their own, which see the default application only.
app.set_default()
