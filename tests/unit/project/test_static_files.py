"""The static files are gathered when the web role starts, and only then when they changed."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as project
from pytest_django.fixtures import Settings

from sipuri_project.start import static_files

STORAGE = {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"}


@pytest.fixture
def root(tmp_path: Path, settings: Settings) -> Path:
    source = tmp_path / "source"
    source.mkdir()
    (source / "a.css").write_text("a { color: red }" * 100)
    settings.STATIC_ROOT = tmp_path / "static"
    settings.STATICFILES_FINDERS = ["django.contrib.staticfiles.finders.FileSystemFinder"]
    settings.STATICFILES_DIRS = [source]
    settings.STORAGES = {**project.STORAGES, "staticfiles": STORAGE}
    return tmp_path / "static"


def named(root: Path) -> str:
    name: str = json.loads((root / "staticfiles.json").read_text())["paths"]["a.css"]
    return name


def test_names_have_a_digest_and_a_compressed_twin(root: Path) -> None:
    static_files.gather()
    assert named(root) != "a.css"
    assert (root / named(root)).exists()
    assert (root / f"{named(root)}.gz").exists()


def test_other_users_of_the_machine_read_none_of_them(root: Path) -> None:
    static_files.gather()
    assert [path.name for path in root.rglob("*") if path.is_file() and path.stat().st_mode & 0o077] == []


def test_the_work_is_done_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    static_files.gather()

    def fail(*_args: Any, **_options: Any) -> None:
        raise AssertionError("It was gathered again.")

    monkeypatch.setattr(static_files, "call_command", fail)
    static_files.gather()


def test_a_changed_file_gets_a_new_name_and_the_old_one_stays_for_a_day(root: Path) -> None:
    static_files.gather()
    old = named(root)
    for age, stays in ((static_files.KEPT_SECONDS - 600, True), (static_files.KEPT_SECONDS + 600, False)):
        source = root.parent / "source" / "a.css"
        source.write_text(f"a {{ color: blue; width: {age}px }}" * 100)
        stamp = (root / static_files.MANIFEST).stat().st_mtime - age
        os.utime(root / old, (stamp, stamp))
        static_files.gather()
        assert named(root) != old
        assert (root / old).exists() == stays
