"""How roles load: garbage is collected as soon as all is there, and not among what is loaded."""

from __future__ import annotations

import subprocess
import sys

LOAD = """
import gc, os
os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
import sipuri_project
print(gc.isenabled())
import django
django.setup()
print(gc.isenabled(), gc.get_freeze_count() > 50_000)
"""


def test_garbage_is_collected_once_all_is_loaded() -> None:
    ran = subprocess.run([sys.executable, "-c", LOAD], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["False", "True", "True"]
