"""SIP stacks that nobody here wrote: sipp, baresip, linphone and Kamailio against the running system."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Timer

import pytest

from callflow.aio.phone import Phone
from tests.support.backend import TestBackend
from tests.support.fleet import Application, Fleet, free_ports, until
from tests.support.kamailio import EVERY_TRANSPORT, kamailio, proxy_address
from tests.support.phones import baresip_files, linphone_config

SCENARIOS = Path(__file__).parents[1] / "data" / "sipp"
TRANSPORTS = ("udp", "tcp", "tls")
PHONE_SECONDS = 30
TALK = "<Response><SpeakSentence>Good morning to the peer at the other end of this line.</SpeakSentence><Pause duration='20'/></Response>"
TONE = bytes(range(256)) * 40
BRIEF = "<Response><SpeakSentence>Good bye.</SpeakSentence></Response>"


def sipp(fleet: Fleet, scenario: str, *options: str, fields: tuple[str, str], calls: int = 1, rate: int = 5) -> None:
    """Run a scenario; the test fails with sipp's own trace."""
    directory = fleet.state / f"sipp-{scenario}-{free_ports(1)[0]}"
    directory.mkdir()
    (directory / "fields.csv").write_text("SEQUENTIAL\n" + ";".join(fields) + "\n")
    port, media = free_ports(2)
    command = [
        *("sipp", "{}:{}".format(*fleet.sip), "-sf", str(SCENARIOS / f"{scenario}.xml"), "-inf", "fields.csv"),
        *("-i", "127.0.0.1", "-p", str(port), "-mp", str(media & ~1), "-m", str(calls), "-r", str(rate), "-nostdin"),
        *("-timeout", "60", "-timeout_error", "-trace_msg", "-message_file", "messages.log", *options),
    ]
    ran = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=120, check=False)
    if ran.returncode != 0:
        trace = directory / "messages.log"
        pytest.fail(f"sipp {scenario} exits {ran.returncode}\n{trace.read_text()[-6000:] if trace.exists() else ran.stdout[-3000:]}")


def fields(application: Application, password: str = "") -> tuple[str, str]:
    """What a scenario needs: the URI, and how sipp answers a challenge."""
    return application.sip_uri, f"[authentication username={application.application_id} password={password or application.password}]"


@pytest.fixture
def application(fleet: Fleet, backend: TestBackend) -> Application:
    backend.documents["/initiate"] = TALK
    return fleet.application(callback=f"{backend.url}/initiate", status=f"{backend.url}/status")


@pytest.mark.parametrize("scenario", ["digest_call", "wrong_password", "other_to", "no_hops_left", "options"])
def test_sipp(fleet: Fleet, application: Application, scenario: str) -> None:
    sipp(fleet, scenario, fields=fields(application, "wrong" if scenario == "wrong_password" else ""))


def test_sipp_is_hung_up_on(fleet: Fleet, backend: TestBackend, application: Application) -> None:
    backend.documents["/initiate"] = BRIEF
    sipp(fleet, "digest_call_hung_up", fields=fields(application))


def test_sipp_by_its_address_alone(fleet: Fleet, backend: TestBackend) -> None:
    backend.documents["/initiate"] = TALK
    application = fleet.application(
        callback=f"{backend.url}/initiate", status=f"{backend.url}/status", passwordAuthEnabled=False, allowedSourceIps=["0.0.0.0/0"]
    )
    sipp(fleet, "ip_only_call", fields=fields(application))


def test_sipp_cancels(fleet: Fleet, backend: TestBackend, application: Application) -> None:
    # Nothing here answers the call: the backend keeps it waiting until the caller has given up.
    backend.documents["/initiate"] = lambda _event: "" if backend.wait("disconnect") else ""
    sipp(fleet, "cancel", fields=fields(application))
    assert backend.wait("disconnect")[0]["cause"] == "cancel"


def test_a_refusal_is_explained(fleet: Fleet, application: Application) -> None:
    sipp(fleet, "wrong_password", fields=fields(application, "wrong"))
    code = f"""
from voiceapps.models import RefusedAttempt
result = [(row.reason, row.trace) for row in RefusedAttempt.objects.filter(application_id={application.application_id!r})]"""
    rows = until(lambda: fleet.python(code), seconds=10, what="the refused attempt")
    reason, trace = rows[0]
    assert reason == "digest_wrong"
    assert {result["rule"]: result["verdict"] for result in trace}["digest"] == "failed"


@pytest.fixture(params=[*(TRANSPORTS if EVERY_TRANSPORT else ("udp", "tls")), "through Kamailio"])
def next_hop(request: pytest.FixtureRequest, secured: Fleet, tmp_path: Path) -> Iterator[str]:
    """What a phone takes for its proxy: ours, or a border controller in front of it, which speaks to us as the phone would."""
    if request.param in TRANSPORTS:
        yield "{}:{};transport={}".format(*proxy_address(secured, request.param), request.param)
        return
    with kamailio(tmp_path, proxy=proxy_address(secured, "udp")) as sbc:
        yield "{}:{};transport=udp".format(*sbc.front)


