"""What is found of database, broker, roles and keys, and the command that tells it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import OperationalError, connection
from pytest_django.fixtures import Settings

from sipuri_project.doctor import examination, keys, roles, stores
from tests.unit.voiceapps.builders import application
from voiceapps.choices import NodeState
from voiceapps.models import SipCredential
from voiceapps.rules.diagnosis.findings import Finding, bad, doubtful, good
from voiceapps.rules.diagnosis.verdicts import Level
from voiceapps.selectors import NodeView
from voiceapps.services import key_check
from voiceapps.services.key_check import KeysDiffer

GOOD, DOUBTFUL, BAD = Level.GOOD, Level.DOUBTFUL, Level.BAD


def test_a_database_that_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise OperationalError("connection refused")

    monkeypatch.setattr(connection, "ensure_connection", refuse)
    (found,) = stores.examine_database()
    assert (found.level, found.sentence) == (BAD, "The database does not answer: connection refused")


@pytest.mark.django_db
def test_a_database_as_it_should_be() -> None:
    assert {finding.level for finding in stores.examine_database()} == {GOOD}


@pytest.mark.parametrize(
    ("milliseconds", "vendor", "production", "level"),
    [(1.0, "postgresql", True, GOOD), (40.0, "postgresql", True, DOUBTFUL), (1.0, "sqlite", True, DOUBTFUL), (1.0, "sqlite", False, GOOD)],
)
def test_a_database_that_is_slow_or_small(milliseconds: float, vendor: str, production: bool, level: Level) -> None:
    assert stores.judge_answer(milliseconds, vendor, production=production).level is level


def test_tables_of_another_release() -> None:
    assert (stores.judge_tables(0).level, stores.judge_tables(2).level) == (GOOD, BAD)
    assert "manage.py migrate" in stores.judge_tables(2).fix


def test_connections_are_told_by_program() -> None:
    held = {"sipuri runsipproxy": 3, "sipuri gunicorn": 78}
    found = stores.judge_connections(held, 100)
    assert (found.level, found.sentence) == (BAD, "81 of 100 connections are in use: sipuri runsipproxy 3, sipuri gunicorn 78.")
    assert stores.judge_connections(held, 102).level is GOOD


@pytest.mark.parametrize(
    ("policy", "waiting", "level"),
    [("noeviction", 3, GOOD), ("", 3, GOOD), ("allkeys-lru", 3, BAD), ("noeviction", 1_001, DOUBTFUL)],
)
def test_a_redis_that_forgets_or_is_behind(policy: str, waiting: int, level: Level) -> None:
    assert stores.judge_redis(policy, waiting).level is level


def test_a_redis_that_is_away(settings: Settings) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    assert [finding.level for finding in stores.examine_broker()] == [BAD]


def test_a_folder_in_which_tasks_wait(settings: Settings, tmp_path: Path) -> None:
    settings.REDIS_URL, settings.QUEUE_DIR = "", tmp_path
    assert [finding.level for finding in stores.examine_broker()] == [GOOD]
    (tmp_path / "1.housekeeping.msg").write_text("{}")
    os.utime(tmp_path / "1.housekeeping.msg", (1, 1))
    assert [finding.level for finding in stores.examine_broker()] == [DOUBTFUL]
    settings.PRODUCTION = True
    assert [finding.level for finding in stores.examine_broker()] == [DOUBTFUL, DOUBTFUL]


def node(name: str, *, live: bool = True, state: str = NodeState.UP) -> NodeView:
    return NodeView(name, "callflow", state, "", "", (), 0, "", live)


@pytest.mark.parametrize(
    ("known", "level", "says"),
    [
        ([], BAD, "No callflow is heard."),
        ([node("a", live=False)], BAD, "No callflow is heard."),
        ([node("a"), node("b", live=False)], DOUBTFUL, "b fell silent; 1 others are up."),
        ([node("a", state=NodeState.DRAINING)], BAD, "Every callflow drains."),
        ([node("a", state=NodeState.DRAINING), node("b")], GOOD, "callflow: b."),
    ],
)
def test_a_role_that_nobody_has(known: list[NodeView], level: Level, says: str) -> None:
    found = roles.judge("callflow", known)
    assert (found.level, found.sentence) == (level, says if "fell" not in says else f"callflow: {says}")


def test_keys_that_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    def differ(*, learn: bool) -> None:
        raise KeysDiffer("SIPURI_NONCE_KEY is not the one.\nSIPURI_ROUTE_KEY does not fit.")

    monkeypatch.setattr(key_check, "ensure", differ)
    monkeypatch.setattr(keys, "credentials_of_another_realm", lambda _databases: [])
    assert [(finding.level, finding.sentence) for finding in keys.examine()] == [
        (BAD, "SIPURI_NONCE_KEY is not the one."),
        (BAD, "SIPURI_ROUTE_KEY does not fit."),
    ]


@pytest.mark.django_db
def test_a_password_of_another_realm() -> None:
    SipCredential.objects.create(application=application(), realm="old.example", secrets="[]")
    good_keys, strange = keys.examine()
    assert good_keys.level is GOOD
    assert (strange.level, "old.example" in strange.sentence) == (BAD, True)


def raising() -> Iterator[Finding]:
    yield good("Clock", "It runs.")
    raise RuntimeError("no such file")


def test_one_part_that_fails_hides_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examination, "EXAMINATIONS", {"Clock": raising, "Disk": lambda: iter([good("Disk", "There is room.")])})
    found = examination.examine()
    assert [(finding.subject, finding.level) for finding in found] == [("Clock", BAD), ("Disk", GOOD)]
    assert "RuntimeError: no such file" in found[0].sentence


@pytest.mark.parametrize(
    ("found", "code"),
    [
        ([good("A", "Well.")], 0),
        ([good("A", "Well."), doubtful("B", "Hm.", "Look.")], 1),
        ([bad("C", "Gone.", "Start it."), doubtful("B", "Hm.", "Look.")], 2),
    ],
)
def test_the_command_ends_with_the_code_of_the_worst(
    found: list[Finding], code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sipuri_project.management.commands.doctor.examine", lambda: found)
    with pytest.raises(SystemExit) as ended:
        call_command("doctor", "--json")
    assert ended.value.code == code
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(one["subject"], one["level"]) for one in told] == [(finding.subject, finding.level.value) for finding in found]


def test_the_command_tells_what_mends(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    found = [good("A", "Well."), bad("Relay", "It does not answer.", "Start it.")]
    monkeypatch.setattr("sipuri_project.management.commands.doctor.examine", lambda: found)
    with pytest.raises(SystemExit):
        call_command("doctor", "--quiet")
    assert capsys.readouterr().out == "FAIL  Relay        It does not answer.\n                   → Start it.\n"
