"""The phone's command, and applications as the engine gets them."""

from __future__ import annotations

import asyncio
import io
import json
import wave
from pathlib import Path

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from callflow.adapters.applications import to_application
from callflow.bxml import Webhook
from callflow.config import Application
from tests.unit.callflow.harness import URI, CallflowHarness, running_callflow
from voiceapps.selectors import CallApplication

ROW = CallApplication(
    application_id="app-1",
    account_id="9900000",
    initiated_url="https://app.example.com/start",
    initiated_method="GET",
    initiated_fallback_url="",
    initiated_fallback_method="POST",
    username="u",
    password="p",
    fallback_username="fu",
    fallback_password="fp",
    status_url="",
    timeout_seconds=7.5,
    media_timeout=40,
    keepalive=20,
    mask_digits=True,
)


async def run_call(harness: CallflowHarness, *arguments: str) -> tuple[int, str]:
    """Run the command beside the call flow that it calls; return its exit code and what it printed."""
    output = io.StringIO()
    host, port = harness.shim.local

    def run() -> int:
        try:
            call_command("call", URI, f"--proxy={host}:{port}", *arguments, stdout=output)
        except SystemExit as error:
            return int(error.code or 0)
        return -1

    return await asyncio.to_thread(run), output.getvalue()


async def test_the_command_reports_a_call_as_json(tmp_path: Path) -> None:
    async with running_callflow(tmp_path) as harness:
        harness.documents["/start"] = (
            "<Response><Gather gatherUrl='/g' terminatingDigits='#'><SpeakSentence>Hi</SpeakSentence></Gather></Response>"
        )
        # Digits cut off what the gather says, on a slow machine before any of it; nothing cuts off the last sentence.
        harness.documents["/g"] = "<Response><Record maxDuration='1.2'/><SpeakSentence>Bye</SpeakSentence></Response>"
        saved = tmp_path / "heard.wav"
        code, output = await run_call(harness, "--digits=7#", "--tone=440:0.5", f"--save={saved}", "--json")
        assert code == 0
        result = json.loads(output)
        assert (result["status"], result["ended_by"], result["rtp_lost"]) == (200, "remote", 0)
        assert result["rtp_received"] > 10
        first = result["ladder"][0]
        assert first[1:] == ["out", f"INVITE {URI} SIP/2.0"]
        assert harness.bodies("/g")[0]["digits"] == "7"
        with wave.open(str(saved)) as file:
            assert file.getnframes() >= round(result["heard_seconds"] * 8000) > 0


async def test_the_command_prints_the_messages(tmp_path: Path) -> None:
    async with running_callflow(tmp_path) as harness:
        harness.documents["/start"] = "<Response><SpeakSentence>Hi</SpeakSentence></Response>"
        code, output = await run_call(harness)
        assert code == 0
        assert f"-->  INVITE {URI} SIP/2.0" in output
        assert "<--  SIP/2.0 200 OK" in output
        assert "answered 200, ended by remote after" in output


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--tone=x",), "--tone must be HERTZ:SECONDS, not 'x'."),
        (("--play=/nowhere.wav",), "/nowhere.wav cannot be played."),
        (("--proxy=nowhere",), "--proxy must be host:port, not 'nowhere'."),
        (("--max-seconds=0.4",), "The call was still up after 0.4 s and was hung up."),
    ],
)
async def test_the_command_fails_with_one_sentence(tmp_path: Path, arguments: tuple[str, ...], sentence: str) -> None:
    async with running_callflow(tmp_path) as harness:
        harness.documents["/start"] = "<Response><Pause duration='60'/></Response>"
        with pytest.raises(CommandError) as caught:
            await run_call(harness, *arguments)
        assert str(caught.value).startswith(sentence)


async def test_a_call_that_is_not_answered_fails(tmp_path: Path) -> None:
    async with running_callflow(tmp_path) as harness:
        harness.documents["/start"] = "<Response/>"
        with pytest.raises(CommandError) as caught:
            await run_call(harness)
        assert str(caught.value) == "The call was not answered: 603 Decline."


def test_a_row_becomes_what_the_engine_needs() -> None:
    initiated = Webhook("https://app.example.com/start", "GET", "u", "p")
    assert to_application(ROW) == Application(initiated, 7.5, 40, 20, mask_digits=True)


def test_a_fallback_has_its_own_credentials() -> None:
    row = CallApplication(
        **{name: getattr(ROW, name) for name in CallApplication.__slots__} | {"initiated_fallback_url": "https://b.example.com/"}
    )
    assert to_application(row).initiated.fallback == Webhook("https://b.example.com/", "POST", "fu", "fp")
