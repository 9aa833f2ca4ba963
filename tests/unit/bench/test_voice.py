from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bench.voice import hostile
from bench.voice.__main__ import MEASURABLE, Found, options, take_turn
from bench.voice.backend import tone
from bench.voice.dialog import Dialog, Target, offer
from bench.voice.documents import FETCHING, REDIRECTS, SCENARIOS, document_for, next_document, user_of
from bench.voice.engines import baresip_files
from bench.voice.limits import LIMITS, judge
from bench.voice.measure import CallsFailed, Figures, Plan
from bench.voice.report import COLUMNS, PEER_OF, figures, ratios, table
from callflow.audio.wav import Wav
from callflow.bxml import parse_document
from callflow.engine.limits import MAX_DOCUMENTS
from callflow.secure.sdes import Crypto, Suite
from callflow.sip.call_header import InviteGate, read_media_security
from callflow.sip.sdp_answer import RemoteSdp, SdpError
from sipproxy.headers.call_headers import MediaSecurity, SealFault
from sipproxy.sip import Request, parse_message
from voiceapps.rules.reports import CallFacts

KEY = b"k" * 32
NODE = ("127.0.0.1", 6161)
LOCAL = ("127.0.0.1", 5071)
WALL = 1_700_000_000.0
TARGET = Target(*NODE, application_id="app-1", key=KEY.hex())
CRYPTO = Crypto(1, Suite.AES_CM_128_80, bytes(30))


def sent(data: bytes) -> Request:
    message = parse_message(data)
    assert isinstance(message, Request)
    return message


def invite(target: Target = TARGET, security: MediaSecurity = MediaSecurity.PLAIN) -> Request:
    return sent(Dialog(target, LOCAL, "play").invite(offer((LOCAL[0], 4000), None), security, WALL))


# What the calls do.


@pytest.mark.parametrize("scenario", [*SCENARIOS, *hostile.DOCUMENTS])
def test_the_engine_takes_each_document(scenario: str) -> None:
    document = document_for(f"sip:{user_of(scenario)}@bench.example", "127.0.0.1:8000")
    assert parse_document(document.encode()).verbs
    assert "{" not in document


def test_a_call_fetches_as_many_documents_as_the_engine_takes_at_once() -> None:
    assert REDIRECTS < MAX_DOCUMENTS
    assert f"/again/{REDIRECTS - 1}" in document_for(f"sip:{FETCHING}@bench.example", "")
    assert parse_document(next_document(1).encode()).verbs
    assert "Hangup" in next_document(0)


def test_the_sound_can_be_played() -> None:
    sound = tone(2.0)
    wav = Wav.parse(sound)
    assert (wav.rate, wav.channels) == (8_000, 1)


# Signalling.


@pytest.mark.parametrize("security", [MediaSecurity.PLAIN, MediaSecurity.REQUIRED])
def test_the_node_believes_the_invite(security: MediaSecurity) -> None:
    request = invite(security=security)
    facts = InviteGate((KEY,), NODE).admit(request, WALL)
    assert isinstance(facts, CallFacts)
    assert facts.application_id == "app-1"
    assert read_media_security(request) is security


def test_another_node_and_an_engine_without_keys_get_nothing_of_use() -> None:
    assert InviteGate((KEY,), ("127.0.0.1", 6163)).admit(invite(), WALL) is SealFault.WRONG
    assert not any(name.startswith("p-sipuri") for name in invite(Target(*NODE)).keys)


def test_what_follows_the_answer_is_of_its_dialog() -> None:
    dialog = Dialog(TARGET, LOCAL, "play")
    first = sent(dialog.invite(b"", MediaSecurity.PLAIN, WALL))
    response = first.make_response(200, to_tag="t1")
    response.append("Contact", "<sip:node@127.0.0.1:7000>")
    dialog.answered(response)
    for data, number in ((dialog.ack(), 1), (dialog.bye(), 2)):
        request = sent(data)
        assert (request.call_id, request.to.tag, request.from_.tag) == (first.call_id, "t1", first.from_.tag)
        assert (request.uri_text, request.cseq.number) == ("sip:node@127.0.0.1:7000", number)
        assert request.top_via.branch != first.top_via.branch


def test_a_refusal_is_acknowledged_within_its_transaction() -> None:
    dialog = Dialog(TARGET, LOCAL, "play")
    first = sent(dialog.invite(b"", MediaSecurity.PLAIN, WALL))
    ack = sent(dialog.ack_refusal(first.make_response(486, to_tag="t1")))
    assert (ack.method, ack.top_via.branch, ack.to.tag) == ("ACK", first.top_via.branch, "t1")


