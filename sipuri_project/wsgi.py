"""The web role's entry point for gunicorn."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sipuri_project.settings")

application = get_wsgi_application()
