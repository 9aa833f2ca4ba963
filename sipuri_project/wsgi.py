"""The web role's entry point for gunicorn."""

import os

import django

# Not a default: whoever starts this role may have set what the other roles run with.
os.environ["DJANGO_SETTINGS_MODULE"] = "sipuri_project.web_settings"

django.setup(set_prefix=False)

from sipuri_project.http_request import Utf8Handler  # noqa: E402  # it needs the settings

application = Utf8Handler()
