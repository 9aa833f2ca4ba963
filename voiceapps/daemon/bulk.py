"""Statements that daemons run several times a call, at less cost than through the ORM.

With model objects each report costs one to three queries and half a millisecond to build them. Here one statement, which PostgreSQL
plans once, writes many rows: new ones together, `MAX_TOGETHER` at most, changes in a pipeline (psycopg's), without waiting for the
answer to each. Columns, defaults and conversions still come from the model. Both databases know `ON CONFLICT` (PostgreSQL 9.5,
SQLite 3.24).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from django.db import connection
from django.db.models import AutoField, Field, Model

MAX_TOGETHER = 64
"""Rows of one statement. Their numbers are powers of two, so that there are few statements to plan."""

Row = Mapping[str, object]
Values = list[Any]


class BulkInsert:
    """An INSERT of rows. If a row's `key` exists, its columns of `update` are replaced and those of `add` added to, if there are any."""

    def __init__(self, model: type[Model], *, key: Sequence[str] = (), update: Sequence[str] = (), add: Sequence[str] = ()) -> None:
        self._table = model._meta.db_table  # noqa: SLF001  # Django's public API has no other name
        self._fields = [field for field in model._meta.concrete_fields if not isinstance(field, AutoField)]  # noqa: SLF001  # likewise
        self._key = key
        self._update = update
        self._add = add

    def write(self, rows: Sequence[Row]) -> None:
        """Write rows in their order, by column name; missing columns get their default. Raises DatabaseError."""
        given = [[_prepared(field, row) for field in self._fields] for row in rows]
        if connection.vendor != "postgresql" or self._repeats(rows):
            _execute_each(self._statement(1), given)
            return
        for some in _parts(given):
            _execute_together(self._statement(len(some)), some)

    def _repeats(self, rows: Sequence[Row]) -> bool:
        """Return whether some rows have the same key: one statement cannot change a row twice."""
        return bool(self._key) and len({tuple(row[name] for name in self._key) for row in rows}) < len(rows)

    def _statement(self, count: int) -> str:
        """Return what writes so many rows."""
        return f"{self._begin}{', '.join([self._places] * count)}{self._end}"

    @cached_property
    def _begin(self) -> str:
        columns = ", ".join(_quoted(_column(field)) for field in self._fields)
        return f"INSERT INTO {_quoted(self._table)} ({columns}) VALUES "  # noqa: S608  # names of our own model

    @cached_property
    def _places(self) -> str:
        return f"({', '.join('%s' for _ in self._fields)})"

    @cached_property
    def _end(self) -> str:
        if not self._key:
            return ""
        replaced = (f"{_quoted(name)} = excluded.{_quoted(name)}" for name in self._update)
        grown = (f"{_quoted(name)} = {_quoted(self._table)}.{_quoted(name)} + excluded.{_quoted(name)}" for name in self._add)
        changes = ", ".join((*replaced, *grown))
        return f" ON CONFLICT ({', '.join(map(_quoted, self._key))}) DO " + (f"UPDATE SET {changes}" if changes else "NOTHING")


class BulkUpdate:
    """An UPDATE of some columns of existing rows, by primary key."""

    def __init__(self, model: type[Model], *, update: Sequence[str]) -> None:
        self._table = model._meta.db_table  # noqa: SLF001  # likewise
        fields = {field.attname: field for field in model._meta.concrete_fields}  # noqa: SLF001  # likewise
        self._key: Field[Any, Any] = model._meta.pk  # noqa: SLF001  # likewise
        self._fields = [fields[name] for name in update]

    def write(self, rows: Mapping[str, Row]) -> None:
        """Write rows, by key and then by column name. Raises DatabaseError."""
        given = [[_prepared(field, row) for field in self._fields] for row in rows.values()]
        _execute_each(self._statement, [[*values, key] for key, values in zip(rows, given, strict=True)])

    @cached_property
    def _statement(self) -> str:
        changes = ", ".join(f"{_quoted(_column(field))} = %s" for field in self._fields)
        return f"UPDATE {_quoted(self._table)} SET {changes} WHERE {_quoted(_column(self._key))} = %s"  # noqa: S608  # likewise


def _parts(rows: Sequence[Values]) -> Iterator[Sequence[Values]]:
    """Yield rows in order, in parts that are powers of two."""
    at = 0
    while at < len(rows):
        size = min(MAX_TOGETHER, 1 << (len(rows) - at).bit_length() - 1)
        yield rows[at : at + size]
        at += size


def _execute_together(statement: str, rows: Sequence[Values]) -> None:
    from psycopg import Cursor  # noqa: PLC0415  # installed where PostgreSQL is used
    from psycopg.types.numeric import Int8  # noqa: PLC0415  # likewise

    # Numbers of different sizes would be different types, and the statement another one for each mixture.
    parameters = [Int8(value) if type(value) is int else value for row in rows for value in row]
    connection.ensure_connection()
    with connection.wrap_database_errors, Cursor(connection.connection) as prepared:
        prepared.execute(statement, parameters, prepare=True)


def _execute_each(statement: str, rows: Sequence[Sequence[Any]]) -> None:
    if not rows:
        return
    if connection.vendor != "postgresql":
        with connection.cursor() as cursor:
            cursor.executemany(statement, rows)
        return
    from psycopg import Cursor  # noqa: PLC0415  # installed where PostgreSQL is used

    connection.ensure_connection()
    with connection.wrap_database_errors, Cursor(connection.connection) as pipelined:
        pipelined.executemany(statement, rows)


def fetch_prepared(statement: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Return the rows of a statement that runs often: PostgreSQL plans it once for each connection. Raises DatabaseError."""
    if connection.vendor != "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(statement, parameters)
            return list(cursor.fetchall())
    from psycopg import Cursor  # noqa: PLC0415  # installed where PostgreSQL is used

    connection.ensure_connection()
    with connection.wrap_database_errors, Cursor(connection.connection) as prepared:
        return prepared.execute(statement, parameters, prepare=True).fetchall()


def padded(keys: Iterable[str]) -> list[str]:
    """Return different keys, sorted; what is missing to the next power of two is the last one once more: few lengths are few statements."""
    ids = sorted(set(keys))
    return ids + ids[-1:] * ((1 << max(0, len(ids) - 1).bit_length()) - len(ids))


def _prepared(field: Field[Any, Any], row: Row) -> Any:
    return field.get_db_prep_save(row[field.attname] if field.attname in row else field.get_default(), connection)


def _column(field: Field[Any, Any]) -> str:
    return field.column or field.attname


def _quoted(name: str) -> str:
    return connection.ops.quote_name(name)
