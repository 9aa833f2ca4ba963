"""Show which indexes SQLite's planner uses."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection


@contextmanager
def query_plans() -> Iterator[list[str]]:
    """Gather the plan of each SELECT, made with its actual values bound; on PostgreSQL the test is skipped.

    There the planner looks at the rows that exist, and a test has few.
    """
    if connection.vendor != "sqlite":
        pytest.skip("Only SQLite's plans are the same for few rows and many.")
    plans: list[str] = []

    def explain(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.startswith("SELECT"):
            with connection.cursor() as cursor:
                cursor.execute(f"EXPLAIN QUERY PLAN {sql}", params)
                plans.append("; ".join(row[3] for row in cursor.fetchall()))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(explain):
        yield plans
