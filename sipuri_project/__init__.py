"""The composition root: the environment becomes settings, the settings each daemon's configuration; and the command that runs all roles."""

from sipuri_project.celery import app as celery_app

__all__ = ["celery_app"]
