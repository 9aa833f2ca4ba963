"""The web role's entry point for gunicorn."""

import os

from django.core.wsgi import get_wsgi_application

# Not a default: whoever starts this role may have set what the other roles run with.
os.environ["DJANGO_SETTINGS_MODULE"] = "sipuri_project.web_settings"

application = get_wsgi_application()
