"""The console's style sheet: it has a rule for each class of the templates, and none for a class that nothing has."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
SHEET = ROOT / "voiceapps" / "static" / "voiceapps" / "console.css"
MADE = re.compile(r"(sipuri-[a-z-]*-|sipuri-)(?=\{)")
"""Where the rest of a class is filled in."""

HOOKS = {"sipuri-refusal"}
"""Classes by which tests find a part of a page."""


def sources() -> str:
    """Return all that makes the pages."""
    files = [*(ROOT / "templates").rglob("*.html"), *(ROOT / "voiceapps").rglob("*.py"), *SHEET.parent.glob("*.js")]
    return "\n".join(path.read_text(encoding="utf-8") for path in files)


def ruled() -> set[str]:
    return set(re.findall(r"\.(sipuri-[\w-]+)", SHEET.read_text(encoding="utf-8")))


def test_no_rule_is_for_a_class_that_nothing_has() -> None:
    text = sources()
    beginnings = tuple(set(MADE.findall(text)) - {"sipuri-"})
    assert [name for name in sorted(ruled()) if not re.search(rf"\b{name}(?![\w-])", text) and not name.startswith(beginnings)] == []


def test_each_class_of_the_templates_has_a_rule() -> None:
    held = " ".join(re.findall(r'class="([^"]*)"', sources()))
    named = set(re.findall(r"(?<![\w-])sipuri-[\w-]*[\w](?![\w{-])", held))
    assert sorted(named - ruled() - HOOKS) == []
