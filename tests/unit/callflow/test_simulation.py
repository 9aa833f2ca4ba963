"""Calls that nobody places: the transcript of a script and of the documents that it meets."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callflow.simulation.simulator import MAX_SECONDS, Simulation
from tests.unit.engine.driver import APPLICATION, CONFIG, FACTS, uuids
from voiceapps.rules.http.outbound import OutboundAnswer
from voiceapps.rules.trials.call_simulation import MAX_CHARACTERS, MAX_LINES, MAX_TEXT, Line, Script

MENU = "<Gather gatherUrl='/choice' maxDigits='1' repeatCount='2'><SpeakSentence>Press one for sales please</SpeakSentence></Gather>"


def simulated(script: Mapping[str, object], documents: dict[str, str], asked: list[Mapping[str, object]] | None = None) -> tuple[Line, ...]:
    """Run a script against documents by the path of their webhooks, and return the transcript; `asked` gets the webhooks' bodies."""
    simulation = Simulation(Script.parse(dict(script)), APPLICATION, FACTS, CONFIG, uuids())
    while (fetch := simulation.run()) is not None:
        if asked is not None:
            asked.append(fetch.body)
        body = documents.get(fetch.webhook.url.rpartition("/")[2])
        status = 404 if body is None else 200
        answer = OutboundAnswer(status, f"<Response>{body}</Response>".encode(), "application/xml", 5, None)
        simulation.document_answered(fetch.number, answer)
    return simulation.result().transcript


def told(transcript: tuple[Line, ...], *kinds: str) -> list[tuple[float, str, str]]:
    return [(line.at, line.what, line.text) for line in transcript if not kinds or line.what in kinds]


def test_a_menu_from_end_to_end() -> None:
    script = {"from": "sip:2001@pbx.example.net", "turns": [{}, {"digits": "1"}]}
    documents = {"start": MENU, "choice": "<SpeakSentence voice='dave'>You chose sales</SpeakSentence>"}
    assert told(simulated(script, documents)) == [
        (0.0, "arrived", "from sip:alice@example.net"),
        (0.0, "webhook", "initiate to https://app.example.com/start"),
        (0.0, "webhookAnswered", f"200, {len(MENU) + 21} octets"),
        (0.0, "answered", ""),
        (0.0, "verb", "<Gather>, line 1"),
        (0.0, "says", "Press one for sales please (female, en_US)"),
        # Nobody presses anything for the five seconds of firstDigitTimeout.
        (7.0, "says", "Press one for sales please (female, en_US)"),
        (9.5, "callerPresses", "1"),
        (9.5, "webhook", "gather to https://app.example.com/choice"),
        (9.5, "webhookAnswered", "200, 80 octets"),
        (9.5, "verb", "<SpeakSentence>, line 1"),
        (9.5, "says", "You chose sales (male, en_US)"),
        (10.7, "hungUp", ""),
        (10.7, "ended", "hangup"),
    ]


def test_a_message_is_recorded_until_its_digit() -> None:
    script = {"turns": [{"words": "please call me back", "digits": "#"}]}
    documents = {"start": "<Record recordCompleteUrl='/kept' silenceTimeout='3'/>", "kept": "<Hangup/>"}
    transcript = simulated(script, documents)
    assert told(transcript, "callerSays", "callerPresses", "recorded") == [
        (0.0, "callerSays", "please call me back"),
        (2.1, "callerPresses", "#"),
        (2.1, "recorded", "2.1 s"),
    ]
    assert told(transcript, "webhook")[-1] == (2.1, "webhook", "recordComplete to https://app.example.com/kept")


def test_silence_ends_a_recording_and_pauses_are_left_out() -> None:
    documents = {
        "start": "<Pause/><StartRecording/><Pause/><PauseRecording/><Pause duration='9'/><StopRecording/><Record silenceTimeout='3'/>"
    }
    assert told(simulated({"turns": [{"seconds": 2}]}, documents), "recorded") == [(11.0, "recorded", "1.0 s"), (16.0, "recorded", "5.0 s")]


def test_a_caller_hangs_up_at_its_time() -> None:
    transcript = simulated({"hangUpAt": 3}, {"start": "<Pause duration='60'/>"})
    assert told(transcript)[-2:] == [(3.0, "callerHangsUp", ""), (3.0, "ended", "hangup")]


def test_a_call_that_is_held_for_ever_ends_all_the_same() -> None:
    transcript = simulated({}, {"start": "<Ring duration='86400'/>"})
    assert transcript[-1].at == MAX_SECONDS


def test_a_transcript_is_bounded() -> None:
    transcript = simulated({}, {"start": MENU + "<Redirect redirectUrl='/start'/>", "choice": MENU * 10})
    assert len(transcript) == MAX_LINES
    assert transcript[-1].what == "stopped"
    long = simulated({}, {"start": "<SpeakSentence>" + "x" * 1_200 + "</SpeakSentence><Redirect redirectUrl='/start'/>"})
    assert long[-1].what == "stopped"
    assert max(len(line.text) for line in long) == MAX_TEXT
    assert sum(len(line.what) + len(line.text) for line in long) < MAX_CHARACTERS + MAX_TEXT


