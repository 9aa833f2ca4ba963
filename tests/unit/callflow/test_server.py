"""Whole calls over loopback: phone, call flow, a customer's backend, speech, digits and recordings."""

from __future__ import annotations

import asyncio
import json
import math
import struct
import time
import wave
from contextlib import suppress
from pathlib import Path

import pytest
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from callflow.aio.phone import RATE, CallFailed, PhoneCall
from callflow.aio.sounds import spool as spool_module
from callflow.aio.sounds.espeak import Espeak
from callflow.aio.sounds.speech import Speaker
from callflow.aio.sounds.spool import Spool
from callflow.audio.agreement import Agreement, Codec
from callflow.bxml.voices import Voice
from mediarelay.rtp.g711 import pcm16_to_ulaw, ulaw_to_pcm16
from tests.unit.callflow.harness import URI, CallflowHarness, running_callflow
from tests.unit.user_agent.link import CALL_ID
from voiceapps.rules.endings import EndReason
from voiceapps.rules.reports import (
    CallAnswered,
    CallEnded,
    RecordingStored,
    StatusEventQueued,
    WebhookFetched,
)

VOICE = Voice("en_US", "female")


def tone(seconds: float, hertz: float = 440.0) -> bytes:
    step = 2 * math.pi * hertz / RATE
    return pcm16_to_ulaw(b"".join(struct.pack("=h", int(8000 * math.sin(step * n))) for n in range(int(seconds * RATE))))


def _write_wav(path: Path, ulaw: bytes) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(ulaw_to_pcm16(ulaw))


def speaker_of(harness: CallflowHarness) -> Speaker:
    return Speaker(harness.config.prompts_dir, Espeak(Spool(harness.config.spool_dir)))


async def test_a_menu_is_heard_and_answered(tmp_path: Path) -> None:
    async with running_callflow(tmp_path) as harness:
        harness.documents["/start"] = (
            "<Response><SpeakSentence>Welcome</SpeakSentence>"
            "<Gather gatherUrl='/choice' maxDigits='2'><SpeakSentence>Press two digits</SpeakSentence></Gather></Response>"
        )
        harness.documents["/choice"] = "<Response><SpeakSentence>Goodbye</SpeakSentence></Response>"
        call = await harness.call()
        await call.wait_heard(1.0, timeout=10)
        await call.wait_silence(0.5, timeout=10)
        await call.send_digits("42")
        assert await call.wait_ended(timeout=10) == "remote"
        await harness.idle()
        speaker = speaker_of(harness)
        for text in ("Welcome", "Press two digits", "Goodbye"):
            assert (await speaker.say(text, VOICE, account_id=""))[:] in bytes(call.heard)
        (gathered,) = harness.bodies("/choice")
        assert (gathered["digits"], gathered["terminatingDigit"], gathered["callId"]) == ("42", "", CALL_ID)
        assert harness.record(CallEnded).reason is EndReason.APPLICATION_HANGUP
        answered = harness.record(CallAnswered)
        assert abs(answered.at - time.time()) < 30
        fetched = [record for record in harness.records if isinstance(record, WebhookFetched)]
        assert [(f.event_type, f.status) for f in fetched] == [("initiate", 200), ("gather", 200)]
        assert json.loads(fetched[0].request_body)["eventType"] == "initiate"
        assert "Press two digits" in fetched[0].response_body


async def test_every_log_line_of_a_call_has_its_id(tmp_path: Path) -> None:
    with capture_logs(processors=[merge_contextvars]) as lines:
        async with running_callflow(tmp_path) as harness:
            harness.documents["/start"] = "<Response><Pause duration='0.1'/><Redirect redirectUrl='/next'/></Response>"
            harness.documents["/next"] = "<Response><Hangup/></Response>"
            call = await harness.call()
            assert await call.wait_ended(timeout=10) == "remote"
            await harness.idle()
    assert {line.get("call_id") for line in lines} == {CALL_ID}
    assert [line["event"] for line in lines if line["event"] != "verb_started"] == [
        "call_arrived",
        "application_found",
        *["webhook_asked", "webhook_answered", "call_answered"],
        *["webhook_asked", "webhook_answered", "call_ended"],
    ]
    assert [line["verb"] for line in lines if line["event"] == "verb_started"] == ["Pause", "Redirect", "Hangup"]


