from django.apps import AppConfig


class VoiceAppsConfig(AppConfig):
    """The control plane: the only owner of the database."""

    name = "voiceapps"
    verbose_name = "Voice applications"
