"""Transcriptions of calls that went on: kept once, shown to their account, deleted."""

from __future__ import annotations

import pytest
from bandwidth.models import CallTranscriptionMetadata, CallTranscriptionResponse

from tests.support.api import ApiCustomer
from tests.support.calls import STARTED, place
from voiceapps.models import AuditEntry, LiveTranscript
from voiceapps.rules.reports import CallFacts, TranscriptKept
from voiceapps.rules.transcripts import Clip
from voiceapps.services.reports import write_reports

NUMBER = "t-6d1f4a70-6d2b-4b5e-9d57-0f6f3a1c2b11"
CLIPS = (Clip(0, "hello", 0.5, 0.1, 0.4), Clip(1, "how can I help", 1.0, 1.0, 2.0), Clip(0, "my line is dead", 0.7, 2.5, 3.0))


def kept(call: CallFacts, number: str = NUMBER) -> TranscriptKept:
    return TranscriptKept(call, number, "agent", STARTED + 9, ("inbound", "outbound"), "en-US", CLIPS)


@pytest.fixture
def call(customer: ApiCustomer) -> CallFacts:
    call = place(customer.account_id)
    write_reports([kept(call)])
    return call


def url(call: CallFacts, tail: str = f"/{NUMBER}") -> str:
    return f"/api/v2/accounts/{call.account_id}/calls/{call.call_id}/transcriptions{tail}"


def test_it_is_shown_as_the_vendor_shows_it(customer: ApiCustomer, call: CallFacts) -> None:
    (line,) = customer.request("GET", url(call, "")).json()
    listed = CallTranscriptionMetadata.from_dict(line)
    assert listed is not None
    assert (listed.transcription_id, listed.transcription_name, listed.additional_properties) == (NUMBER, "agent", {})
    assert line["transcriptionUrl"].endswith(url(call))
    shown = CallTranscriptionResponse.from_dict(customer.request("GET", url(call)).json())
    assert shown is not None
    assert shown.additional_properties == {}
    assert (shown.account_id, shown.call_id, shown.transcription_id) == (call.account_id, call.call_id, NUMBER)
    assert shown.tracks is not None
    said = [(track.track.value, track.detected_language.value, track.transcript, track.confidence) for track in shown.tracks]
    assert said == [("inbound", "en-US", "hello my line is dead", 0.6), ("outbound", "en-US", "how can I help", 1.0)]


def test_a_replay_changes_nothing(call: CallFacts) -> None:
    write_reports([kept(call)])
    assert LiveTranscript.objects.count() == 1


def test_it_is_deleted_once(customer: ApiCustomer, call: CallFacts) -> None:
    assert customer.request("DELETE", url(call)).status_code == 200
    for method in ("GET", "DELETE"):
        answer = customer.request(method, url(call))
        assert (answer.status_code, answer.json()["description"]) == (404, f"Transcription {NUMBER} not found")
    assert customer.request("GET", url(call, "")).json() == []
    entry = AuditEntry.objects.get(action="live_transcript.delete")
    assert (entry.subject, entry.changes) == (NUMBER, {"call": call.call_id})


def test_who_may_only_read_deletes_nothing(customer: ApiCustomer, call: CallFacts) -> None:
    customer._token = customer.ask_token(scope="calls:read").json()["access_token"]
    assert customer.request("DELETE", url(call)).status_code == 403
    assert LiveTranscript.objects.count() == 1


def test_a_track_on_which_nothing_was_said_is_empty(customer: ApiCustomer, call: CallFacts) -> None:
    LiveTranscript.objects.update(clips="[]")
    tracks = customer.request("GET", url(call)).json()["tracks"]
    assert [(track["transcript"], track["confidence"]) for track in tracks] == [("", 0.0), ("", 0.0)]