async def test_secrets_of_documents_and_urls_are_in_no_record_and_no_log_line(tmp_path: Path) -> None:
    with capture_logs(processors=[merge_contextvars]) as lines:
        async with running_callflow(tmp_path) as harness:
            harness.documents["/start"] = (
                "<Response><Redirect redirectUrl='/next?token=secret-1' username='u' password='secret-2'/></Response>"
            )
            harness.documents["/next"] = (
                "<Response><PlayAudio>http://user:secret-3@127.0.0.1:1/p.wav?Signature=secret-4</PlayAudio></Response>"
            )
            call = await harness.call()
            assert await call.wait_ended(timeout=10) == "remote"
            await harness.idle()
    assert harness.record(CallEnded).error_message == (
        "<PlayAudio> http://***@127.0.0.1:1/p.wav?Signature=*** could not be fetched. Cannot connect to 127.0.0.1:1: Connection refused."
    )
    assert "secret" not in repr([lines, harness.records])


async def test_a_caller_leaves_a_recording(tmp_path: Path) -> None:
    async with running_callflow(tmp_path) as harness:
        harness.documents["/start"] = "<Response><Record recordCompleteUrl='/done' recordingAvailableUrl='/kept'/></Response>"
        harness.documents["/done"] = "<Response><Hangup/></Response>"
        call = await harness.call()
        await call.play(tone(1.0))
        await call.send_digits("#")
        assert await call.wait_ended(timeout=10) == "remote"
        await harness.idle()
        stored = harness.record(RecordingStored)
        with wave.open(stored.path) as file:
            samples = file.readframes(100_000)
        assert abs(len(samples) // 2 - stored.duration_ms * 8) < 8
        assert ulaw_to_pcm16(tone(1.0)) in samples
        (done,) = harness.bodies("/done")
        assert (done["eventType"], done["recordingId"]) == ("recordComplete", stored.recording_id)
        queued = harness.record(StatusEventQueued)
        assert queued.url.endswith("/kept")
        assert Path(stored.path).is_relative_to(harness.config.recordings_dir)


async def test_who_speaks_is_recorded_until_the_silence_behind_it(tmp_path: Path) -> None:
    async with running_callflow(tmp_path) as harness:
        harness.documents["/start"] = "<Response><Pause duration='0.2'/><Record silenceTimeout='1'/></Response>"
        call = await harness.call()
        await call.play(tone(1.6))
        assert await call.wait_ended(timeout=10) == "remote"
        await harness.idle()
        assert 2_000 < harness.record(RecordingStored).duration_ms < 4_000


@pytest.mark.parametrize("in_memory", [spool_module.MAX_MEMORY_EACH, 0])
async def test_a_sound_file_is_played(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_memory: int) -> None:
    monkeypatch.setattr(spool_module, "MAX_MEMORY_EACH", in_memory)
    _write_wav(tmp_path / "tone.wav", tone(0.5))
    async with running_callflow(tmp_path) as harness:
        harness.documents["/start"] = "<Response><PlayAudio>tone.wav</PlayAudio></Response>"
        call = await harness.call()
        assert await call.wait_ended(timeout=10) == "remote"
        assert tone(0.5) in bytes(call.heard)
        assert call.session is not None
        assert call.session.lost == 0
        await harness.idle()
        assert harness.metric("sound_memory_octets") == harness.metric("sound_disk_octets") == 0


async def test_a_caller_that_hangs_up_frees_the_room_of_its_sound(tmp_path: Path) -> None:
    _write_wav(tmp_path / "tone.wav", tone(0.5) * 200)
    async with running_callflow(tmp_path) as harness:
        harness.documents["/start"] = "<Response><PlayAudio>tone.wav</PlayAudio></Response>"
        call = await harness.call()
        await call.wait_heard(0.2, timeout=10)
        assert harness.metric("sound_disk_octets") == len(tone(0.5)) * 200
        await call.hang_up()
        await harness.idle()
        assert harness.metric("sound_disk_octets") == 0


async def test_a_missing_sound_file_ends_the_call(tmp_path: Path) -> None:
    async with running_callflow(tmp_path) as harness:
        harness.documents["/start"] = "<Response><PlayAudio>missing.wav</PlayAudio></Response>"
        call = await harness.call()
        assert await call.wait_ended(timeout=10) == "remote"
        ended = harness.record(CallEnded)
        assert ended.reason is EndReason.APPLICATION_ERROR
        assert "could not be fetched. It answered 40" in (ended.error_message or "")


async def test_a_sound_that_there_is_no_room_for_ends_the_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool_module, "MAX_MEMORY_EACH", 0)
    monkeypatch.setattr(spool_module, "MAX_DISK", 10)
    (tmp_path / "tone.wav").write_bytes(bytes(100))
    async with running_callflow(tmp_path) as harness:
        harness.documents["/start"] = "<Response><PlayAudio>tone.wav</PlayAudio></Response>"
        call = await harness.call()
        assert await call.wait_ended(timeout=10) == "remote"
        ended = harness.record(CallEnded)
        assert (ended.reason, ended.error_message) == (
            EndReason.INTERNAL_ERROR,
            "There is no room for sounds: those of other calls take 10 octets.",
        )


