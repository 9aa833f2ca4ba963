"""Rows of values as files that other programs read: CSV (RFC 4180) with a heading, or JSON lines."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for the beginning of something to compute."""

Row = Mapping[str, object]


def heading(columns: Iterable[str]) -> str:
    """Return the first line of a CSV file."""
    return _lines([list(columns)])


def csv_lines(rows: Iterable[Row]) -> str:
    """Return rows as lines of a CSV file. A text that a spreadsheet would compute gets an apostrophe in front of it."""
    return _lines([[_cell(value) for value in row.values()] for row in rows])


def json_lines(rows: Iterable[Row]) -> str:
    """Return rows as JSON objects, one a line."""
    return "".join(json.dumps(row) + "\n" for row in rows)


def _cell(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def _lines(rows: Iterable[list[object]]) -> str:
    written = io.StringIO()
    csv.writer(written).writerows(rows)
    return written.getvalue()
