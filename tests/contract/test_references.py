"""What code and documents refer to is there: decisions, documents, modules, settings, targets of make."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DECISIONS = ROOT / "docs" / "decisions"

_DECISION = re.compile(r"\bD([1-9]\d?)\b")
_DOCUMENT = re.compile(r"(?<![\w/.:-])((?:[\w-]+/)*[\w-]+\.md)\b")
_LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
_PICTURE = re.compile(r'\bsrc(?:set)?="([^"]+)"')
_ROOMS = (
    "bench",
    "callflow",
    "daemonkit",
    "demo",
    "deploy",
    "docs",
    "mediarelay",
    "sipproxy",
    "sipuri_project",
    "templates",
    "tests",
    "voiceapps",
)
_MODULE = re.compile(rf"(?<![\w/.-])((?:{'|'.join(_ROOMS)})/(?:[\w-]+/)*(?:[\w-]+\.\w+)?)(?![\w*<{{])")
_SETTING = re.compile(r"\bSIPURI_[A-Z0-9]+(?:_[A-Z0-9]+)*\b")
_TARGET = re.compile(r"`make ([a-z][a-z-]*)")
MAX_PICTURE = 250 * 1024
_ELSEWHERE = ("http:", "https:", "mailto:")
_TEXTS = {".py", ".md", ".toml", ".html", ""}


@cache
def files() -> tuple[Path, ...]:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    found = (ROOT / name for name in listed.stdout.splitlines())
    return tuple(path for path in found if path.is_file() and path.suffix in _TEXTS and "data" not in path.parts)


def texts() -> Iterator[tuple[str, str]]:
    for path in files():
        name = path.relative_to(ROOT).as_posix()
        if name != "tests/contract/test_references.py":
            yield name, path.read_text(encoding="utf-8", errors="replace")


def exists(name: str, beside: str) -> bool:
    """Return whether a path is there: from the root, from the file that names it, or among documents, templates and static files."""
    folders = (ROOT, ROOT / Path(beside).parent, ROOT / "docs", ROOT / "templates", ROOT / "voiceapps" / "static")
    return any((folder / name).exists() for folder in folders)


def test_each_decision_that_is_named_has_a_page() -> None:
    known = {int(path.stem[1:3]) for path in DECISIONS.glob("d[0-9][0-9]-*.md")}
    lost = [(name, f"D{number}") for name, text in texts() for number in _DECISION.findall(text) if int(number) not in known]
    assert lost == []


def test_each_document_that_is_named_is_there() -> None:
    lost = [(name, found) for name, text in texts() for found in _DOCUMENT.findall(text) if not exists(found, name)]
    assert lost == []


def test_each_link_of_a_document_leads_somewhere() -> None:
    documents = ((name, text) for name, text in texts() if name.endswith(".md"))
    links = ((name, found) for name, text in documents for found in _LINK.findall(text) + _PICTURE.findall(text))
    lost = [(name, found) for name, found in links if not found.startswith(_ELSEWHERE) and not (ROOT / Path(name).parent / found).exists()]
    assert lost == []


def test_each_picture_is_shown_and_small() -> None:
    pictures = {path.name: path.stat().st_size for path in (ROOT / "docs" / "images").iterdir()}
    shown = {Path(found).name for name, text in texts() if name.endswith(".md") for found in _PICTURE.findall(text)}
    assert set(pictures) == shown
    assert {name: size for name, size in pictures.items() if size > MAX_PICTURE} == {}


def test_each_module_that_is_named_by_its_path_is_there() -> None:
    lost = [(name, found) for name, text in texts() for found in _MODULE.findall(text) if not exists(found, name)]
    assert lost == []


def test_each_setting_that_is_named_is_read_and_documented() -> None:
    read = set(re.findall(r'"(SIPURI_[A-Z0-9_]+)"', (ROOT / "sipuri_project" / "settings.py").read_text(encoding="utf-8")))
    documented = set(_SETTING.findall((ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")))
    named = {found for name, text in texts() if name.startswith(("docs/", "README", "demo/")) for found in _SETTING.findall(text)}
    assert (read - documented, named - read) == (set(), set())


def test_each_target_of_make_that_is_named_is_there() -> None:
    targets = set(re.findall(r"(?m)^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(encoding="utf-8")))
    named = {(name, found) for name, text in texts() if name.endswith(".md") for found in _TARGET.findall(text)}
    assert {(name, found) for name, found in named if found not in targets} == set()


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        (_DECISION, "as D8 says, not AD8 or D100", ["8"]),
        (_DOCUMENT, "see media.md and docs/sip.md, not https://x.org/a.md", ["media.md", "docs/sip.md"]),
        (_MODULE, "`sipproxy/core/proxy.py` in `sipproxy/core/`, not /docs/api", ["sipproxy/core/proxy.py", "sipproxy/core/"]),
        (_SETTING, "SIPURI_SIP_BIND=…", ["SIPURI_SIP_BIND"]),
    ],
)
def test_references_are_recognised(pattern: re.Pattern[str], text: str, found: list[str]) -> None:
    assert pattern.findall(text) == found
