"""All rows, in the order in which they need each other."""

from __future__ import annotations

from bench.console.rows import calls as call_rows
from bench.console.rows import guards, people
from bench.console.rows.making import prepare
from bench.console.rows.sizes import Sizes


def fill(sizes: Sizes) -> None:
    """Fill the tables of a migrated database that has an admin, and print how long each took."""
    prepare()
    people.fill_customers(sizes)
    call_rows.fill(sizes)
    guards.fill(sizes)
    people.fill(sizes)
