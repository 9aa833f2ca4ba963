from django.apps import AppConfig


class SipuriProjectConfig(AppConfig):
    """The composition root: checks and the command that runs all roles."""

    name = "sipuri_project"

    def ready(self) -> None:
        """Register the system checks."""
        from sipuri_project import checks  # noqa: F401, PLC0415  # they read models, which exist only now
