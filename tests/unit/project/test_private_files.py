"""Directories that others could enter."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from sipuri_project.start.private_files import close_directory


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_directory_is_made_for_us_alone(tmp_path: Path) -> None:
    directory = tmp_path / "var"
    assert close_directory("SIPURI_VAR_DIR", directory, create=True) is None
    assert mode(directory) == 0o700


@pytest.mark.parametrize("rights", [0o755, 0o750, 0o701, 0o777])
def test_what_is_too_wide_is_narrowed_once(tmp_path: Path, rights: int) -> None:
    tmp_path.chmod(rights)
    assert close_directory("SIPURI_VAR_DIR", tmp_path, create=True) == tmp_path
    assert mode(tmp_path) == 0o700
    assert close_directory("SIPURI_VAR_DIR", tmp_path, create=True) is None


def test_what_is_not_there_yet_is_left_to_its_writer(tmp_path: Path) -> None:
    assert close_directory("SIPURI_RECORDINGS_DIR", tmp_path / "none", create=False) is None
    assert not (tmp_path / "none").exists()


def test_what_another_user_owns_stops_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: tmp_path.stat().st_uid + 1)
    with pytest.raises(ImproperlyConfigured, match=r"SIPURI_VAR_DIR: .* belongs to the user with id \d+"):
        close_directory("SIPURI_VAR_DIR", tmp_path, create=True)


def test_what_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ImproperlyConfigured, match="SIPURI_VAR_DIR: .* cannot be used: Not a directory"):
        close_directory("SIPURI_VAR_DIR", tmp_path / "file" / "var", create=True)
