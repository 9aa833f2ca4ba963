"""Encrypted audio between real telephones and us: both sides are heard, and nobody who reads along learns a key."""

from __future__ import annotations

import wave
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.integration.test_peers import talk
from tests.support.backend import TestBackend
from tests.support.fleet import Application, Fleet, until
from tests.support.kamailio import make_certificate, proxy_address, tls_environment
from tests.support.phones import baresip_files, linphone_config
from tests.support.rtpengine import rtpengine
from tests.unit.audio.sound_files import tone
from tests.unit.callflow.test_sounds import decoded, power

HEARD_SECONDS = 2
LOUD = 1_000
PORTS = (60_000, 60_199)
DOCUMENT = f"<Response><Record maxDuration='{HEARD_SECONDS}'/><SpeakSentence>Good morning to you, who hears me.</SpeakSentence></Response>"
STORED = """
from voiceapps.models import Call, CallEvent, Recording
call = Call.objects.filter(application_id={application!r}).order_by("started_at").last()
texts = list(CallEvent.objects.filter(call_id=call.pk).values_list("text", flat=True)) if call else []
paths = list(Recording.objects.filter(call=call).values_list("path", flat=True))
result = [call.state if call else None, call.end_reason if call else None, texts, paths]"""
FIGURES = """
from voiceapps.models import Call, MediaLeg
call = Call.objects.filter(application_id={application!r}).order_by("started_at").last()
result = list(MediaLeg.objects.filter(call_id=call.pk, leg="callflow").values("packets_in", "packets_out", "mos", "lost"))"""


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    path = tmp_path / "tone.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 8_000, 0, "NONE", ""))
        file.writeframes(tone(8_000, 10.0))
    return path


def application_of(fleet: Fleet, backend: TestBackend, secure: str) -> Application:
    backend.documents["/initiate"] = DOCUMENT
    return fleet.application(
        callback=f"{backend.url}/initiate", status=f"{backend.url}/status", passwordAuthEnabled=True, secureMedia=secure
    )


def by_tls(secured: Fleet) -> str:
    return "{}:{};transport=tls".format(*proxy_address(secured, "tls"))


def stored(fleet: Fleet, application: Application) -> tuple[list[str], list[str]]:
    """Return the messages and the recordings of the application's call, once it has ended."""
    code = STORED.format(application=application.application_id)
    until(lambda: fleet.python(code)[0] == "disconnected", seconds=15, what="the call's end", every=0.5)
    _, _, texts, paths = fleet.python(code)
    return texts, paths


def check_heard(fleet: Fleet, application: Application, profile: str) -> None:
    """Check that we heard the telephone's tone, and that its keys are stored nowhere."""
    texts, (path,) = stored(fleet, application)
    recorded = decoded(Path(path).read_bytes())
    assert len(recorded) == pytest.approx(HEARD_SECONDS * 8_000, abs=160)
    assert power(recorded[4_000:15_000]) > 0.98
    described = [text for text in texts if "m=audio" in text]
    assert all(f" {profile} " in text for text in described), described
    assert sum("inline:***" in text for text in described) == len(described) >= 2
    keys = [line for text in texts for line in text.splitlines() if "inline:" in line and "inline:***" not in line]
    assert keys == []


def check_figures(fleet: Fleet, application: Application) -> None:
    """Check that the end of the audio has reported it."""
    code = FIGURES.format(application=application.application_id)
    until(lambda: fleet.python(code), seconds=10, what="the call flow's figures", every=0.5)
    (figures,) = fleet.python(code)
    assert min(figures["packets_in"], figures["packets_out"]) > HEARD_SECONDS * 50 - 10
    assert (figures["lost"], figures["mos"]) == (0, pytest.approx(4.4, abs=0.1))


