"""How large a function, a class, a module and a folder may be; where one grows over its bound, the design wants another seam."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("sipuri_project", "voiceapps", "sipproxy", "mediarelay", "callflow", "daemonkit", "demo", "bench", "tests")

MAX_FUNCTION_LINES = 40
MAX_CLASS_LINES = 250
MAX_MODULE_LINES = 400
MAX_TEST_MODULE_LINES = 600
MAX_FOLDER_MODULES = 20
TABLES = {"callflow/bxml/verbs", "callflow/engine/verbs"}
"""Folders that are a table, one module an entry: they may hold any number."""

Finding = tuple[str, int]
"""What is too large, and its lines or modules."""


def modules() -> list[Path]:
    found = (path for room in ROOMS for path in (ROOT / room).rglob("*.py"))
    return [path for path in found if "migrations" not in path.parts]


def too_long(path: Path) -> Iterator[Finding]:
    """Yield the functions and classes of a module, and the module itself, that are over their bound."""
    text = path.read_text(encoding="utf-8")
    name = path.relative_to(ROOT).as_posix()
    lines = text.count("\n")
    if lines > (MAX_TEST_MODULE_LINES if name.startswith("tests/") else MAX_MODULE_LINES):
        yield name, lines
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            size = (node.end_lineno or node.lineno) - node.lineno + 1
            if size > (MAX_CLASS_LINES if isinstance(node, ast.ClassDef) else MAX_FUNCTION_LINES):
                yield f"{name}: {node.name}", size


def too_full(paths: list[Path]) -> Iterator[Finding]:
    """Yield the folders that hold too many modules, their `__init__` not counted; tests mirror modules and may be more."""
    folders = [path.parent.relative_to(ROOT).as_posix() for path in paths if path.name != "__init__.py"]
    for folder in sorted(set(folders)):
        if folders.count(folder) > MAX_FOLDER_MODULES and not folder.startswith("tests") and folder not in TABLES:
            yield folder, folders.count(folder)


def test_nothing_is_too_long_to_be_read_at_once() -> None:
    assert [found for path in modules() for found in too_long(path)] == []


def test_no_folder_is_too_full_to_explain_itself() -> None:
    assert list(too_full(modules())) == []


@pytest.mark.parametrize("kind", ["function", "class", "module", "folder"])
def test_what_grows_over_its_bound_is_found(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    path = tmp_path / "sipproxy" / "grown.py"
    path.parent.mkdir()
    body = {
        "function": "def long() -> None:\n" + "    pass\n" * MAX_FUNCTION_LINES,
        "class": "class Long:\n" + "    x = 1\n" * MAX_CLASS_LINES,
        "module": "x = 1\n" * (MAX_MODULE_LINES + 1),
        "folder": "",
    }[kind]
    path.write_text(body, encoding="utf-8")
    crowd = [path.with_name(f"m{number}.py") for number in range(MAX_FOLDER_MODULES + 1)]
    found = list(too_full(crowd)) if kind == "folder" else list(too_long(path))
    assert len(found) == 1
