"""Settings of the tests: keys and state of their own, a database in memory or the one the environment names."""

import os
import tempfile

os.environ.setdefault("SIPURI_VAR_DIR", tempfile.mkdtemp(prefix="sipuri-tests-"))

from sipuri_project.settings import *  # noqa: E402, F403  # the environment comes first

# Each test client loads the middleware anew, and a scan of all static files with it.
WHITENOISE_AUTOREFRESH = True
