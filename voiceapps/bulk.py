"""Write many rows of one table for the price of few: one statement, made once, run for each row in one go.

Daemons report several times a call. Through model objects each report costs a query or three and half a millisecond of
building them; here the columns, their defaults and their conversions still come from the model, the statement does not
change. Both databases know `ON CONFLICT` (PostgreSQL 9.5, SQLite 3.24).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.db import connection
from django.db.models import AutoField, Field, Model

Row = Mapping[str, object]


class BulkInsert:
    """Insert rows; where the `key` is taken, write the columns of `update`, or nothing without any."""

    def __init__(self, model: type[Model], *, key: Sequence[str] = (), update: Sequence[str] = ()) -> None:
        self._table = model._meta.db_table  # noqa: SLF001  # Django's public API has no other name
        self._fields = [field for field in model._meta.concrete_fields if not isinstance(field, AutoField)]  # noqa: SLF001  # likewise
        self._key = key
        self._update = update

    def write(self, rows: Sequence[Row]) -> None:
        """Write rows by column name; what a row leaves out gets its default. Raises DatabaseError."""
        if rows:
            with connection.cursor() as cursor:
                cursor.executemany(self._statement(), [self._parameters(row) for row in rows])

    def _statement(self) -> str:
        quote = connection.ops.quote_name
        columns = ", ".join(quote(_column(field)) for field in self._fields)
        values = ", ".join("%s" for _ in self._fields)
        statement = f"INSERT INTO {quote(self._table)} ({columns}) VALUES ({values})"  # noqa: S608  # names of our own model
        if not self._key:
            return statement
        taken = ", ".join(map(quote, self._key))
        changes = ", ".join(f"{quote(name)} = excluded.{quote(name)}" for name in self._update)
        return f"{statement} ON CONFLICT ({taken}) DO " + (f"UPDATE SET {changes}" if changes else "NOTHING")

    def _parameters(self, row: Row) -> tuple[Any, ...]:
        return tuple(_prepared(field, row[field.attname] if field.attname in row else field.get_default()) for field in self._fields)


class BulkUpdate:
    """Write the same columns of many rows, each found by its primary key."""

    def __init__(self, model: type[Model], columns: Sequence[str]) -> None:
        meta = model._meta  # noqa: SLF001  # Django's public API has no other name
        self._table = meta.db_table
        by_name = {field.attname: field for field in meta.concrete_fields}
        self._fields = [by_name[name] for name in columns]
        self._key: Field[Any, Any] = by_name[meta.pk.attname]

    def write(self, rows: Iterable[tuple[object, Row]]) -> None:
        """Write (primary key, values by column name) pairs. Raises DatabaseError."""
        parameters = [(*(_prepared(field, row[field.attname]) for field in self._fields), _prepared(self._key, key)) for key, row in rows]
        if not parameters:
            return
        quote = connection.ops.quote_name
        changes = ", ".join(f"{quote(_column(field))} = %s" for field in self._fields)
        statement = f"UPDATE {quote(self._table)} SET {changes} WHERE {quote(_column(self._key))} = %s"  # noqa: S608  # names of our own model
        with connection.cursor() as cursor:
            cursor.executemany(statement, parameters)


def _column(field: Field[Any, Any]) -> str:
    return field.column or field.attname


def _prepared(field: Field[Any, Any], value: object) -> Any:
    return field.get_db_prep_save(value, connection)
