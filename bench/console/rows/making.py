"""How rows are made: the database counts from one number to another, and makes of each number a row by one expression a column."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from django.db import connection, transaction
from django.db.models import AutoField, Field, Model

MAP = "bench_applications"
"""A table of our own, by which a number leads to an application: its `id` as stored, its `account`, and its id in words as `name`."""

Expressions = Mapping[str, str]
"""By column, what the database makes of the number `i`; `a` is the row of `MAP` that the number leads to."""
Constants = Mapping[str, object]
"""By column, what stands in all rows."""


def is_postgres() -> bool:
    """Return whether the rows are made in PostgreSQL."""
    return connection.vendor == "postgresql"


def prepare() -> None:
    """Teach SQLite what it needs to make octets."""
    if not is_postgres():
        connection.ensure_connection()
        connection.connection.create_function("unhex", 1, bytes.fromhex, deterministic=True)


def hexadecimal(number: str) -> str:
    """Return a number of eight hexadecimal digits."""
    return f"lpad(to_hex({number}), 8, '0')" if is_postgres() else f"printf('%08x', {number})"


def digits(number: str, count: int) -> str:
    """Return a number with leading zeros."""
    return f"lpad(({number})::text, {count}, '0')" if is_postgres() else f"printf('%0{count}d', {number})"


def text(number: str) -> str:
    """Return a number as text."""
    return f"({number})::text" if is_postgres() else f"CAST({number} AS TEXT)"


def ago(seconds: str) -> str:
    """Return the time so many seconds ago."""
    if is_postgres():
        return f"(now() - ({seconds}) * interval '1 second')"
    # As Django writes it: in microseconds, or without a fraction. Texts are compared.
    return f"replace(strftime('%Y-%m-%d %H:%M:%f', julianday('now') - ({seconds}) / 86400.0) || '000', '.000000', '')"


def minute_ago(seconds: str) -> str:
    """Return the number of the minute that lies so many seconds ago."""
    if is_postgres():
        return f"floor(extract(epoch FROM {ago(seconds)}) / 60)::bigint"
    return f"(CAST(strftime('%s', julianday('now') - ({seconds}) / 86400.0) AS INTEGER) / 60)"


def uuid(number: str) -> str:
    """Return a UUID with a number at its beginning."""
    return f"{hexadecimal(number)} || '000000004000800000000000'"


def octets(digits_: str) -> str:
    """Return the octets that hexadecimal digits stand for."""
    return f"decode({digits_}, 'hex')" if is_postgres() else f"unhex({digits_})"


def address(first: str) -> str:
    """Return one of some 50,000 addresses that begin with two numbers."""
    return f"'{first}.' || {text('i % 200')} || '.' || {text('i % 251')}"


def insert(model: type[Model], numbers: range, made: Expressions, constants: Constants | None = None, *, of: str = "i") -> None:
    """Insert a row for each number of a range, and print how long it took; other columns get their defaults.

    `of` is the number by which a row's application is found.
    """
    began = time.monotonic()
    known = constants or {}
    fields = [field for field in model._meta.concrete_fields if not isinstance(field, AutoField)]  # noqa: SLF001  # Django's public API has no other name
    wanted = [field for field in fields if {field.attname} & (made.keys() | known.keys()) or not field.has_db_default()]
    given = [_prepared(field, known) for field in wanted if field.attname not in made]
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_statement(model, wanted, numbers, made, of), given)
    print(f"{model.__name__}: {len(numbers)} rows in {time.monotonic() - began:.0f} s", flush=True)  # noqa: T201  # it is the program's output


def _statement(model: type[Model], wanted: Sequence[Field[Any, Any]], numbers: range, made: Expressions, of: str) -> str:
    columns = ", ".join(f'"{field.column}"' for field in wanted)
    values = ", ".join(_value(field, made) for field in wanted)
    first, last = f"CAST({numbers[0]} AS bigint)", numbers[-1]
    count = f"WITH RECURSIVE n(i) AS (SELECT {first} UNION ALL SELECT i + {numbers.step} FROM n WHERE i < {last})"  # noqa: S608  # our own names, here and below
    rows = f"{count} SELECT {values} FROM n JOIN {MAP} a ON a.number = ({_escaped(of)}) %% (SELECT count(*) FROM {MAP})"  # noqa: S608
    return f'INSERT INTO "{model._meta.db_table}" ({columns}) {rows}'  # noqa: S608, SLF001


def _value(field: Field[Any, Any], made: Expressions) -> str:
    value = _escaped(made[field.attname]) if field.attname in made else "%s"
    return f"({value})::{field.db_type(connection)}" if is_postgres() else value


def _prepared(field: Field[Any, Any], known: Constants) -> Any:
    return field.get_db_prep_save(known[field.attname] if field.attname in known else field.get_default(), connection)


def _escaped(expression: str) -> str:
    return expression.replace(" % ", " %% ")
