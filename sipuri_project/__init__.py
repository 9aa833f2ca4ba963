"""The composition root: environment to settings, settings to each daemon's configuration, and the command that runs all roles."""

from sipuri_project.celery import app as celery_app

__all__ = ["celery_app"]
