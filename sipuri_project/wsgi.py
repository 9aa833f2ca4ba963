"""The web role's entry point for gunicorn."""

import os
import sys

import django
from django.core.exceptions import ImproperlyConfigured

# With any other exit code gunicorn would start the worker again, for ever.
CANNOT_START = 3

# Not a default: whoever starts this role may have set what the other roles run with.
os.environ["DJANGO_SETTINGS_MODULE"] = "sipuri_project.web_settings"

try:
    django.setup(set_prefix=False)

    from sipuri_project.start.begin import begin
    from sipuri_project.start.static_files import gather

    begin()
    gather()
except ImproperlyConfigured as error:
    print(f"Configuration error: {error}", file=sys.stderr)  # noqa: T201  # logging is not configured
    sys.exit(CANNOT_START)

from sipuri_project.http_request import Utf8Handler  # noqa: E402  # it needs the settings

application = Utf8Handler()