def test_what_fails_a_call_fails_a_simulation() -> None:
    assert told(simulated({}, {"start": "<Dance/>"}))[-1][1:] == (
        "ended",
        "invalid-bxml: The answer to the initiate webhook is not valid BXML. Line 1: <Dance> is not a verb of this system; it knows "
        "SpeakSentence, PlayAudio, Pause, Gather, Record, Redirect, Hangup, Ring, SendDtmf, Tag, StartGather, StopGather, StartRecording, "
        "PauseRecording, ResumeRecording, StopRecording, StartStream, StopStream, "
        "StartTranscription, StopTranscription, Refer.",
    )
    assert "callback-error" in simulated({}, {})[-1].text
    looping = simulated({}, {"start": "<Redirect redirectUrl='/start'/>"})
    assert looping[-1].text.startswith("application-error: The call ran 500 documents")
    assert looping[-1].at == 0.0


def test_what_goes_on_behind_the_verbs_is_told() -> None:
    documents = {
        "start": "<StartGather dtmfUrl='/digit'/><StartStream name='agent' destination='wss://h/x' streamEventUrl='/s'/>"
        "<SendDtmf>12</SendDtmf><StopStream name='agent' wait='true'/>"
        "<PlayAudio>/a.wav</PlayAudio><SpeakSentence voice='hal'>Bye</SpeakSentence>"
    }
    transcript = simulated({}, documents)
    assert told(transcript, "stream", "event", "sendsDigits", "plays", "note") == [
        (0.0, "stream", "agent to wss://h/x"),
        (0.0, "sendsDigits", "12"),
        (0.0, "event", "mediaStreamStarted to https://app.example.com/s"),
        (3.0, "event", "mediaStreamStopped to https://app.example.com/s"),
        (3.0, "plays", "https://app.example.com/a.wav"),
        (6.0, "note", "There is no voice 'hal': a female voice of en_US speaks instead."),
    ]


def test_a_telephone_that_is_referred_reaches_somebody_else() -> None:
    target = "<SipUri>sip:bob@example.com?Subject=x</SipUri>"
    documents = {"start": f"<Pause/><Refer referCompleteUrl='/done'>{target}</Refer><SpeakSentence>Never</SpeakSentence>"}
    assert told(simulated({}, documents))[-5:] == [
        (1.0, "verb", "<Refer>, line 1"),
        (1.0, "refers", "sip:bob@example.com?Subject=***"),
        (1.0, "event", "referComplete to https://app.example.com/done"),
        (1.0, "hungUp", ""),
        (1.0, "ended", "hangup"),
    ]
    assert told(simulated({}, {"start": f"<Refer>{target}</Refer>"}), "event") == []


def test_who_would_hear_of_a_transcription_is_named() -> None:
    recording = "<StartRecording transcribe='true'{}/><Pause/><StopRecording/>"
    documents = {"start": recording.format(" transcriptionAvailableUrl='/t?k=1'") + recording.format("")}
    assert told(simulated({}, documents), "event") == [(1.0, "event", "transcriptionAvailable to https://app.example.com/t?k=***")]


def test_words_are_understood_where_they_are_listened_for() -> None:
    script = {"turns": [{"words": "yes please"}, {"words": "not listened for", "digits": "1"}]}
    documents = {
        "start": "<Gather input='speech' gatherUrl='/said' speechTimeout='2'><SpeakSentence>Shall we?</SpeakSentence></Gather>",
        "said": MENU,
        "choice": "<Hangup/>",
    }
    asked: list[Mapping[str, object]] = []
    assert told(simulated(script, documents, asked), "says", "callerSays", "callerPresses", "webhook")[1:] == [
        (0.0, "says", "Shall we? (female, en_US)"),
        (0.8, "callerSays", "yes please"),
        (3.6, "webhook", "gather to https://app.example.com/said"),
        (3.6, "says", "Press one for sales please (female, en_US)"),
        (5.6, "callerSays", "not listened for"),
        (7.3, "callerPresses", "1"),
        (7.3, "webhook", "gather to https://app.example.com/choice"),
    ]
    assert [body.get("speech") for body in asked] == [None, {"transcript": "yes please", "confidence": 1.0}, None]


