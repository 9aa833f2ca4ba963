"""`python -m bench.console.rows CALLS EVENTS DELIVERIES`: fill a migrated database with 30 days of production.

The database is that of the environment.
"""

from __future__ import annotations

import sys
import time

import django

django.setup()

from django.db import connection  # noqa: E402  # Django has to be set up before its models are read

from bench.console.rows import filling  # noqa: E402  # likewise
from bench.console.rows.making import is_postgres  # noqa: E402  # likewise
from bench.console.rows.sizes import Sizes  # noqa: E402  # likewise
from voiceapps.choices import FigureKind  # noqa: E402  # likewise
from voiceapps.services.figures import marks, minutes  # noqa: E402  # likewise

DAY_MINUTES = 24 * 60


def fill(calls: int, events: int, deliveries: int) -> None:
    """Fill the tables and compute the figures of the last day. PostgreSQL then looks at all of it, as it does by itself in time."""
    filling.fill(Sizes.of(calls, events, deliveries))
    for kind in FigureKind:
        marks.touch(kind, (time.time() - 60 * minute for minute in range(DAY_MINUTES)))
    while minutes.roll_up():
        pass
    if is_postgres():
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")


if __name__ == "__main__":
    fill(*map(int, sys.argv[1:4]))
