"""The settings of the web role: those of every role, and how long a client waits for a locked database before it gets 503."""

from sipuri_project.settings import *  # noqa: F403  # Django reads all names of its settings module
from sipuri_project.settings import DATABASES

if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    DATABASES["default"]["OPTIONS"]["timeout"] = 5
