"""Read applications from the database."""

from __future__ import annotations

import structlog
from django.db import DatabaseError

from callflow.bxml import Webhook
from callflow.config import Application
from voiceapps.daemon.database import DatabaseBusyError, DatabaseExecutor
from voiceapps.selectors import CallApplication, call_application

log = structlog.get_logger(__name__)


class ApplicationReader:
    """Finds the application that a call is for."""

    def __init__(self, database: DatabaseExecutor) -> None:
        self._database = database

    async def find(self, application_id: str) -> Application | None:
        """Return the application; None if it is gone, has no URL, or the database does not answer."""
        try:
            row = await self._database.read(call_application, application_id)
        except (DatabaseError, DatabaseBusyError) as error:
            log.warning("application_unreadable", application_id=application_id, error=str(error))
            return None
        return to_application(row) if row and row.initiated_url else None


def to_application(row: CallApplication) -> Application:
    """Return what the engine needs of a row."""
    fallback = None
    if row.initiated_fallback_url:
        fallback = Webhook(
            url=row.initiated_fallback_url,
            method=row.initiated_fallback_method,
            username=row.fallback_username,
            password=row.fallback_password,
        )
    initiated = Webhook(row.initiated_url, row.initiated_method, row.username, row.password, fallback)
    return Application(initiated, row.timeout_seconds, row.media_timeout, row.keepalive, row.mask_digits)