async def test_a_bug_in_a_task_ends_its_call_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def say(*_: object) -> bytes:
        raise KeyError("a bug")

    monkeypatch.setattr(Speaker, "say", say)
    async with running_callflow(tmp_path) as harness:
        harness.documents["/start"] = "<Response><Pause duration='60'/></Response>"
        other = await harness.call()
        harness.documents["/start"] = "<Response><SpeakSentence>Hi</SpeakSentence></Response>"
        call = await harness.call()
        assert await call.wait_ended(timeout=10) == "remote"
        ended = harness.record(CallEnded)
        assert (ended.reason, ended.error_message) == (EndReason.INTERNAL_ERROR, "An unexpected error ended the call.")
        assert not other.ended


@pytest.mark.parametrize(
    ("document", "status", "reason"),
    [
        (None, 500, EndReason.CALLBACK_ERROR),
        ("<Response><Blink/></Response>", 500, EndReason.INVALID_BXML),
        ("<Response/>", 603, EndReason.APPLICATION_REJECTED),
    ],
)
async def test_calls_that_are_never_answered(tmp_path: Path, document: str | None, status: int, reason: EndReason) -> None:
    async with running_callflow(tmp_path) as harness:
        if document is not None:
            harness.documents["/start"] = document
        with pytest.raises(CallFailed) as caught:
            await harness.call()
        assert caught.value.status == status
        assert harness.record(CallEnded).reason is reason
        await harness.idle()


async def test_the_caller_hangs_up(tmp_path: Path) -> None:
    async with running_callflow(tmp_path) as harness:
        harness.documents["/start"] = "<Response><Record recordCompleteUrl='/done'/></Response>"
        call = await harness.call()
        await call.play(tone(0.3))
        await call.hang_up()
        assert await call.wait_ended(timeout=1) == "local"
        await harness.idle()
        assert harness.record(CallEnded).reason is EndReason.CALLER_HANGUP
        assert harness.record(RecordingStored).duration_ms >= 300
        assert harness.bodies("/done") == []


async def test_a_call_counts_from_the_callers_audio_where_its_ack_is_lost(tmp_path: Path) -> None:
    async with running_callflow(tmp_path) as harness:
        harness.documents["/start"] = "<Response><Record recordCompleteUrl='/done'/></Response>"
        harness.shim.lost_acks = 2
        call = await harness.call()
        while not harness.bodies("/start") or not any(isinstance(record, CallAnswered) for record in harness.records):
            await asyncio.sleep(0.05)
        await call.hang_up()
        await harness.idle()
        # The second copy of our answer came half a second after the first, and the third a second later.
        assert harness.record(CallAnswered).at < harness.shim.acknowledged_at - 1.0


async def test_a_caller_that_is_silent_and_answers_no_question_is_given_up(tmp_path: Path) -> None:
    async with running_callflow(tmp_path, media_timeout=0.3) as harness:
        harness.documents["/start"] = "<Response><Pause duration='60'/></Response>"
        call = await harness.call()
        fall_silent(call)
        harness.phone._sip_endpoint.agent._index.clear()  # From now on it answers 481.
        await harness.idle()
        assert harness.record(CallEnded).reason is EndReason.MEDIA_TIMEOUT


async def test_a_silent_caller_that_answers_our_question_stays(tmp_path: Path) -> None:
    async with running_callflow(tmp_path, media_timeout=0.2) as harness:
        harness.documents["/start"] = "<Response><Pause duration='1'/></Response>"
        call = await harness.call()
        fall_silent(call)
        assert await call.wait_ended(timeout=10) == "remote"
        assert harness.record(CallEnded).reason is EndReason.APPLICATION_HANGUP


async def test_a_call_with_audio_does_not_time_out(tmp_path: Path) -> None:
    async with running_callflow(tmp_path, media_timeout=0.5) as harness:
        harness.documents["/start"] = "<Response><Pause duration='1.5'/></Response>"
        call = await harness.call()
        await call.play(tone(3.0))
        assert harness.record(CallEnded).reason is EndReason.APPLICATION_HANGUP