def test_an_offer_names_events_and_a_key_if_there_is_one() -> None:
    plain = RemoteSdp.parse(offer(("127.0.0.1", 4000), None))
    assert (plain.audio().address, plain.audio().event_payload_type) == (("127.0.0.1", 4000), 101)
    secret = offer(("127.0.0.1", 4000), CRYPTO)
    assert RemoteSdp.parse(secret, MediaSecurity.REQUIRED).crypto == (CRYPTO,)
    with pytest.raises(SdpError):
        RemoteSdp.parse(secret).audio()


def test_baresip_answers_everybody_and_records_where_it_shall() -> None:
    plain, recording = (baresip_files(Path("/x"), 7000, recording=wanted) for wanted in (False, True))
    assert "answermode=auto" in plain["accounts"]
    assert "sip_listen 127.0.0.1:7000\n" in plain["config"]
    assert "audio_source aufile,/x/sound.wav\n" in plain["config"]
    assert ("sndfile.so" in plain["config"], "sndfile.so" in recording["config"]) == (False, True)


# Figures.


def measured(*cpu: float, **more: float) -> list[dict[str, float]]:
    return [dict.fromkeys(COLUMNS, 0.0) | {"calls": 200, "cpu_percent": percent} | more for percent in cpu]


def test_ours_is_divided_by_the_peers_round_by_round() -> None:
    rounds = {"play": measured(0.1, 0.4), "record": measured(1, 1), PEER_OF["play"]: measured(0.2, 0.2)}
    assert ratios(rounds) == {"play": {"median": 1.25, "min": 0.5, "max": 2.0}}


def test_what_encryption_adds_is_found_round_by_round() -> None:
    found = figures({"play": measured(0.1, 0.3, 0.2), "play, encrypted": measured(0.15, 0.31, 0.4)})
    assert found["play, encrypted"]["added_cpu_percent"] == {"median": 0.05, "min": 0.01, "max": 0.2}


def test_the_table_has_a_line_for_each_scenario_and_none_for_webhooks() -> None:
    lines = list(table(figures({"play": measured(0.1, 0.3, 0.2), "webhook": [{"overhead_ms": 1.0}]})))
    assert len(lines) == 2
    assert lines[1].startswith("play ")
    assert "0.200 (0.100…0.300)" in lines[1]


def test_a_limit_is_judged_by_the_median_and_a_fault_by_each_round() -> None:
    found = figures({"play": measured(0.1, 0.3, 0.19) + measured(0.15, gaps=1)})
    missed = [str(verdict) for verdict in judge(found) if not verdict.kept]
    assert missed == ["play: gaps 1, limit 0  MISSED"]
    assert "play: cpu percent 0.17, limit 0.2, goal 0.12" in map(str, judge(found))


def test_what_is_no_number_keeps_no_limit() -> None:
    (pacing,) = (one for one in judge(figures({"play": measured(0.1, pacing_p99_ms=float("nan"))})) if one.limit.figure == "pacing_p99_ms")
    assert not pacing.kept


def test_each_limit_is_of_something_that_is_measured() -> None:
    assert {scenario for limit in LIMITS for scenario in limit.scenarios} <= set(MEASURABLE)


def test_only_the_whole_is_kept() -> None:
    assert options([]).whole
    assert options(["--logs", "/x"]).whole
    assert not options(["--calls", "20"]).whole
    assert not options(["--only", "play", "record"]).whole
    assert options(["--only", "record", "play"]).wanted == ("play", "record")


def test_a_crowd_is_larger_and_a_call_lasts_as_long_as_all_need() -> None:
    plan = Plan(calls=200, crowd=400, seconds=20)
    assert (plan.calls_of("play"), plan.calls_of("crowd")) == (200, 400)
    assert replace(plan, calls=400).longest_call > plan.longest_call > 30


def test_what_fails_is_told_and_the_others_are_kept(capsys: pytest.CaptureFixture[str]) -> None:
    found, places = Found({"play": [], "baresip, recording": []}, {}), []

    def works(place: Path) -> Figures:
        places.append(place.name)
        return {"cpu_percent": 0.1}

    def fails(place: Path) -> Figures:
        raise CallsFailed("Of the calls 3 are up.")

    take_turn(1, "play", works, Path("/x"), found)
    take_turn(1, "baresip, recording", works, Path("/x"), found)
    take_turn(2, "baresip, recording", fails, Path("/x"), found)
    assert places == ["1-play", "1-baresip-recording"]
    assert found == Found({"play": [{"cpu_percent": 0.1}]}, {"baresip, recording": "Of the calls 3 are up."})
    assert "round 2, baresip, recording: Of the calls 3 are up." in capsys.readouterr().out
