"""Gather the static files when the web role starts, so that nobody has to run `collectstatic`.

Their names get a digest of their content, and each a compressed twin. That takes some seconds, so it is done again only when a
file has changed since.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import time
from pathlib import Path

from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.core.management import call_command

UNUSED = ["oauth2_provider", "rest_framework", "swagger-ui-es-*"]
"""Pages that are not offered, and a second form of Swagger UI: half of all octets."""
LOCK, STAMP, MANIFEST = ".lock", ".gathered", "staticfiles.json"
KEPT_SECONDS = 24 * 3600
"""Files of an earlier version stay for so long: a process of that version may still serve them."""


def gather() -> None:
    """Bring the folder of static files up to date; processes that start together wait for the first of them."""
    root = Path(settings.STATIC_ROOT)
    root.mkdir(exist_ok=True)
    stamp = root / STAMP
    with (root / LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        sources = _fingerprint()
        if stamp.exists() and stamp.read_text() == sources:
            return
        call_command("collectstatic", interactive=False, verbosity=0, ignore_patterns=UNUSED)
        _remove_old(root)
        stamp.write_text(sources)


def _fingerprint() -> str:
    """Return a digest of the names, sizes and times of all files, read without their content."""
    found = [
        (name, status.st_size, status.st_mtime_ns)
        for finder in get_finders()
        for name, storage in finder.list([])
        for status in [os.stat(storage.path(name))]
    ]
    return hashlib.sha256(json.dumps([settings.STORAGES["staticfiles"], *sorted(found)]).encode()).hexdigest()


def _remove_old(root: Path) -> None:
    named = {LOCK, STAMP, MANIFEST, *json.loads((root / MANIFEST).read_text())["paths"].values()}
    for path in root.rglob("*"):
        is_named = path.relative_to(root).as_posix().removesuffix(".gz") in named
        if path.is_file() and not is_named and time.time() - path.stat().st_mtime > KEPT_SECONDS:
            path.unlink()
