"""The web role's entry point for gunicorn."""

import os

from django.core.wsgi import get_wsgi_application
from django.db import connections

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sipuri_project.settings")

application = get_wsgi_application()

# A client waits shorter for a locked database than a daemon does; then it gets 503. The connections are opened later.
_default = connections.settings["default"]
if _default["ENGINE"].endswith("sqlite3"):
    _default["OPTIONS"]["timeout"] = 5
