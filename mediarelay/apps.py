"""Make the relay's command known to Django."""

from __future__ import annotations

from django.apps import AppConfig

__all__ = ["MediaRelayConfig"]


class MediaRelayConfig(AppConfig):
    """The `mediarelay` room; it has no models."""

    name = "mediarelay"
