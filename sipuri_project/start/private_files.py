"""Keep what we write from the machine's other users: keys, recordings, messages and the database.

Each entry point reads the settings first, so a directory of ours is closed before anything is written into it. One that is open
for others is ours to close; one that belongs to somebody else is a mistake that only the operator can judge. The same holds for the
files in it, which an earlier release, a copy or a backup may have left readable: a directory may be opened later, and files moved.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterable, Iterator
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
    _must_be_ours(variable, directory, found)
    if not found.st_mode & UMASK:
        return None
    directory.chmod(PRIVATE)
    return directory


def close_files(variable: str, paths: Iterable[str]) -> list[str]:
    """Take all rights to files of ours from other users, and return those to which they had any until now.

    A file that is gone is none of our business. Raises ImproperlyConfigured for a file of another user, and for one that stays open.
    """
    closed = []
    for path in paths:
        try:
            found = os.lstat(path)
            _must_be_ours(variable, path, found)
            if found.st_mode & UMASK and not stat.S_ISLNK(found.st_mode):
                os.chmod(path, stat.S_IMODE(found.st_mode) & ~UMASK)  # noqa: PTH101  # there may be a hundred thousand
                closed.append(path)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise ImproperlyConfigured(f"{variable}: other users can reach {path}, which cannot be changed: {error.strerror}.") from None
    return closed


def entries_below(directory: str, *, but: str = "") -> Iterator[str]:
    """Yield everything below a directory, each folder before what is in it, but not what is below `but`. Links are not followed."""
    with contextlib.suppress(FileNotFoundError), os.scandir(directory) as entries:
        for entry in entries:
            yield entry.path
            if entry.is_dir(follow_symlinks=False) and entry.path != but:
                yield from entries_below(entry.path, but=but)


def _must_be_ours(variable: str, path: str | Path, found: os.stat_result) -> None:
    if found.st_uid != os.geteuid():
        raise ImproperlyConfigured(
            f"{variable}: {path} belongs to the user with id {found.st_uid}, and this process runs as {os.geteuid()}. "
            "Run every role and command as one user, who owns it."
        )
