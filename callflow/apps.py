"""Make the call flow's commands known to Django."""

from __future__ import annotations

from django.apps import AppConfig


class CallflowAppConfig(AppConfig):
    """The `callflow` room; it has no models."""

    name = "callflow"
