"""Verbs of one step, and those of what goes on in the background."""

from __future__ import annotations

import pytest
from bandwidth.models import bxml as vendor

from callflow.bxml import Webhook, parse_document
from callflow.bxml.recording import RecordingForm, Sides
from callflow.bxml.verbs.background_gather import StartGather, StopGather
from callflow.bxml.verbs.background_recording import (
    PauseRecordingVerb,
    ResumeRecordingVerb,
    StartRecordingVerb,
    StopRecordingVerb,
)
from callflow.bxml.verbs.record import RecordVerb
from callflow.bxml.verbs.ring import Ring
from callflow.bxml.verbs.send_dtmf import SendDtmf
from callflow.bxml.verbs.tag import Tag
from tests.unit.bxml.test_parser import read, refusal, response


def test_a_document_of_them_all() -> None:
    assert parse_document(read("background")).verbs == (
        Tag("order 7", 3),
        StartGather(Webhook("digit", username="me", password="secret"), "keys", 6),
        StartRecordingVerb(RecordingForm(Webhook("/kept"), "mp3", Sides.SEPARATE, "order 7"), None, 7),
        Ring(2.5, False, 8),
        SendDtmf("12w#", 100.0, 250.0, 9),
        PauseRecordingVerb(10),
        ResumeRecordingVerb(11),
        StopRecordingVerb(12),
        StopGather(13),
    )
    assert refusal(read("background_broken")) == "Line 9: <SendDtmf> attribute 'toneInterval' must be a number from 50 to 5000, not '49'."


@pytest.mark.parametrize(
    ("inner", "sentence"),
    [
        ("<Ring duration='0.05'/>", "<Ring> attribute 'duration' must be a number from 0.1 to 86400, not '0.05'."),
        ("<Ring answerCall='yes'/>", "<Ring> attribute 'answerCall' must be true or false, not 'yes'."),
        ("<SendDtmf/>", "<SendDtmf> needs the digits to send as its text."),
        ("<SendDtmf>12x</SendDtmf>", "<SendDtmf> may hold only 0-9, A-D, *, #, and the pauses ',', 'w' and 'W', not '12x'."),
        (f"<SendDtmf>{'1' * 51}</SendDtmf>", "<SendDtmf> can send at most 50 characters."),
        (f"<Tag>{'t' * 257}</Tag>", "<Tag> text is longer than 256 characters."),
        ("<StartGather/>", "<StartGather> needs the attribute 'dtmfUrl'."),
        ("<StartGather dtmfUrl='/d' dtmfFallbackUrl='/e'/>", "<StartGather> has no attribute 'dtmfFallbackUrl'."),
        ("<StopGather x='1'/>", "<StopGather> has no attribute 'x'."),
        ("<StartRecording fileFormat='ogg'/>", "<StartRecording> attribute 'fileFormat' must be one of wav, mp3, not 'ogg'."),
        ("<StartRecording transcribe='maybe'/>", "<StartRecording> attribute 'transcribe'"),
        ("<StopRecording>x</StopRecording>", "<StopRecording> cannot hold text."),
    ],
)
def test_refusals_name_element_attribute_and_rule(inner: str, sentence: str) -> None:
    assert sentence in refusal(response(inner))


def test_defaults() -> None:
    ring, send, tag, start, record = parse_document(
        response("<Ring/><SendDtmf>1</SendDtmf><Tag/><StartRecording/><Record fileFormat='mp3' recordingName='n'/>")
    ).verbs
    assert ring == Ring(5.0, True, 1)
    assert send == SendDtmf("1", 200.0, 400.0, 1)
    assert tag == Tag("", 1)
    assert start == StartRecordingVerb(RecordingForm(sides=Sides.MIXED), None, 1)
    assert isinstance(record, RecordVerb)
    assert record.form == RecordingForm(None, "mp3", Sides.CALLER, "n")


def test_documents_of_the_vendors_sdk() -> None:
    document = vendor.Response(
        [
            vendor.Ring(duration=3, answer_call=False),
            vendor.SendDtmf("1w2", tone_duration=100, tone_interval=50),
            vendor.Tag("t"),
            vendor.StartGather("/d", dtmf_method="GET", username="u", password="p", tag=""),
            vendor.StopGather(),
            vendor.StartRecording(
                recording_available_url="/a",
                recording_available_method="POST",
                transcribe=False,
                detect_language=False,
                transcription_available_url="/t",
                transcription_available_method="POST",
                username="u",
                password="p",
                tag="t",
                file_format="wav",
                multi_channel=True,
                recording_name="n",
            ),
            vendor.PauseRecording(),
            vendor.ResumeRecording(),
            vendor.StopRecording(),
        ]
    )
    verbs = parse_document(document.to_bxml().encode()).verbs
    assert len(verbs) == 9
    assert verbs[0] == Ring(3.0, False, 2)
    assert verbs[3] == StartGather(Webhook("/d", "GET", "u", "p"), "", 2)
    assert verbs[5] == StartRecordingVerb(RecordingForm(Webhook("/a", "POST", "u", "p"), "wav", Sides.SEPARATE, "n"), "t", 2)
