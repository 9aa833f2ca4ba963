"""Directories that others could enter, and files that they could read."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from sipuri_project.start.private_files import close_directory, close_files, entries_below


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


def test_files_are_narrowed_and_named_once(tmp_path: Path) -> None:
    wide, fine, folder = tmp_path / "wide", tmp_path / "fine", tmp_path / "folder"
    folder.mkdir()
    folder.chmod(0o755)
    for path, rights in ((wide, 0o664), (fine, 0o600), (folder / "program", 0o755)):
        path.touch()
        path.chmod(rights)
    closed = close_files("SIPURI_VAR_DIR", entries_below(str(tmp_path)))
    assert sorted(closed) == [str(path) for path in (folder, folder / "program", wide)]
    assert [mode(path) for path in (wide, fine, folder, folder / "program")] == [0o600, 0o600, 0o700, 0o700]
    assert close_files("SIPURI_VAR_DIR", entries_below(str(tmp_path))) == []


def test_links_are_not_followed_and_one_folder_is_left_out(tmp_path: Path) -> None:
    state, elsewhere = tmp_path / "state", tmp_path / "elsewhere"
    for folder in (state / "recordings", elsewhere):
        folder.mkdir(parents=True)
        folder.chmod(0o755)
        (folder / "file").touch()
        (folder / "file").chmod(0o644)
    (state / "link").symlink_to(elsewhere)
    close_files("SIPURI_VAR_DIR", entries_below(str(state), but=str(state / "recordings")))
    assert [mode(folder / "file") for folder in (state / "recordings", elsewhere)] == [0o644, 0o644]
    assert [mode(folder) for folder in (state / "recordings", elsewhere)] == [0o700, 0o755]


def test_what_is_gone_meanwhile_is_left_out(tmp_path: Path) -> None:
    assert close_files("SIPURI_VAR_DIR", [str(tmp_path / "gone")]) == []
    assert list(entries_below(str(tmp_path / "gone"))) == []


def test_a_file_of_another_user_stops_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "key").touch()
    monkeypatch.setattr(os, "geteuid", lambda: tmp_path.stat().st_uid + 1)
    with pytest.raises(ImproperlyConfigured, match=r"SIPURI_VAR_DIR: .*key belongs to the user with id \d+"):
        close_files("SIPURI_VAR_DIR", entries_below(str(tmp_path)))


def test_a_file_that_stays_open_stops_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "key").touch()
    (tmp_path / "key").chmod(0o644)

    def refuse(_path: str, _mode: int) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(os, "chmod", refuse)
    with pytest.raises(ImproperlyConfigured, match="SIPURI_VAR_DIR: other users can reach .*key, which cannot be changed: Read-only"):
        close_files("SIPURI_VAR_DIR", entries_below(str(tmp_path)))
