"""Rows of recordings: from their beginning to their file, or to what a lost node has left."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from pytest_django import Settings

from callflow.aio.recordings.audio_files import create
from callflow.bxml.recording import FILE_FORMATS, FileFormat
from tests.unit.voiceapps.builders import STARTED, application, ended, facts
from voiceapps import tasks
from voiceapps.models import Recording
from voiceapps.rules import recording_files
from voiceapps.rules.reports import CallAdmitted, CallFacts, RecordingBegun, RecordingStored
from voiceapps.services.reports import write_reports

pytestmark = pytest.mark.django_db

SECONDS = 3


def begun(call: CallFacts, path: Path) -> RecordingBegun:
    return RecordingBegun(call, "r-1", str(path), STARTED + 1, 1, path.suffix[1:], "greeting")


def stored(call: CallFacts, path: Path) -> RecordingStored:
    return RecordingStored(call, "r-1", str(path), STARTED + 1, STARTED + 5, 4_000, 1, path.suffix[1:], "greeting")


def written(path: Path, channels: int = 1) -> None:
    """Write three seconds to a file, and do not complete it."""
    file = create(path, "mp3" if path.suffix == ".mp3" else "wav", channels)
    file.write(bytes(SECONDS * 16_000 * channels))


def state() -> tuple[str, int]:
    row = Recording.objects.get()
    return row.status, row.duration_ms


@pytest.fixture
def call() -> CallFacts:
    return facts(application())


def test_it_has_a_row_while_it_is_written_and_then_its_length(call: CallFacts, tmp_path: Path) -> None:
    write_reports([begun(call, tmp_path / "r.wav")])
    row = Recording.objects.get()
    assert (row.status, row.ended_at, row.media_url, row.name) == ("processing", None, None, "greeting")
    assert row.account_id == row.call.account_id
    write_reports([stored(call, tmp_path / "r.wav")])
    row.refresh_from_db()
    assert (row.status, row.duration_ms, row.ended_at) == ("complete", 4_000, datetime.fromtimestamp(STARTED + 5, UTC))
    assert row.media_url is not None


def test_one_batch_may_hold_both_and_a_late_beginning_changes_nothing(call: CallFacts, tmp_path: Path) -> None:
    path = tmp_path / "r.wav"
    write_reports([stored(call, path), begun(call, path)])
    assert state() == ("complete", 4_000)
    write_reports([begun(call, path)])
    assert state() == ("complete", 4_000)


def test_what_a_customer_has_deleted_does_not_come_back(call: CallFacts, tmp_path: Path) -> None:
    path = tmp_path / "r.wav"
    write_reports([begun(call, path)])
    Recording.objects.update(status="deleted", path="")
    write_reports([stored(call, path)])
    assert (state(), Recording.objects.get().path) == (("deleted", 0), "")


@pytest.mark.parametrize("file_format", FILE_FORMATS)
def test_what_a_lost_node_wrote_is_partial_until_its_end_comes_after_all(
    call: CallFacts, tmp_path: Path, settings: Settings, file_format: FileFormat
) -> None:
    settings.RECORDINGS_DIR = tmp_path
    path = tmp_path / f"r.{file_format}"
    written(path)
    write_reports([CallAdmitted(call, "proxy-1"), begun(call, path), ended(call)])
    tasks.sweep_recordings()
    status, length_ms = state()
    assert status == "partial"
    assert length_ms == pytest.approx(SECONDS * 1_000, abs=160)
    row = Recording.objects.get()
    assert row.ended_at is not None
    assert (row.ended_at - row.started_at).total_seconds() == length_ms / 1_000
    write_reports([stored(call, path)])
    assert state() == ("complete", 4_000)


def test_a_node_that_left_no_file_leaves_an_error(call: CallFacts, tmp_path: Path) -> None:
    write_reports([begun(call, tmp_path / "never.wav"), ended(call)])
    tasks.sweep_recordings()
    assert state() == ("error", 0)


def test_one_whose_call_goes_on_or_has_just_ended_is_left_alone(call: CallFacts, tmp_path: Path) -> None:
    write_reports([CallAdmitted(call, "proxy-1"), begun(call, tmp_path / "r.wav")])
    tasks.sweep_recordings()
    assert state() == ("processing", 0)
    just_now = datetime.now(UTC).timestamp()
    write_reports([ended(call, at=just_now)])
    tasks.sweep_recordings()
    assert state() == ("processing", 0)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("file_format", FILE_FORMATS)
def test_the_length_of_a_file_is_what_was_written(tmp_path: Path, file_format: FileFormat, channels: int) -> None:
    path = tmp_path / f"r.{file_format}"
    written(path, channels)
    length_ms = recording_files.duration_ms(path.stat().st_size, file_format, channels)
    assert length_ms == pytest.approx(SECONDS * 1_000, abs=160)
    assert recording_files.duration_ms(10, file_format, channels) <= 2
