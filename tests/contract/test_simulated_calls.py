"""`manage.py simulatecall`: an application's real backend, and a call that nobody places."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from pytest_django.fixtures import Settings

from tests.support.api import ApiCustomer
from tests.support.backend import TestBackend
from voiceapps.models import Call, VoiceApplication, WebhookDelivery

CHOSEN = "<Response><SpeakSentence>{digits}</SpeakSentence></Response>"
MENU = "<Response><Gather gatherUrl='/choice' maxDigits='1' repeatCount='2'><SpeakSentence>Press one</SpeakSentence></Gather></Response>"


@pytest.fixture
def backend(settings: Settings) -> Iterator[TestBackend]:
    settings.WEBHOOK_ALLOW_PRIVATE = True
    backend = TestBackend({"/start": MENU, "/choice": lambda event: CHOSEN.format(**event)})
    yield backend
    backend.close()


@pytest.fixture
def application(customer: ApiCustomer, backend: TestBackend) -> str:
    return str(customer.create(callInitiatedCallbackUrl=f"{backend.url}/start")["applicationId"])


def simulated(*arguments: str) -> str:
    output = io.StringIO()
    call_command("simulatecall", *arguments, stdout=output)
    return output.getvalue()


def test_a_menu_is_read_line_by_line(application: str, backend: TestBackend) -> None:
    lines = simulated(application, "--digits=", "--digits=1", "--from=sip:bob@example.org").splitlines()
    assert lines[0] == "    0.000  arrived           from sip:bob@example.org"
    assert lines[-7:] == [
        "    7.100  caller presses    1",
        f"    7.100  webhook           gather to {backend.url}/choice",
        "    7.100  webhook answered  200, 53 octets",
        "    7.100  verb              <SpeakSentence>, line 1",
        "    7.100  says              1 (female, en_US)",
        "    7.500  hung up",
        "    7.500  ended             hangup",
    ]


def test_the_backend_gets_a_calls_events_and_is_told(application: str, backend: TestBackend) -> None:
    simulated(application, "--digits=1")
    assert [event["eventType"] for event in backend.events] == ["initiate", "gather"]
    assert backend.simulated == 2
    assert backend.events[1]["digits"] == "1"
    assert len({event["callId"] for event in backend.events}) == 1
    assert not Call.objects.exists()
    assert not WebhookDelivery.objects.exists()


def test_a_script_in_a_file_and_an_answer_in_json(application: str, tmp_path: Path) -> None:
    script = tmp_path / "script.json"
    script.write_text(json.dumps({"turns": [{"digits": "7"}], "hangUpAt": 60}))
    answer = json.loads(simulated(application, f"--script={script}", "--json"))
    assert answer["problem"] is None
    assert {"at": 1.3, "what": "callerPresses", "text": "7"} in answer["transcript"]


def test_a_script_from_the_input(application: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b'{"hangUpAt": 1}')))
    assert "    1.000  caller hangs up\n" in simulated(application, "--script=-")


def test_a_call_that_fails_fails_the_command(application: str, backend: TestBackend) -> None:
    backend.documents["/choice"] = 500
    with pytest.raises(CommandError, match=r"^callback-error: .*It answered 500\."):
        simulated(application, "--digits=1")


def test_the_guard_holds_for_simulated_calls(application: str, settings: Settings) -> None:
    settings.WEBHOOK_ALLOW_PRIVATE = False
    with pytest.raises(CommandError, match="callback-error"):
        simulated(application)


def test_webhooks_that_take_too_long(application: str) -> None:
    with pytest.raises(CommandError, match=r"^Its webhooks took longer than 0 s\.$"):
        simulated(application, "--max-seconds=0")


def test_input_that_cannot_be(application: str, customer: ApiCustomer, tmp_path: Path) -> None:
    broken = tmp_path / "broken.json"
    broken.write_text("{")
    silent = customer.create()["applicationId"]
    VoiceApplication.objects.filter(pk=silent).update(initiated_url="")
    wrong: list[tuple[list[Any], str]] = [
        (["nonsense"], "There is no application nonsense."),
        (["7f4f1a52-0000-4000-8000-000000000000"], "There is no application 7f4f1a52-0000-4000-8000-000000000000."),
        ([str(silent)], "The application has no callInitiatedCallbackUrl: a call to it is not answered by documents."),
        ([application, "--digits=x"], "turns[0].digits: May hold at most 50 of 0-9, A-D, * and #."),
        (
            [application, "--script=-", "--digits=1"],
            "--script holds all that the caller does: leave --digits, --from and --hang-up-at out.",
        ),
        ([application, f"--script={broken}"], f"{broken} is no JSON file. Expecting property name"),
        ([application, f"--script={tmp_path}/none"], f"{tmp_path}/none is no JSON file. [Errno 2]"),
    ]
    for arguments, sentence in wrong:
        with pytest.raises(CommandError) as caught:
            simulated(*arguments)
        assert str(caught.value).startswith(sentence)
