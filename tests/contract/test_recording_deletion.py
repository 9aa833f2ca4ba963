"""Recordings that a customer deletes: nothing of them is left, and it is said only then."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.api import ApiCustomer
from tests.support.objects import one_of_each
from voiceapps.models import AuditEntry, Recording


@pytest.fixture
def objects(customer: ApiCustomer) -> dict[str, str]:
    return one_of_each(customer)


def url(objects: dict[str, str], tail: str = "") -> str:
    return "/api/v2/accounts/{accountId}/calls/{callId}/recordings/{recordingId}".format(**objects) + tail


def file_of(objects: dict[str, str]) -> Path:
    return Path(Recording.objects.values_list("path", flat=True).get(pk=objects["recordingId"]))


def test_a_recording_goes_with_all_that_is_known_of_it(customer: ApiCustomer, objects: dict[str, str]) -> None:
    file = file_of(objects)
    assert customer.request("DELETE", url(objects)).status_code == 204
    assert not file.exists()
    for tail in ("", "/media"):
        assert customer.request("GET", url(objects, tail)).status_code == 404
        assert customer.request("DELETE", url(objects, tail)).status_code == 404
    assert customer.request("GET", url(objects).rpartition("/")[0]).json() == []
    entry = AuditEntry.objects.get(action="recording.delete")
    assert (entry.subject, entry.changes) == (objects["recordingId"], {"call": objects["callId"]})


def test_the_audio_alone_goes_and_may_go_twice(customer: ApiCustomer, objects: dict[str, str]) -> None:
    file = file_of(objects)
    for _ in range(2):
        assert customer.request("DELETE", url(objects, "/media")).status_code == 204
    assert not file.exists()
    assert customer.request("GET", url(objects, "/media")).status_code == 404
    shown = customer.request("GET", url(objects)).json()
    assert (shown["status"], shown["mediaUrl"]) == ("deleted", None)
    assert AuditEntry.objects.filter(action="recording.delete_media").count() == 1
    assert customer.request("DELETE", url(objects)).status_code == 204


def test_a_file_that_is_gone_stops_nobody(customer: ApiCustomer, objects: dict[str, str]) -> None:
    file_of(objects).unlink()
    assert customer.request("DELETE", url(objects)).status_code == 204


def test_one_that_goes_on_is_neither_deleted_nor_downloaded(customer: ApiCustomer, objects: dict[str, str]) -> None:
    Recording.objects.update(status="processing", duration_ms=0, ended_at=None)
    for tail in ("", "/media"):
        answer = customer.request("DELETE", url(objects, tail))
        assert (answer.status_code, answer.json()["description"]) == (409, f"Recording {objects['recordingId']} goes on")
    assert file_of(objects).exists()
    assert customer.request("GET", url(objects, "/media")).status_code == 404
    shown = customer.request("GET", url(objects)).json()
    assert (shown["status"], shown["mediaUrl"], shown["endTime"], shown["duration"]) == ("processing", None, None, "PT0S")


def test_a_file_elsewhere_is_left_alone(customer: ApiCustomer, objects: dict[str, str], tmp_path: Path) -> None:
    elsewhere = tmp_path / "passwd"
    elsewhere.write_text("x")
    Recording.objects.update(path=str(elsewhere))
    assert customer.request("DELETE", url(objects)).status_code == 204
    assert elsewhere.exists()


def test_a_file_that_stays_is_not_said_to_be_deleted(
    customer: ApiCustomer, objects: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_args: object, **_options: object) -> None:
        raise PermissionError(13, "Permission denied")

    customer.http.raise_request_exception = False
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", refuse)
        for tail in ("", "/media"):
            assert customer.request("DELETE", url(objects, tail)).status_code == 500
    assert customer.request("GET", url(objects)).json()["status"] == "complete"
    assert not AuditEntry.objects.filter(action__startswith="recording.").exists()


def test_who_may_only_read_deletes_nothing(customer: ApiCustomer, objects: dict[str, str]) -> None:
    customer._token = customer.ask_token(scope="recordings:read").json()["access_token"]
    assert customer.request("DELETE", url(objects)).status_code == 403
    assert file_of(objects).exists()
