"""Keep what we write from the machine's other users: keys, recordings, messages and the database.

Each entry point reads the settings first, so a directory of ours is closed before anything is written into it. One that is open
for others is ours to close; one that belongs to somebody else is a mistake that only the operator can judge.
"""

from __future__ import annotations

import os
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

UMASK = 0o077
PRIVATE = 0o700


def close_directory(variable: str, directory: Path, *, create: bool) -> Path | None:
    """Have a directory that only our user may enter, and return it if others could until now. Raises ImproperlyConfigured."""
    try:
        if create:
            directory.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
        found = directory.stat()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ImproperlyConfigured(f"{variable}: {directory} cannot be used: {error.strerror}.") from None
    if found.st_uid != os.geteuid():
        raise ImproperlyConfigured(
            f"{variable}: {directory} belongs to the user with id {found.st_uid}, and this process runs as {os.geteuid()}. "
            "Run every role and command as one user, who owns it."
        )
    if not found.st_mode & UMASK:
        return None
    directory.chmod(PRIVATE)
    return directory