def check_played(path: Path) -> None:
    """Check that the telephone heard speech, and no noise."""
    with wave.open(str(path), "rb") as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    frames = np.abs(samples[: len(samples) // 160 * 160].reshape(-1, 160).astype(int)).max(axis=1)
    assert 25 < np.count_nonzero(frames > LOUD) < len(frames) - 25


@pytest.mark.parametrize(("media", "secure", "profile"), [("srtp-mand", "optional", "RTP/SAVP"), ("srtp", "required", "RTP/AVP")])
def test_baresip_talks(
    fleet: Fleet, secured: Fleet, backend: TestBackend, sound: Path, tmp_path: Path, media: str, secure: str, profile: str
) -> None:
    application = application_of(fleet, backend, secure)
    baresip_files(tmp_path, application, by_tls(secured), media=media, sound=sound)
    said = talk(["baresip", "-f", str(tmp_path), "-e", f"/dial {application.sip_uri}"], tmp_path, until="session closed")
    assert "Call established" in said, said[-3000:]
    check_heard(fleet, application, profile)
    check_figures(fleet, application)
    (heard,) = tmp_path.glob("*-dec.wav")
    check_played(heard)


def test_linphone_talks(fleet: Fleet, secured: Fleet, backend: TestBackend, sound: Path, tmp_path: Path) -> None:
    application = application_of(fleet, backend, "required")
    secure = "media_encryption=srtp\nmedia_encryption_mandatory=1"
    (tmp_path / "rc").write_text(linphone_config(application, by_tls(secured), secure))
    (tmp_path / ".local" / "share" / "linphone").mkdir(parents=True)
    keyboard = f"soundcard use files\nplay {sound}\nrecord {tmp_path / 'heard.wav'}\ncall {application.sip_uri}\n"
    said = talk(["linphonec", "-c", "rc"], tmp_path, keyboard, until=" ended ")
    assert " connected." in said, said[-3000:]
    check_heard(fleet, application, "RTP/SAVP")
    check_played(tmp_path / "heard.wav")


@pytest.mark.parametrize(("media", "transport"), [("", "tls"), ("srtp-mand", "udp")])
def test_who_cannot_be_encrypted_is_refused_and_told_why(
    fleet: Fleet, secured: Fleet, backend: TestBackend, sound: Path, tmp_path: Path, media: str, transport: str
) -> None:
    application = application_of(fleet, backend, "required")
    next_hop = "{}:{};transport={}".format(*proxy_address(secured, transport), transport)
    baresip_files(tmp_path, application, next_hop, media=media, sound=sound)
    said = talk(["baresip", "-f", str(tmp_path), "-e", f"/dial {application.sip_uri}"], tmp_path, until="session closed")
    assert "488" in said, said[-3000:]
    texts, _ = stored(fleet, application)
    assert any("Warning: 399" in text and "encrypted audio only" in text for text in texts)


@pytest.fixture
def with_rtpengine(make_fleet: Callable[..., Fleet], tmp_path: Path) -> Iterator[Fleet]:
    """A system whose relay is Debian's rtpengine."""
    folder = tmp_path / "rtpengine"
    folder.mkdir()
    with rtpengine(folder, PORTS) as engine:
        tls = tls_environment(make_certificate(folder))
        relay = "udp:{}:{}".format(*engine.ng)
        fleet = make_fleet("web", "worker", "callflow", "sipproxy", SIPURI_MEDIA_RELAYS=relay, SIPURI_GUARD_TRUSTED="127.0.0.0/8", **tls)
        fleet.start()
        yield fleet


def test_rtpengine_passes_what_it_cannot_read(with_rtpengine: Fleet, backend: TestBackend, sound: Path, tmp_path: Path) -> None:
    application = application_of(with_rtpengine, backend, "required")
    baresip_files(tmp_path, application, by_tls(with_rtpengine), media="srtp-mand", sound=sound)
    said = talk(["baresip", "-f", str(tmp_path), "-e", f"/dial {application.sip_uri}"], tmp_path, until="session closed")
    assert "Call established" in said, said[-3000:]
    check_heard(with_rtpengine, application, "RTP/SAVP")
    (heard,) = tmp_path.glob("*-dec.wav")
    check_played(heard)
