"""Settings of the tests: keys and state of their own, a database in memory or the one the environment names."""

import atexit
import os
import shutil
import tempfile

if "SIPURI_VAR_DIR" not in os.environ:
    # The processes of one run share it; whoever made it removes it.
    os.environ["SIPURI_VAR_DIR"] = tempfile.mkdtemp(prefix="sipuri-tests-")
    atexit.register(shutil.rmtree, os.environ["SIPURI_VAR_DIR"], ignore_errors=True)

from sipuri_project.settings import *  # noqa: E402, F403  # the environment comes first

# Each test client loads the middleware anew, and a scan of all static files with it.
WHITENOISE_AUTOREFRESH = True
# Tests see the line of each decision; the daemons that they start do not write them.
LOGGING["level"] = "debug"  # noqa: F405  # of the settings above

# Without a run of collectstatic there are no names with digests; whitenoise finds the files where they lie.
STATIC_ROOT = None  # type: ignore[assignment]  # a path in the settings above
STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}  # noqa: F405
WHITENOISE_USE_FINDERS = True
