"""What each process of the installation does before its first work."""

from __future__ import annotations

from collections.abc import Iterable

import structlog
from django.conf import settings
from django.db import DatabaseError, connection

from sipuri_project.start.private_files import close_files, entries_below
from voiceapps.services import key_check

log = structlog.get_logger(__name__)


def begin() -> None:
    """Close what other users could read, and compare our keys with the database's; raises ImproperlyConfigured.

    A database that is away or new stops no start.
    """
    _close("SIPURI_VAR_DIR", entries_below(str(settings.VAR_DIR), but=str(settings.RECORDINGS_DIR)))
    _close("SIPURI_DATABASE_URL", _database_files())
    try:
        key_check.ensure()
    except DatabaseError as error:
        log.warning("keys_not_compared", error=str(error).strip())
    finally:
        # Processes that are forked from this one must not share it.
        connection.close()


def close_recordings() -> None:
    """Do the same for recordings, which may be many: their writer alone looks at each. Raises ImproperlyConfigured."""
    _close("SIPURI_RECORDINGS_DIR", entries_below(str(settings.RECORDINGS_DIR)))


def _database_files() -> list[str]:
    """Return the files of SQLite, which may be anywhere; none of another database's name is there."""
    name = str(settings.DATABASES["default"]["NAME"])
    return [f"{name}{suffix}" for suffix in ("", "-wal", "-shm", "-journal")]


def _close(variable: str, paths: Iterable[str]) -> None:
    closed = close_files(variable, paths)
    if closed:
        log.warning("files_closed", files=len(closed), first=closed[0], reason="other users of this machine could read them")
