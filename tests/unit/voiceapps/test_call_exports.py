"""Files of calls: streamed if they are short, written by a worker if they are long, and kept for a day."""

from __future__ import annotations

import csv
import gc
import io
import json
import os
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.http import StreamingHttpResponse
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries
from pytest_django.fixtures import Settings

from tests.unit.voiceapps.builders import ACTOR, application
from tests.unit.voiceapps.people import logged_in, made
from tests.unit.voiceapps.test_console_calls import call_of, client_with, over
from voiceapps import tasks
from voiceapps.models import AuditEntry, Call, CallExport, TaskLease, VoiceApplication
from voiceapps.paging import call_list
from voiceapps.rules.diagnosis.call_filters import CallFilter
from voiceapps.rules.endings import EndReason
from voiceapps.rules.people.roles import Role
from voiceapps.services.accounts import ensure_account
from voiceapps.services.diagnosis import call_files, exports
from voiceapps.services.diagnosis.exports import KEPT, LEASE, MAX_TRIES, NO_WORKER, Claimed, LostError, Writing
from voiceapps.services.people import operators

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def folder(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    settings.EXPORTS_DIR = tmp_path / "exports"
    monkeypatch.setattr(exports.announcer, "put", lambda: None)
    before = os.umask(0)  # it would hide what we leave open
    yield tmp_path / "exports"
    os.umask(before)


@pytest.fixture
def row() -> VoiceApplication:
    return application(name="=1+1")


@pytest.fixture
def client() -> Client:
    return client_with("see_personal", "export_calls")


@pytest.fixture
def few(row: VoiceApplication, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Five calls, the newest first, where a file that is waited for has three and a part of it has two."""
    monkeypatch.setattr(exports, "MAX_STREAMED", 3)
    for module in (call_list, exports):
        monkeypatch.setattr(module, "AT_ONCE", 2)
    for number in range(1, 6):
        over(call_of(row, number), EndReason.CALLBACK_ERROR if number < 4 else EndReason.CALLER_HANGUP)
    yield [call_of(row, number).call_id for number in range(5, 0, -1)]


def export(client: Client, query: str, form: str = "csv") -> Any:
    return client.post(reverse("console:export_calls"), {"query": query, "format": form})


def streamed(answer: Any) -> str:
    assert answer.status_code == 200
    return b"".join(cast("Iterator[bytes]", cast("StreamingHttpResponse", answer).streaming_content)).decode()


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def entries() -> list[tuple[str, str, dict[str, object]]]:
    found = AuditEntry.objects.filter(action="call.export").order_by("number")
    return [(entry.actor, entry.subject, entry.changes) for entry in found]


def write(claimed: Claimed) -> None:
    writing = Writing(claimed)
    while writing.go_on():
        pass


def test_a_short_file_comes_at_once(few: list[str], row: VoiceApplication, client: Client) -> None:
    answer = export(client, "verdict=bad")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="calls.csv"'
    found = rows_of(streamed(answer))
    assert [line["callId"] for line in found] == few[2:]
    first = found[0]
    assert (first["applicationName"], first["from"], first["number"]) == ("'=1+1", "sip:+14155550100@198.51.100.7", "14155550100")
    assert (first["verdict"], first["level"], first["endReason"], first["talkSeconds"]) == (
        "webhook_failed",
        "bad",
        "callback_error",
        "8.0",
    )
    assert first["startTime"] == Call.objects.get(pk=first["callId"]).started_at.isoformat()
    assert not CallExport.objects.exists()
    shows = "numbers and addresses"
    assert entries() == [("operator op", "csv", {"filter": "verdict=bad", "rows": 3, "shows": shows})]


def test_json_lines_are_whole_rows(few: list[str], client: Client) -> None:
    lines = [json.loads(line) for line in streamed(export(client, "verdict=good", "jsonl")).splitlines()]
    assert [line["callId"] for line in lines] == few[:2]
    assert tuple(lines[0]) == call_files.COLUMNS
    assert lines[0]["applicationName"] == "=1+1"


def test_who_may_not_see_persons_takes_none_away(few: list[str], client: Client) -> None:
    text = streamed(export(client_with("export_calls"), "verdict=bad"))
    assert "14155550100" not in text
    assert "203.0.113.9" not in text
    assert rows_of(text)[0]["from"] == "sip:+1415555…@198.51.100.0/24"
    assert export(client_with("export_calls"), "ip=203.0.113.9").status_code == 403


@pytest.mark.parametrize(("query", "form"), [("app=x", "csv"), ("", "xls"), ("", "")])
def test_what_means_nothing_is_no_file(client: Client, query: str, form: str) -> None:
    assert export(client, query, form).status_code == 400
    assert entries() == []


@pytest.mark.parametrize(("most", "size"), [(6, 5), (5, 5), (4, None), (1, None)])
def test_the_size_is_known_up_to_the_limit(few: list[str], monkeypatch: pytest.MonkeyPatch, most: int, size: int | None) -> None:
    monkeypatch.setattr(exports, "MAX_STREAMED", most)
    assert exports.size_of(CallFilter(account_id="9900000")) == size
    assert exports.size_of(CallFilter(source_ip="203.0.113.9", account_id="9900000")) == size


def test_the_walk_ends_with_the_limit(few: list[str], django_assert_num_queries: DjangoAssertNumQueries) -> None:
    with django_assert_num_queries(2):
        assert exports.size_of(CallFilter(account_id="9900000")) is None


def ordered(client: Client, query: str = "account=9900000") -> CallExport:
    assert export(client, query).headers["Location"] == reverse("console:call_files")
    return CallExport.objects.latest("created_at")


def test_a_long_file_is_written_by_a_worker(few: list[str], client: Client, folder: Path) -> None:
    row = ordered(client)
    page = client.get(reverse("console:call_files"))
    assert "data-live-part" in page.content.decode()
    assert "waiting" in page.content.decode()
    assert client.get(reverse("console:call_file", args=[row.pk])).status_code == 404
    (claimed,) = exports.claim(8)
    assert exports.claim(8) == []
    writing = Writing(claimed)
    assert writing.go_on()
    row.refresh_from_db()
    assert (row.state, row.rows) == ("running", 2)
    while writing.go_on():
        pass
    exports.store(claimed, "")
    part = client.get(reverse("console:call_files"), {"live": "1"}, headers={"HX-Request": "true"}).content.decode()
    assert "Download (" in part
    assert "<html" not in part
    page = client.get(reverse("console:call_files"))
    assert "data-live-part" not in page.content.decode()
    assert "Download (" in page.content.decode()
    (path,) = folder.iterdir()
    assert path.stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700
    answer = client.get(reverse("console:call_file", args=[row.pk]))
    assert answer.headers["Content-Disposition"] == 'attachment; filename="calls.csv"'
    assert [line["callId"] for line in rows_of(streamed(answer))] == few
    told = {"filter": "account=9900000", "shows": "numbers and addresses"}
    assert entries() == [("operator op", "csv", {**told, "rows": None}), ("operator op", "csv", {**told, "rows": 5})]


def test_only_who_ordered_a_file_gets_it(few: list[str], client: Client) -> None:
    row = ordered(client)
    (claimed,) = exports.claim(8)
    write(claimed)
    exports.store(claimed, "")
    CallExport.objects.update(operator=User.objects.create(username="other"))
    assert client.get(reverse("console:call_file", args=[row.pk])).status_code == 404
    assert "No file is kept" in client.get(reverse("console:call_files")).content.decode()
    CallExport.objects.update(operator=User.objects.get(username="op"))
    assert client_with("export_calls").get(reverse("console:call_file", args=[row.pk])).status_code == 404


def test_who_is_bound_to_an_account_gets_no_file_of_others(few: list[str], folder: Path) -> None:
    user = made("tester", Role.SUPPORT)
    row = ordered(logged_in(user))
    (claimed,) = exports.claim(8)
    write(claimed)
    exports.store(claimed, "")
    ordered(logged_in(user))
    (begun,) = exports.claim(8)
    writing = Writing(begun)
    address = reverse("console:call_file", args=[row.pk])
    assert logged_in(user).get(address).status_code == 200
    user = User.objects.get(pk=user.pk)
    operators.change(user, Role.SUPPORT, ensure_account("9900001", actor=ACTOR), actor=ACTOR)
    assert logged_in(user).get(address).status_code == 404
    with pytest.raises(LostError):
        writing.go_on()
    exports.sweep()
    assert list(folder.iterdir()) == []


def test_a_worker_that_died_is_followed_by_another_one(few: list[str], client: Client, folder: Path) -> None:
    row = ordered(client)
    (first,) = exports.claim(8)
    slow = Writing(first)
    slow.go_on()
    assert exports.claim(8) == []
    CallExport.objects.update(leased_until=timezone.now() - timedelta(seconds=1))
    (second,) = exports.claim(8)
    assert second == replace(first, tries=2)
    with pytest.raises(LostError):
        slow.go_on()
    exports.store(first, "")
    write(second)
    exports.store(second, "")
    row.refresh_from_db()
    assert (row.state, row.rows, row.tries) == ("ended", 5, 2)
    assert [path.name for path in folder.iterdir()] == [f"{row.pk}.calls"]


def test_a_lease_of_another_time_is_over(few: list[str], client: Client) -> None:
    ordered(client)
    exports.claim(8)
    CallExport.objects.update(leased_until=timezone.now() + LEASE * 2)
    assert len(exports.claim(8)) == 1


def test_workers_that_die_again_and_again_are_the_end(few: list[str], client: Client) -> None:
    row = ordered(client)
    for _ in range(MAX_TRIES):
        assert len(exports.claim(8)) == 1
        CallExport.objects.update(leased_until=timezone.now() - timedelta(seconds=1))
    assert exports.claim(8) == []
    row.refresh_from_db()
    assert (row.state, row.problem) == ("failed", NO_WORKER)
    assert NO_WORKER in client.get(reverse("console:call_files")).content.decode()


def test_a_worker_that_ends_gives_back_what_it_began(few: list[str], client: Client, folder: Path) -> None:
    row = ordered(client)
    (claimed,) = exports.claim(8)
    Writing(claimed).go_on()
    exports.give_back([claimed])
    row.refresh_from_db()
    assert (row.state, row.tries, row.rows, list(folder.iterdir())) == ("waiting", 0, 0, [])


def test_what_cannot_be_written_has_failed(few: list[str], client: Client, folder: Path) -> None:
    row = ordered(client)
    (claimed,) = exports.claim(8)
    Writing(claimed)
    exports.store(claimed, "No space left.")
    row.refresh_from_db()
    assert (row.state, row.problem, list(folder.iterdir())) == ("failed", "No space left.", [])


def test_an_operator_has_so_many_files(few: list[str], client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "MAX_OPEN", 2)
    for _ in range(3):
        answer = client.post(reverse("console:export_calls"), {"query": "account=9900000", "format": "csv"}, follow=True)
    assert "files are being written" in answer.content.decode()
    assert CallExport.objects.count() == 2
    monkeypatch.setattr(exports, "MAX_KEPT", 2)
    CallExport.objects.update(state="ended")
    export(client, "account=9900000")
    assert CallExport.objects.count() == 2


def test_files_are_gone_after_a_day(few: list[str], client: Client, folder: Path) -> None:
    tasks.sweep_exports()
    old, young = ordered(client), ordered(client)
    for claimed in exports.claim(8):
        write(claimed)
        exports.store(claimed, "")
    strangers = (folder / f"{uuid4()}.1.part", folder / "notes")
    for path in strangers:
        path.touch()
    CallExport.objects.filter(pk=old.pk).update(created_at=timezone.now() - KEPT - timedelta(seconds=1))
    TaskLease.objects.all().delete()
    tasks.sweep_exports()
    assert list(CallExport.objects.values_list("pk", flat=True)) == [young.pk]
    assert [path.name for path in folder.iterdir()] == [f"{young.pk}.calls"]


def test_the_times_of_a_filter_are_those_of_its_order(few: list[str], client: Client) -> None:
    ordered(client, "since=2h")
    then = timezone.now() - timedelta(hours=5)
    CallExport.objects.update(created_at=then)
    (claimed,) = exports.claim(8)
    assert (claimed.wanted.asked.since, claimed.wanted.asked.until) == (then - timedelta(hours=2), then)
    write(claimed)
    assert CallExport.objects.get().rows == 0


def peak(parts: Iterator[object]) -> int:
    """Return the octets that there were at most while the parts of a file were made."""
    tracemalloc.start()
    try:
        for _ in parts:
            gc.collect()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("way", ["streamed", pytest.param("written", marks=pytest.mark.long)])
def test_memory_does_not_grow_with_a_file(row: VoiceApplication, client: Client, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    for module in (call_list, exports):
        monkeypatch.setattr(module, "AT_ONCE", 50)
    monkeypatch.setattr(exports, "MAX_STREAMED", 0)
    now = timezone.now()
    same = {"account_id": row.account_id, "application": row, "source_ip": "203.0.113.9", "source_port": 5060, "end_class": "success"}
    Call.objects.bulk_create(Call(call_id=f"c-{n}", started_at=now - timedelta(minutes=n), **same) for n in range(1, 2_001))

    def taken(hours: int) -> int:
        ordered(client, f"since={hours}h")
        (claimed,) = exports.claim(1)
        writing = Writing(claimed)
        return peak(call_files.whole(claimed.wanted) if way == "streamed" else iter(writing.go_on, False))

    taken(1)
    short, long = taken(2), taken(33)
    assert long < short * 1.2
