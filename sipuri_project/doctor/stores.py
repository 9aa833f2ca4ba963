"""Whether database and broker do what the roles need of them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import redis
from django.conf import settings
from django.db import Error, connection
from django.db.migrations.executor import MigrationExecutor

from voiceapps.rules.diagnosis.findings import Finding, bad, doubtful, good

DATABASE, BROKER = "Database", "Broker"
SLOW_MS = 20.0
CROWDED = 0.8
WAITING = 1_000
"""Tasks that wait before somebody should look."""
OLD_SECONDS = 60.0
CONNECTIONS = """
SELECT COALESCE(NULLIF(application_name, ''), usename, '?'), COUNT(*) FROM pg_stat_activity
WHERE backend_type = 'client backend' GROUP BY 1 ORDER BY 2 DESC"""


def examine_database() -> Iterator[Finding]:
    """Yield what is found of the database: its answers, its tables, its connections."""
    began = time.monotonic()
    try:
        connection.ensure_connection()
        with connection.cursor() as cursor:
            began = time.monotonic()
            cursor.execute("SELECT 1")
    except Error as error:
        yield bad(DATABASE, f"The database does not answer: {error}".strip(), "Start it, or correct SIPURI_DATABASE_URL.")
        return
    yield judge_answer(1000 * (time.monotonic() - began), connection.vendor, production=settings.PRODUCTION)
    executor = MigrationExecutor(connection)
    yield judge_tables(len(executor.migration_plan(executor.loader.graph.leaf_nodes())))
    if connection.vendor == "postgresql":
        yield judge_connections(*_connections())


def judge_answer(milliseconds: float, vendor: str, *, production: bool) -> Finding:
    """Return what is found, given how long the database took to say anything."""
    if vendor == "sqlite" and production:
        return doubtful(DATABASE, "SQLite serves one machine and one writer at a time.", "Set SIPURI_DATABASE_URL to a PostgreSQL.")
    sentence = f"{'PostgreSQL' if vendor == 'postgresql' else 'SQLite'} answers within {milliseconds:.1f} ms."
    if milliseconds > SLOW_MS:
        return doubtful(DATABASE, sentence, "Each call costs it some ten statements: bring it nearer, or relieve it.")
    return good(DATABASE, sentence)


def judge_tables(missing: int) -> Finding:
    """Return what is found, given how many migrations have not run."""
    if missing:
        return bad(DATABASE, f"{missing} changes of the tables have not been made.", "Stop the roles, run manage.py migrate, start them.")
    return good(DATABASE, "The tables are those of this release.")


def judge_connections(held: Mapping[str, int], most: int) -> Finding:
    """Return what is found, given the connections by program, and how many the server takes."""
    total = sum(held.values())
    programs = ", ".join(f"{name} {count}" for name, count in held.items())
    sentence = f"{total} of {most} connections are in use: {programs}."
    if total > CROWDED * most:
        return bad(DATABASE, sentence, "Raise max_connections, or put a pooler in front (SIPURI_DATABASE_DIRECT_URL then goes past it).")
    return good(DATABASE, sentence)


def _connections() -> tuple[dict[str, int], int]:
    """Return the connections by program, and how many the server takes."""
    with connection.cursor() as cursor:
        cursor.execute(CONNECTIONS)
        held = {str(name): int(count) for name, count in cursor.fetchall()}
        cursor.execute("SHOW max_connections")
        return held, int(cursor.fetchone()[0])


def examine_broker() -> Iterator[Finding]:
    """Yield what is found of Redis, or of the folder that is the queue without it."""
    if not settings.REDIS_URL:
        yield from _folder(Path(settings.QUEUE_DIR))
        return
    client = redis.Redis.from_url(settings.REDIS_URL, socket_timeout=2.0, socket_connect_timeout=2.0)
    try:
        waiting = sum(int(client.llen(queue.name)) for queue in settings.CELERY_TASK_QUEUES)
        yield judge_redis(str(client.config_get("maxmemory-policy").get("maxmemory-policy", "")), waiting)
    except redis.RedisError as error:
        yield bad(
            BROKER, f"Redis does not answer: {error}", "Start it, or correct SIPURI_REDIS_URL. Calls go on; webhooks wait in the database."
        )
    finally:
        client.close()


def judge_redis(policy: str, waiting: int) -> Finding:
    """Return what is found, given what Redis throws away when it is full, and how many tasks wait."""
    if policy not in ("", "noeviction"):
        return bad(
            BROKER, f"Redis throws keys away when it is full (maxmemory-policy {policy}): tasks among them.", "Set it to noeviction."
        )
    return _queue(waiting, 0.0)


def _folder(folder: Path) -> Iterator[Finding]:
    ages = [time.time() - path.stat().st_mtime for path in folder.glob("*.msg")]
    if settings.PRODUCTION:
        yield doubtful(BROKER, "The queue is a folder, which serves one machine.", "Set SIPURI_REDIS_URL.")
    yield _queue(len(ages), max(ages, default=0.0))


def _queue(waiting: int, oldest: float) -> Finding:
    if waiting > WAITING or oldest > OLD_SECONDS:
        age = f", the oldest for {oldest:.0f} s" if oldest else ""
        return doubtful(BROKER, f"{waiting} tasks wait{age}.", "See whether the workers run: manage.py node, and their logs.")
    return good(BROKER, f"{waiting} tasks wait.")
