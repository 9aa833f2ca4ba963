"""Debian's rtpengine in our relay's place: our proxy and call flow, two rtpengines of unequal weight, callers of sipp with audio.

SIPURI_MEDIA_CALLS=1000 asks for more calls than `make test` has time for.
"""

from __future__ import annotations

import re
import urllib.request
import wave
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from callflow.audio.frames import SILENCE_FRAME
from mediarelay.rtp import g711
from tests.support.backend import TestBackend
from tests.support.fleet import Application, Fleet, until
from tests.support.rtpengine import CALLS, FIRST_SSRC, PACKETS, Rtpengine, Voice, rtpengine, spoken, talk

pytestmark = pytest.mark.daemons

MAX_LOST = 3
"""Packets of a sentence that a busy machine may drop on their way to a caller."""
COUNT = CALLS or 30
RATE = 10
SECONDS = COUNT / RATE + 60
# The caller speaks for longer than is recorded, and then hears how it goes on.
TALK = '<Response><Record maxDuration="1" recordCompleteUrl="/recorded"/></Response>'
GOODBYE = "<Response><SpeakSentence>Goodbye.</SpeakSentence></Response>"
WEIGHTS = (2, 1)
# Above the ports that the system hands out by itself.
POOLS = ((61_000, 62_999), (63_000, 64_999))
HEARD = 10
"""Packets of a caller that a recording of one second must hold at least."""


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Rtpengine, Rtpengine]]:
    with rtpengine(tmp_path_factory.mktemp("heavy"), POOLS[0]) as heavy, rtpengine(tmp_path_factory.mktemp("light"), POOLS[1]) as light:
        yield heavy, light


@pytest.fixture(scope="module")
def customer() -> Iterator[TestBackend]:
    backend = TestBackend({"/initiate": TALK, "/recorded": GOODBYE})
    yield backend
    backend.close()


