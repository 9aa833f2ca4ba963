from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate, pre_migrate


class VoiceAppsConfig(AppConfig):
    """The control plane: the only owner of the database."""

    name = "voiceapps"
    verbose_name = "Voice applications"

    def ready(self) -> None:
        """Have each migration compare this process's keys with the database's, before and after it changes anything, and set the roles."""
        for signal in (pre_migrate, post_migrate):
            signal.connect(_compare_keys, sender=self)
        # Behind Django's own receiver, which makes the permissions.
        post_migrate.connect(_keep_groups_in_step, sender=self)


def _compare_keys(**_event: Any) -> None:
    from voiceapps.services import key_check  # noqa: PLC0415  # models exist only now

    key_check.ensure_if_migrated()


def _keep_groups_in_step(**_event: Any) -> None:
    from voiceapps.services.people import groups  # noqa: PLC0415  # models exist only now

    groups.keep_in_step()
