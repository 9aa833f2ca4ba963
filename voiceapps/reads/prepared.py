"""Statements that are built once: those of live parts take longer to be built than to be answered, and are asked every other second."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Lock
from typing import Any

from django.db import connection
from django.db.models import Expression, Field


class Asked(Expression):
    """A value that differs each time that a statement is asked; it stands where a filter takes an expression."""

    def __init__(self, name: str, output_field: Field[Any, Any]) -> None:
        super().__init__(output_field=output_field)
        self.name = name

    def as_sql(self, compiler: Any, connection: Any) -> Any:
        """Return the place of the value; `Prepared` puts it there."""
        return "%s", [self]


class Prepared:
    """A statement with places for values, of the one database that a process has."""

    def __init__(self, rows: Any) -> None:
        """Take a queryset of `values_list`; it is made a statement when the first rows are wanted."""
        self._query = rows.query
        self._built: tuple[str, tuple[Any, ...], list[Any]] | None = None
        self._lock = Lock()

    def rows(self, **values: Any) -> Iterator[tuple[Any, ...]]:
        """Ask, with the values that the places name, and return the rows as the queryset would."""
        sql, params, fields = self._statement()
        compiler = self._query.get_compiler(connection=connection)
        with connection.cursor() as cursor:
            cursor.execute(sql, [_fill(param, values) for param in params])
            rows = cursor.fetchall()
        return map(tuple, compiler.apply_converters(rows, compiler.get_converters(fields)))

    def _statement(self) -> tuple[str, tuple[Any, ...], list[Any]]:
        with self._lock:
            if self._built is None:
                compiler = self._query.get_compiler(connection=connection)
                sql, params = compiler.as_sql()
                self._built = sql, tuple(params), [one for one, *_ in compiler.select[: compiler.col_count]]
            return self._built


def _fill(param: Any, values: dict[str, Any]) -> Any:
    return param.output_field.get_db_prep_value(values[param.name], connection) if isinstance(param, Asked) else param
