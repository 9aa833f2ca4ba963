"""Make the room's commands known to manage.py."""

from django.apps import AppConfig


class SipProxyApp(AppConfig):
    """Hold no models: the room keeps nothing in the database itself."""

    name = "sipproxy"