async def test_draining_refuses_new_calls_and_keeps_old_ones(tmp_path: Path) -> None:
    async with running_callflow(tmp_path) as harness:
        harness.documents["/start"] = "<Response><Pause duration='60'/></Response>"
        call = await harness.call()
        assert harness.server.ready()
        harness.server.drain()
        assert not harness.server.ready()
        with pytest.raises(CallFailed) as caught:
            await harness.call()
        assert caught.value.status == 503
        assert not harness.server.idle()
        assert not call.ended
        harness.server.resume()
        assert harness.server.ready()
        another = await harness.call()
        for held in (call, another):
            assert not held.ended
            await held.hang_up()
        await harness.idle()


async def test_stopping_ends_calls_with_a_record(tmp_path: Path) -> None:
    async with running_callflow(tmp_path) as harness:
        harness.documents["/start"] = "<Response><Pause duration='60'/></Response>"
        call = await harness.call()
        await harness.server.stop()
        assert await call.wait_ended(timeout=5) == "remote"
        assert harness.record(CallEnded).reason is EndReason.NODE_LOST
        assert harness.server.load == 0


async def test_many_calls_leave_nothing_behind(tmp_path: Path) -> None:
    async with running_callflow(tmp_path) as harness:
        harness.documents["/start"] = "<Response><SpeakSentence>Hi</SpeakSentence></Response>"

        async def one() -> None:
            call = await harness.call()
            assert await call.wait_ended(timeout=20) == "remote"
            assert (await speaker_of(harness).say("Hi", VOICE, account_id=""))[:] in bytes(call.heard)

        await asyncio.gather(*(one() for _ in range(20)))
        await harness.idle()
        assert sum(isinstance(record, CallEnded) for record in harness.records) == 20


async def test_a_phone_gives_up_on_a_silent_proxy(tmp_path: Path) -> None:
    async with running_callflow(tmp_path) as harness:
        harness.shim.silent = True
        harness.documents["/start"] = "<Response><Pause duration='60'/></Response>"
        with suppress(TimeoutError), pytest.raises(CallFailed) as caught:
            await harness.phone.call(URI, username="", password="", timeout=0.5)
        assert caught.value.status == 408


async def test_a_held_call_gets_no_audio_until_it_is_resumed(tmp_path: Path) -> None:
    async with running_callflow(tmp_path, media_timeout=0.4) as harness:
        harness.documents["/start"] = f"<Response>{'<SpeakSentence>A long sentence to hear.</SpeakSentence>' * 2}</Response>"
        call = await harness.call()
        await call.wait_heard(0.3, timeout=5)
        await reinvite(harness, call, "sendonly")
        await call.wait_silence(0.3, timeout=5)
        fall_silent(call)
        heard = len(call.heard)
        await asyncio.sleep(0.5)
        assert (len(call.heard), call.ended) == (heard, False)
        await reinvite(harness, call, "sendrecv")
        await call.wait_heard(heard / RATE + 0.2, timeout=5)
        assert await call.wait_ended(timeout=10) == "remote"


def fall_silent(call: PhoneCall) -> None:
    """Have a phone send nothing any more: no RTP and no RTCP."""
    assert call.session is not None
    call.session.agree(Agreement(None, Codec.PCMU, 0, 101))


async def reinvite(harness: CallflowHarness, call: PhoneCall, direction: str) -> None:
    """Send the INVITE by which a telephone holds or resumes a call; our own phone has no such command."""
    agent = harness.phone._sip_endpoint.agent
    (sip,) = agent._calls.values()
    sent = agent.layer.counters.stray
    body = (
        "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
        f"m=audio {call.local[1]} RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\na={direction}\r\n"
    )
    assert sip.dialog is not None
    headers = [("Contact", f"<{sip.dialog.contact}>"), ("Content-Type", "application/sdp")]
    sip._negotiation.offer_again()
    sip._refresh.key = agent._context.send_in_dialog(
        sip.number, sip.dialog, "INVITE", time.monotonic(), headers=headers, body=body.encode()
    )
    harness.phone._sip_endpoint.pump()

    def answered() -> bool:
        return sip._refresh.key is None

    async with asyncio.timeout(5):
        while not answered():
            await asyncio.sleep(0.01)
    assert agent.layer.counters.stray == sent