@pytest.fixture(scope="module")
def system(engines: tuple[Rtpengine, Rtpengine], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    listed = ",".join("udp:{}:{}={}".format(*engine.ng, weight) for engine, weight in zip(engines, WEIGHTS, strict=True))
    environment = {"SIPURI_MEDIA_RELAYS": listed, "SIPURI_GUARD_TRUSTED": "127.0.0.0/8"}
    fleet = Fleet(tmp_path_factory.mktemp("system"), ("web", "worker", "callflow", "sipproxy"), environment)
    try:
        fleet.start()
        until(lambda: live(fleet) == [1, 1], seconds=10, what="both rtpengines live")
        yield fleet
    finally:
        codes = fleet.stop()
    assert set(codes.values()) == {0}, fleet.log("sipproxy")[-4000:]


@pytest.fixture(scope="module")
def application(system: Fleet, customer: TestBackend) -> Application:
    return system.application(callback=f"{customer.url}/initiate", status=f"{customer.url}/status")


def live(fleet: Fleet) -> list[float]:
    """Return whether the proxy takes each relay for alive, in the order of their names in the configuration."""
    with urllib.request.urlopen(f"http://127.0.0.1:{fleet.metrics['sipproxy']}/metrics", timeout=5) as answer:
        found = dict(re.findall(r'(?m)^sipuri_relay_live\{relay="([0-9.:]+)"\} ([0-9.]+)$', answer.read().decode()))
    listed = fleet.env["SIPURI_MEDIA_RELAYS"].split(",")
    return [float(found[relay.removeprefix("udp:").partition("=")[0]]) for relay in listed]


def recorded(fleet: Fleet) -> Counter[frozenset[int]]:
    """Return whose packets each recording holds, as sets of SSRCs; each must hold enough of them and nothing else but silence."""
    frames = {g711.ulaw_to_pcm16(spoken(ssrc)[0][12:]): ssrc for ssrc in range(FIRST_SSRC, FIRST_SSRC + COUNT)}
    found: Counter[frozenset[int]] = Counter()
    for path in (fleet.state / "recordings").rglob("*.wav"):
        with wave.open(str(path)) as file:
            audio = file.readframes(file.getnframes())
        heard = Counter(frames.get(audio[at : at + 320], 0) for at in range(0, len(audio), 320) if any(audio[at : at + 320]))
        assert min(heard.values()) >= HEARD, (path, heard)
        found[frozenset(heard)] += 1
    return found


def call(fleet: Fleet, application: Application, directory: Path, calls: int) -> Voice:
    """Place calls; each must be answered, recorded and told goodbye. Returns what the callers said and heard."""
    secret = f"[authentication username={application.application_id} password={application.password}]"
    with Voice(directory) as voice:
        fields = (application.sip_uri, secret)
        callers = talk(directory, "talking_digest_call", voice, target=fleet.sip, calls=calls, rate=RATE, fields=fields)
        try:
            counts = callers.judged(SECONDS)
        finally:
            callers.stop()
    print(f"\n{calls} calls {counts}, {len(voice.heard)} heard something, {sum(map(len, voice.heard.values()))} packets")
    assert (counts["SuccessfulCall"], counts["FailedCall"]) == (calls, 0)
    assert len(voice.said) == len(voice.heard) == calls
    # All heard the same sentence, each from the port that it spoke to.
    heard = [sentence(packets) for packets in voice.heard.values()]
    whole = max(heard, key=len)
    missed = sorted(len(whole) - len(one) for one in heard)
    assert all(is_part(one, whole) for one in heard), f"another sentence; missed {missed}"
    assert missed[-1] <= MAX_LOST, missed
    assert Counter(frozenset(places) for places in voice.sources.values()) == Counter(frozenset([place]) for place in voice.said.values())
    return voice


def is_part(some: list[bytes], whole: list[bytes]) -> bool:
    """Return whether the payloads come in the whole, in their order."""
    rest = iter(whole)
    return all(payload in rest for payload in some)


def sentence(packets: list[bytes]) -> list[bytes]:
    """Return the payloads of the packets that are more than silence, in the order in which they were sent: some overtake others."""
    first = int.from_bytes(packets[0][2:4]) if packets else 0
    sent = sorted(packets, key=lambda packet: (int.from_bytes(packet[2:4]) - first + 0x8000) & 0xFFFF)
    return [packet[12:] for packet in sent if packet[12:] != SILENCE_FRAME]


def has_nothing_left(engine: Rtpengine) -> bool:
    figures = engine.figures()
    return (figures["sessions"], figures["ports"]) == (0, 0)


@pytest.mark.timeout(SECONDS + 120)
def test_calls_are_shared_by_weight_and_have_their_audio(
    system: Fleet, engines: tuple[Rtpengine, Rtpengine], application: Application, customer: TestBackend, tmp_path: Path
) -> None:
    heavy, light = engines
    voice = call(system, application, tmp_path, COUNT)
    for engine in engines:
        until(partial(has_nothing_left, engine), seconds=5, what="each call's session is deleted")
    figures = heavy.figures(), light.figures()
    shares = [each["managedsessions"] for each in figures]
    print(f"{shares} calls, {[each['relayedpackets'] for each in figures]} packets")
    assert sum(shares) == COUNT
    assert abs(shares[0] - COUNT * 2 / 3) < 1
    assert [each["regularterminatedsessions"] for each in figures] == shares
    of_a_call = PACKETS + min(map(len, voice.heard.values()))
    assert all(each["relayedpackets"] >= share * of_a_call for each, share in zip(figures, shares, strict=True))
    # What each caller said is in one recording, and in no other's.
    customer.wait("recordComplete", COUNT, seconds=30)
    assert recorded(system) == Counter(frozenset([ssrc]) for ssrc in range(FIRST_SSRC, FIRST_SSRC + COUNT))


def test_a_dead_one_gets_no_new_call_until_it_is_back(
    system: Fleet, engines: tuple[Rtpengine, Rtpengine], application: Application, tmp_path: Path
) -> None:
    heavy, light = engines
    before = light.figures()["managedsessions"]
    heavy.kill()
    until(lambda: live(system) == [0, 1], seconds=20, what="the dead one is out")
    (tmp_path / "out").mkdir()
    call(system, application, tmp_path / "out", 6)
    assert light.figures()["managedsessions"] == before + 6
    heavy.start()
    until(lambda: live(system) == [1, 1], seconds=20, what="it is back")
    (tmp_path / "back").mkdir()
    call(system, application, tmp_path / "back", 6)
    assert [engine.figures()["managedsessions"] for engine in engines] == [4, before + 8]
    for engine in engines:
        until(partial(has_nothing_left, engine), seconds=5, what="each call's session is deleted")