@pytest.mark.parametrize(
    ("words", "heard"), [("yes", True), ("No, thanks!", True), ("no thanks", True), ("maybe", False), ("yes yes", False), ("no", False)]
)
def test_where_there_are_hints_only_they_are_understood(words: str, heard: bool) -> None:
    script = {"turns": [{"words": words}]}
    gather = "<Gather input='speech' hints='Yes, No thanks.' gatherUrl='/said' speechTimeout='2' firstDigitTimeout='3'/>"
    asked: list[Mapping[str, object]] = []
    transcript = simulated(script, {"start": gather, "said": "<Hangup/>"}, asked)
    notes = told(transcript, "note")
    spoken = 0.4 * len(words.split())
    assert [text for _, _, text in notes] == (
        [] if heard else ["<Gather>: What the caller said is none of the hints, and is not understood."]
    )
    assert all(at == round(spoken, 3) for at, _, _ in notes)
    assert asked[-1].get("speech") == ({"transcript": words, "confidence": 1.0} if heard else None)
    assert told(transcript, "ended")[0][2] == "hangup"


def test_words_that_come_too_late_are_no_matter_of_the_hints() -> None:
    script = {"turns": [{"words": "good day", "seconds": 300}, {}]}
    documents = {"start": "<Gather input='speech' hints='yes'/>" + "<Gather input='speech' hints='good day'/>" + "<Pause duration='600'/>"}
    assert told(simulated(script, documents), "note") == []


@pytest.mark.parametrize(("language", "known"), [("de-DE", False), ("eng", False), ("en-GB", True), ("EN_us", True)])
def test_a_language_is_refused_as_in_a_call(language: str, known: bool) -> None:
    asked: list[Mapping[str, object]] = []
    gather = f"<Gather input='speech' language='{language}' gatherUrl='/said'/>"
    transcript = simulated({"turns": [{"words": "ja"}]}, {"start": gather, "said": "<Hangup/>"}, asked)
    sentence = f"<Gather>: The recogniser does not know the language {language}."
    assert told(transcript, "note") == ([] if known else [(0.0, "note", sentence)])
    assert asked[-1].get("speech") == ({"transcript": "ja", "confidence": 1.0} if known else None)


@pytest.mark.parametrize(("languages", "known"), [("de-DE", False), ("de-DE, fr-FR", False), ("de-DE, en-GB", True), ("", True)])
def test_a_transcription_that_nobody_understands_is_rejected(languages: str, known: bool) -> None:
    documents = {"start": f"<StartTranscription preferredLanguages='{languages}' transcriptionEventUrl='/t'/><Pause/>"}
    transcript = simulated({}, documents)
    sentence = "<StartTranscription>: The recogniser does not know the language de-DE."
    assert told(transcript, "note") == ([] if known else [(0.0, "note", sentence)])
    events = ("Started", "Stopped", "Available") if known else ("Rejected",)
    assert [text for _, _, text in told(transcript, "event")] == [
        f"realTimeTranscription{event} to https://app.example.com/t" for event in events
    ]


VERBS = st.sampled_from(
    [
        MENU,
        "<Gather input='dtmf_speech' gatherUrl='/choice' repeatCount='2' speechTimeout='1'><PlayAudio>/a.wav</PlayAudio></Gather>",
        "<Gather input='speech' hints='no' gatherUrl='/choice'/>",
        "<Gather input='speech' language='de-DE'/>",
        "<StartTranscription preferredLanguages='de-DE'/>",
        "<Gather><PlayAudio>/a.wav</PlayAudio></Gather>",
        "<Record silenceTimeout='2'/>",
        "<Record maxDuration='5' recordCompleteUrl='/start'/>",
        "<Ring duration='3'/>",
        "<Ring answerCall='false'/>",
        "<Pause duration='100'/>",
        "<StartRecording/>",
        "<StopRecording/>",
        "<SendDtmf>1w2</SendDtmf>",
        "<Refer referCompleteUrl='/start'><SipUri>sip:bob@example.com</SipUri></Refer>",
        "<StartStream name='a' destination='ws://h/'/>",
        "<StopStream name='a' wait='true'/>",
        "<Redirect redirectUrl='/start'/>",
        "<Redirect redirectUrl='/nowhere'/>",
        "<Hangup/>",
    ]
)
TURNS = st.lists(
    st.fixed_dictionaries(
        {}, optional={"digits": st.text("0123456789*#", max_size=5), "words": st.just("yes please"), "seconds": st.floats(0, 60)}
    ),
    max_size=6,
)


@given(st.lists(VERBS, max_size=6), st.lists(VERBS, max_size=3), TURNS, st.none() | st.floats(0, 500))
def test_any_documents_and_any_caller_come_to_an_end(
    start: list[str], choice: list[str], turns: list[object], hangs_up: float | None
) -> None:
    script: dict[str, object] = {"turns": turns} | ({} if hangs_up is None else {"hangUpAt": hangs_up})
    transcript = simulated(script, {"start": "".join(start), "choice": "".join(choice)})
    assert transcript[-1].what in ("ended", "stopped")
    assert [str(line.what) for line in transcript].count("ended") <= 1
    assert [line.at for line in transcript] == sorted(line.at for line in transcript)