def ended_well(fleet: Fleet, backend: TestBackend) -> None:
    """Check the call that a phone made: it was answered and hung up on, and its row says so."""
    event = backend.wait("disconnect")[0]
    assert event["cause"] == "hangup"
    assert "answerTime" in event
    code = (
        f"from voiceapps.models import Call\nresult = list(Call.objects.filter(pk={event['callId']!r}).values_list('state', 'end_class'))"
    )
    assert fleet.python(code) == [["disconnected", "success"]]


def test_baresip_talks(fleet: Fleet, backend: TestBackend, application: Application, tmp_path: Path, next_hop: str) -> None:
    backend.documents["/initiate"] = BRIEF
    baresip_files(tmp_path, application, next_hop)
    said = talk(["baresip", "-f", str(tmp_path), "-e", f"/dial {application.sip_uri}"], tmp_path, until="session closed")
    assert "Call established" in said, said[-3000:]
    ended_well(fleet, backend)


def test_linphone_talks(fleet: Fleet, backend: TestBackend, application: Application, tmp_path: Path, next_hop: str) -> None:
    backend.documents["/initiate"] = BRIEF
    (tmp_path / "rc").write_text(linphone_config(application, next_hop))
    (tmp_path / ".local" / "share" / "linphone").mkdir(parents=True)
    keyboard = f"soundcard use files\ncall {application.sip_uri}\n"
    said = talk(["linphonec", "-c", "rc"], tmp_path, keyboard, until=" ended ")
    assert " connected." in said, said[-3000:]
    ended_well(fleet, backend)


def talk(command: list[str], directory: Path, keyboard: str = "", *, until: str) -> str:
    """Run a phone until it says that its call is over, then quit it; returns what it said."""
    assert shutil.which(command[0]), f"This test needs a Debian package: {command[0]}"
    environment = os.environ | {"HOME": str(directory)}
    phone = subprocess.Popen(
        command, cwd=directory, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert phone.stdin is not None
    assert phone.stdout is not None
    # A phone that stays silent is ended, which ends the reading.
    watchdog = Timer(PHONE_SECONDS, phone.kill)
    watchdog.start()
    phone.stdin.write(keyboard)
    phone.stdin.flush()
    said = ""
    for line in phone.stdout:
        said += line
        if until in line:
            break
    phone.terminate()
    phone.communicate()
    watchdog.cancel()
    return said


StaticTarget = Callable[[str], tuple[Fleet, Application, "subprocess.Popen[str]"]]


@pytest.fixture
def static_target(make_fleet: Callable[..., Fleet]) -> StaticTarget:
    """Proxy and relay with sipp in the call flow's place."""

    def start(scenario: str) -> tuple[Fleet, Application, subprocess.Popen[str]]:
        port, media = free_ports(2)
        fleet = make_fleet("web", "sipproxy", "mediarelay", SIPURI_CALLFLOW_TARGETS=f"sip:127.0.0.1:{port}")
        fleet.start()
        application = fleet.application()
        (fleet.state / "uas.csv").write_text("SEQUENTIAL\n" + ";".join(fields(application)) + "\n")
        command = [
            *("sipp", "{}:{}".format(*fleet.sip), "-sf", str(SCENARIOS / f"{scenario}.xml"), "-inf", "uas.csv", "-i", "127.0.0.1"),
            *("-p", str(port), "-mp", str(media & ~1), "-m", "1", "-nostdin", "-timeout", "60", "-timeout_error", "-rtp_echo"),
            *("-trace_msg", "-message_file", "uas.log"),
        ]
        return fleet, application, subprocess.Popen(command, cwd=fleet.state, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    return start


async def test_audio_goes_both_ways_through_the_relay(static_target: StaticTarget) -> None:
    fleet, application, uas = static_target("answer")
    phone = Phone(proxy=fleet.sip)
    await phone.open()
    call = await phone.call(application.sip_uri, username=application.application_id, password=application.password)
    await call.play(TONE)
    await call.wait_heard(len(TONE) / 8000, timeout=10)
    # sipp sends back what it gets.
    assert TONE[:4000] in bytes(call.heard)
    await phone.close()
    assert uas.wait(30) == 0


@pytest.mark.parametrize(("answerer", "caller"), [("answer", "digest_call"), ("answer_and_hang_up", "digest_call_hung_up")])
def test_a_static_target_serves_calls(static_target: StaticTarget, answerer: str, caller: str) -> None:
    fleet, application, uas = static_target(answerer)
    sipp(fleet, caller, fields=fields(application))
    assert uas.wait(30) == 0, (fleet.state / "uas.log").read_text()[-5000:]
    code = "from voiceapps.models import Call\nresult = list(Call.objects.values_list('state', 'end_class'))"
    assert until(lambda: [row for row in fleet.python(code) if row[0] == "disconnected"], seconds=10, what="the call's end") == [
        ["disconnected", "success"]
    ]
    until(lambda: fleet.gauge("mediarelay", "sipuri_relay_sessions") == 0, seconds=10, what="the media session gone")
