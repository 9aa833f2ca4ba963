"""What the vendor's SDK has written since version 15 runs as what the newest one writes.

The files hold one document of each verb with every attribute that the version's class has, one a line. Versions 15 to 17 write the
same octets (but for `transcribe`, which is a text in 15), so do 18 and 19, and 20 to 22.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from callflow.bxml import Verb, parse_document

WRITTEN = Path(__file__).parents[2] / "data" / "bxml" / "sdk"
NEWEST = "23"
ATTRIBUTE = re.compile(r' (\w+)="[^"]*"')


def lines(version: str) -> list[str]:
    return (WRITTEN / f"{version}.bxmls").read_text().splitlines()


def verb(line: str) -> Verb:
    (found,) = parse_document(line.encode()).verbs
    return found


def attributes(line: str) -> set[str]:
    """Return the attributes that a document names, as they are spelled today."""
    return {re.sub("_([a-z])", lambda letter: letter[1].upper(), name) for name in ATTRIBUTE.findall(line)}


def test_the_newest_ones_are_read() -> None:
    assert [type(verb(line)).__name__ for line in lines(NEWEST)]
    assert len(lines(NEWEST)) == 20


@pytest.mark.parametrize("version", ["15", "18", "20"])
def test_older_ones_are_read_as_the_newest(version: str) -> None:
    for old, new in zip(lines(version), lines(NEWEST), strict=True):
        known = attributes(old)
        alike = ATTRIBUTE.sub(lambda found, known=known: found[0] if found[1] in known else "", new)  # type: ignore[misc]  # it binds the set
        assert attributes(alike) == known
        assert verb(old) == verb(alike)
