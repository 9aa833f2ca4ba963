"""Show which indexes the planner uses."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
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
    with plans_here() as plans:
        yield plans


@contextmanager
def plans_here() -> Iterator[list[str]]:
    """Gather the same on either database; a test for PostgreSQL has to make many rows and have them analysed."""
    plans: list[str] = []
    with _explained(lambda sql, params: plans.append(plan_of(sql, params))):
        yield plans


@dataclass(frozen=True, slots=True)
class Read:
    """What one step of a statement has read of a table."""

    sql: str
    table: str
    rows: int
    """Those that it looked at and left out included."""


@contextmanager
def rows_read() -> Iterator[list[Read]]:
    """Gather how many rows each step of each SELECT reads, on PostgreSQL, which tells it."""
    reads: list[Read] = []
    with _explained(lambda sql, params: reads.extend(_reads(sql, params))):
        yield reads


def plan_of(sql: str, params: Any) -> str:
    """Return the steps of a statement's plan."""
    is_sqlite = connection.vendor == "sqlite"
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {'QUERY PLAN ' if is_sqlite else ''}{sql}", params)
        return "; ".join(row[3 if is_sqlite else 0].strip() for row in cursor.fetchall())


@contextmanager
def _explained(explain: Callable[[str, Any], None]) -> Iterator[None]:
    def wrapper(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.startswith(("SELECT", "(SELECT")):
            explain(sql, params)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(wrapper):
        yield


def _reads(sql: str, params: Any) -> Iterator[Read]:
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {sql}", params)
        found = cursor.fetchone()[0]
    steps = [step["Plan"] for step in (json.loads(found) if isinstance(found, str) else found)]
    while steps:
        step = steps.pop()
        steps += step.get("Plans", [])
        rows = sum(step.get(name, 0) for name in ("Actual Rows", "Rows Removed by Filter", "Rows Removed by Index Recheck"))
        if table := step.get("Relation Name") or step.get("Index Name"):
            yield Read(sql, table, round(rows * step["Actual Loops"]))
