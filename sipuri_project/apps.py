import gc

import structlog
from django.apps import AppConfig
from django.conf import settings

log = structlog.get_logger(__name__)


class SipuriProjectConfig(AppConfig):
    """The composition root: checks and the command that runs all roles."""

    name = "sipuri_project"

    def ready(self) -> None:
        """Register the system checks, and tell which directories the settings have closed to other users.

        From here on garbage is collected; what has been loaded lives to the end, and is not looked at again.
        """
        gc.freeze()
        gc.enable()
        from sipuri_project import checks  # noqa: F401, PLC0415  # they read models, which exist only now

        for directory in filter(None, settings.CLOSED):
            log.warning("directory_closed", path=str(directory), reason="other users of this machine could enter it")
