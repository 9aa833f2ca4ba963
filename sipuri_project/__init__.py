"""The composition root: the environment becomes settings, the settings each daemon's configuration; and the command that runs all roles."""

import gc

# Until all is loaded (`apps.py`) nothing is garbage: to look for some again and again takes an eighth of a role's start.
gc.disable()

from sipuri_project.celery import app as celery_app  # noqa: E402

__all__ = ["celery_app"]
