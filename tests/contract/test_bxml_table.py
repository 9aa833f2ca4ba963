"""The page on BXML names each attribute that the vendor's classes write, and a test that has it."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest
from bandwidth.models import bxml as vendor

from callflow.bxml.registry import VERBS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "bxml.md").read_text(encoding="utf-8")


def rows() -> list[tuple[list[str], list[str], str]]:
    """Return verbs, attributes and test of each row; a verb stands for the rows below it, too."""
    found: list[tuple[list[str], list[str], str]] = []
    verbs: list[str] = []
    for line in PAGE.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) != 4 or not cells[3].startswith("`"):
            continue
        verbs = re.findall(r"`(\w+)`", cells[0]) or verbs
        attributes = [] if cells[1].startswith(("text", "`<")) else re.findall(r"`(\w+)`", cells[1])
        found.append((verbs, attributes, cells[3].strip("`")))
    return found


def written_by(verb: str) -> set[str]:
    """Return the attributes that the vendor's class of a verb writes."""
    kind = getattr(vendor, verb)
    names = list(inspect.signature(kind.__init__).parameters)[1:]
    attributes = getattr(kind(**dict.fromkeys(names, "x")), "_attributes", None)
    return set(attributes or ())


@pytest.mark.parametrize("verb", VERBS)
def test_each_attribute_of_the_vendors_class_is_named(verb: str) -> None:
    named = {name for verbs, attributes, _ in rows() if verb in verbs for name in attributes}
    assert any(verb in verbs for verbs, _, _ in rows())
    assert written_by(verb) - named == set()


def test_each_named_test_has_its_attribute() -> None:
    missing = []
    for verbs, attributes, test in rows():
        text = (ROOT / "tests" / "unit" / test).read_text(encoding="utf-8")
        for name in attributes:
            snake = re.sub(r"[A-Z]", lambda letter: "_" + letter[0].lower(), name)
            if name not in text and snake not in text:
                missing.append((verbs, name, test))
    assert missing == []
