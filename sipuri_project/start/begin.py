"""What each process of the installation does before its first work."""

from __future__ import annotations

import structlog
from django.db import DatabaseError, connection

from voiceapps.services import key_check

log = structlog.get_logger(__name__)


def begin() -> None:
    """Compare our keys with the database's; raises ImproperlyConfigured. A database that is away or new stops no start."""
    try:
        key_check.ensure()
    except DatabaseError as error:
        log.warning("keys_not_compared", error=str(error).strip())
    finally:
        # Processes that are forked from this one must not share it.
        connection.close()
