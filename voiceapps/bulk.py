"""What daemons do several times a call, for less than the ORM takes.

Through model objects each report costs a query or three and half a millisecond of building them. Here many rows go out in
one statement; their columns, defaults and conversions still come from the model. Both databases know `ON CONFLICT`
(PostgreSQL 9.5, SQLite 3.24).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import connection
from django.db.models import AutoField, Field, Model

ROWS_PER_STATEMENT = 200

Row = Mapping[str, object]


class BulkInsert:
    """Insert rows; where the `key` is taken, write the columns of `update`, or nothing without any."""

    def __init__(self, model: type[Model], *, key: Sequence[str] = (), update: Sequence[str] = ()) -> None:
        self._table = model._meta.db_table  # noqa: SLF001  # Django's public API has no other name
        self._fields = [field for field in model._meta.concrete_fields if not isinstance(field, AutoField)]  # noqa: SLF001  # likewise
        self._key = key
        self._update = update

    def write(self, rows: Sequence[Row]) -> None:
        """Write rows by column name; what a row leaves out gets its default. Of rows with one key the last counts. Raises DatabaseError."""
        if self._key:
            # One statement must not change a row twice.
            rows = list({tuple(row[name] for name in self._key): row for row in rows}.values())
        with connection.cursor() as cursor:
            for start in range(0, len(rows), ROWS_PER_STATEMENT):
                part = rows[start : start + ROWS_PER_STATEMENT]
                cursor.execute(self._statement(len(part)), [value for row in part for value in self._parameters(row)])

    def _statement(self, count: int) -> str:
        quote = connection.ops.quote_name
        columns = ", ".join(quote(_column(field)) for field in self._fields)
        row = f"({', '.join('%s' for _ in self._fields)})"
        statement = f"INSERT INTO {quote(self._table)} ({columns}) VALUES {', '.join([row] * count)}"  # noqa: S608  # names of our own model
        if not self._key:
            return statement
        taken = ", ".join(map(quote, self._key))
        changes = ", ".join(f"{quote(name)} = excluded.{quote(name)}" for name in self._update)
        return f"{statement} ON CONFLICT ({taken}) DO " + (f"UPDATE SET {changes}" if changes else "NOTHING")

    def _parameters(self, row: Row) -> list[Any]:
        return [
            field.get_db_prep_save(row[field.attname] if field.attname in row else field.get_default(), connection)
            for field in self._fields
        ]


def fetch_prepared(statement: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Return the rows of a statement that is asked again and again; PostgreSQL plans it once for each connection. Raises DatabaseError."""
    if connection.vendor != "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(statement, parameters)
            return list(cursor.fetchall())
    from psycopg import Cursor  # noqa: PLC0415  # installed where PostgreSQL is used

    connection.ensure_connection()
    with connection.wrap_database_errors, Cursor(connection.connection) as prepared:
        return prepared.execute(statement, parameters, prepare=True).fetchall()


def _column(field: Field[Any, Any]) -> str:
    return field.column or field.attname
