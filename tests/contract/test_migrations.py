"""Databases out there have run the first migration: a change of it would reach none of them."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

FIRST = Path(__file__).parents[2] / "voiceapps" / "migrations" / "0001_initial.py"
DIGEST = "a13b948038f058e0242298458e4797240f0a2b25152276378a7e6861bb478a37"


def test_the_first_migration_is_the_one_that_was_released() -> None:
    assert sha256(FIRST.read_bytes()).hexdigest() == DIGEST, (
        "the first migration never changes; add a new one (CONTRIBUTING.md, 'change a model')"
    )
