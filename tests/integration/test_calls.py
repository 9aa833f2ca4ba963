"""Whole calls through every role, placed by our own phone."""

from __future__ import annotations

import math
import subprocess
import wave
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import bandwidth.models as models
import pytest
from bandwidth.models.bxml import Gather, Hangup, Record, Redirect, Response, SpeakSentence

from callflow.aio.phone import CallFailed, Phone, PhoneCall
from callflow.audio import receiver
from callflow.sip import sdp_answer
from mediarelay.rtp import g711
from tests.support.backend import TestBackend
from tests.support.fleet import ACCOUNT, Application, Fleet, until

PROMPT = "The quick brown fox."
TONE = g711.pcm16_to_ulaw(
    b"".join(int(9000 * math.sin(2 * math.pi * 500 * n / 8000)).to_bytes(2, "little", signed=True) for n in range(16_000))
)


def bxml(*verbs: object) -> str:
    document: str = Response(list(verbs)).to_bxml()
    return document


@pytest.fixture
async def phone(fleet: Fleet) -> AsyncIterator[Phone]:
    phone = Phone(proxy=fleet.sip)
    await phone.open()
    yield phone
    await phone.close()


@pytest.fixture
def application(fleet: Fleet, backend: TestBackend) -> Application:
    return fleet.application(callback=f"{backend.url}/initiate", status=f"{backend.url}/status")


async def dial(phone: Phone, application: Application) -> PhoneCall:
    return await phone.call(application.sip_uri, username=application.application_id, password=application.password)


def conforms(event: dict[str, object]) -> bool:
    """Feed an event to the vendor's own model: right types, and no field it does not know."""
    name = {"recordComplete": "RecordingComplete"}.get(str(event["eventType"])) or str(event["eventType"])[0].upper() + str(
        event["eventType"]
    )[1:]
    model = getattr(models, f"{name}Callback").from_dict(event)
    return bool(model.additional_properties == {})


async def test_the_caller_hears_the_prompt_sends_digits_and_leaves_a_recording(
    fleet: Fleet, backend: TestBackend, phone: Phone, application: Application
) -> None:
    backend.documents |= {
        "/initiate": bxml(SpeakSentence(PROMPT), Gather(gather_url="/gather", max_digits=4, first_digit_timeout=10)),
        "/gather": bxml(Record(record_complete_url="/recorded", max_duration=10, tag="t1")),
        "/recorded": bxml(Redirect(redirect_url="/redirect")),
        "/redirect": bxml(Hangup()),
    }
    call = await dial(phone, application)
    await call.wait_heard(1, timeout=10)
    await call.wait_silence(0.4, timeout=20)
    await call.send_digits("12#4")
    backend.wait("gather")
    await call.play(TONE)
    await call.send_digits("#")
    assert await call.wait_ended(20) == "remote"
    backend.wait("disconnect")

    assert [event["eventType"] for event in backend.events] == ["initiate", "gather", "recordComplete", "redirect", "disconnect"]
    assert all(conforms(event) for event in backend.events)
    assert backend.of("gather")[0]["digits"] == "12#4"
    assert backend.of("disconnect")[0]["cause"] == "hangup"
    assert backend.of("initiate")[0]["to"] == application.sip_uri

    # The cache holds what espeak-ng made of the sentence, as µ-law.
    prompts = [path.read_bytes() for path in (fleet.state / "prompts").iterdir()]
    assert any(len(prompt) > 4_000 and prompt in bytes(call.heard) for prompt in prompts)

    recording = backend.of("recordComplete")[0]
    audio = _download(fleet, recording["mediaUrl"])
    path = fleet.state / "download.wav"
    path.write_bytes(audio)
    with wave.open(str(path)) as file:
        heard = file.readframes(file.getnframes())
    tone = g711.ulaw_to_pcm16(TONE)
    begin = heard.find(tone[:800])
    assert begin >= 0
    assert heard[begin : begin + len(tone)] == tone
    assert abs(len(heard) / 16_000 - float(recording["duration"][2:-1])) <= 0.02


def _download(fleet: Fleet, url: str) -> bytes:
    fleet.api("GET", f"/v2/accounts/{ACCOUNT}/voice-applications")
    ran = subprocess.run(
        ["curl", "-sf", "-H", f"Authorization: Bearer {fleet._token}", "-H", "Accept: application/json", url],
        capture_output=True,
        check=True,
    )
    return ran.stdout


async def test_the_record_of_a_call_tells_everything(fleet: Fleet, backend: TestBackend, phone: Phone, application: Application) -> None:
    backend.documents["/initiate"] = bxml(SpeakSentence(PROMPT))
    call = await dial(phone, application)
    await call.wait_ended(20)
    call_id = backend.wait("disconnect")[0]["callId"]
    assert len(call_id) == 47
    report = until(lambda: _report(fleet, call_id), seconds=20, what="the call's media figures") or {}
    assert (report["head"]["state"], report["head"]["end_class"], report["verdict"]["code"]) == ("disconnected", "success", "heard")
    sides = {figures["side"]: figures for figures in report["media"]}
    assert sides["internal"]["packets_in"] == sides["external"]["packets_out"] > 40
    assert {line["event_type"] for line in report["webhooks"]} == {"initiate", "disconnect"}
    lines = [line["first_line"] for line in report["ladder"] if line["leg"] == "caller"]
    assert lines[0].startswith("INVITE ")
    assert any(line.startswith("BYE ") for line in lines)
    texts = " ".join(line["text"] for line in report["ladder"])
    assert "response=" not in texts or 'response="***"' in texts or 'response="' not in texts


def _report(fleet: Fleet, call_id: str) -> dict[str, Any] | None:
    code = f"""
from dataclasses import asdict
from voiceapps.reads.call_report import call_report
report = call_report({call_id!r})
result = report and asdict(report)"""
    report: dict[str, Any] | None = fleet.python(code)
    return report if report and len(report["media"]) == 2 else None


@pytest.mark.parametrize(
    ("documents", "status", "cause"),
    [
        ({"/initiate": 500}, 500, "callback-error"),
        ({"/initiate": "<Response><Dance/></Response>"}, 500, "invalid-bxml"),
        ({"/initiate": "no xml at all"}, 500, "invalid-bxml"),
        ({"/initiate": "<Response/>"}, 603, "rejected"),
        ({"/initiate": "<Response><PlayAudio>/nothing.ogg</PlayAudio></Response>"}, 200, "application-error"),
    ],
)
async def test_a_broken_backend_ends_the_call_with_its_cause(  # noqa: PLR0913  # fixtures
    backend: TestBackend, phone: Phone, application: Application, documents: dict[str, str | int], status: int, cause: str
) -> None:
    backend.documents |= documents
    if status == 200:
        call = await dial(phone, application)
        await call.wait_ended(20)
    else:
        with pytest.raises(CallFailed) as failed:
            await dial(phone, application)
        assert failed.value.status // 100 == status // 100
    event = backend.wait("disconnect")[0]
    assert event["cause"] == cause
    assert conforms(event)


async def test_a_codec_under_another_number_is_heard_both_ways(
    backend: TestBackend, phone: Phone, application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The phone, which is in this process, knows A-law by 96 alone.
    monkeypatch.setattr(sdp_answer, "_STATIC", {96: 8})
    monkeypatch.setattr(receiver, "_OWN", {})
    backend.documents["/initiate"] = bxml(Record(record_complete_url="/recorded", max_duration=10))
    backend.documents["/recorded"] = bxml(SpeakSentence(PROMPT), Hangup())
    call = await dial(phone, application)
    await call.play(TONE)
    await call.send_digits("#")
    await call.wait_heard(0.5, timeout=20)
    assert await call.wait_ended(20) == "remote"
    (recording,) = backend.wait("recordComplete")
    assert float(recording["duration"][2:-1]) >= 1.9


async def test_a_rotated_password_is_dead_at_once(fleet: Fleet, backend: TestBackend, phone: Phone, application: Application) -> None:
    backend.documents["/initiate"] = bxml(SpeakSentence(PROMPT))
    path = f"/v2/accounts/{ACCOUNT}/voice-applications/{application.application_id}"
    password = fleet.api("PATCH", path, {"passwordAuthEnabled": True})["data"]["sipAuthPassword"]
    with pytest.raises(CallFailed) as failed:
        await dial(phone, application)
    assert failed.value.status == 401
    call = await phone.call(application.sip_uri, username=application.application_id, password=password)
    await call.hang_up()


async def test_a_caller_who_vanishes_costs_nothing(backend: TestBackend, phone: Phone, application: Application) -> None:
    backend.documents["/initiate"] = bxml(SpeakSentence(PROMPT * 20))
    call = await dial(phone, application)
    await call.wait_heard(0.5, timeout=10)
    await call.hang_up()
    assert backend.wait("disconnect")[0]["cause"] == "hangup"


def test_the_phone_is_a_command(fleet: Fleet, backend: TestBackend, application: Application, tmp_path: Path) -> None:
    backend.documents["/initiate"] = bxml(SpeakSentence(PROMPT))
    heard = tmp_path / "heard.wav"
    proxy = "{}:{}".format(*fleet.sip)
    options = ("--proxy", proxy, "--user", application.application_id, "--password", application.password, "--save", str(heard))
    printed = fleet.manage("call", application.sip_uri, *options)
    assert "INVITE" in printed
    assert heard.stat().st_size > 8000
