"""Webhook bodies, parsed by the vendor's own models."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import bandwidth.models as vendor
import pytest

from tests.unit.engine.driver import DETAILS, EPOCH, FACTS
from voiceapps.rules import webhook_bodies
from voiceapps.rules.webhook_bodies import CallView, RecordingView, ReferView

VIEW = CallView(FACTS, "https://voice.example.com", EPOCH + 3.25, EPOCH + 1.0, "blue")
EARLY = CallView(FACTS, "https://voice.example.com", EPOCH, None, "")
RECORDING = RecordingView("r-" + "0" * 45, EPOCH + 1, EPOCH + 2.5, 1500)
BODIES: list[tuple[webhook_bodies.Payload, Any]] = [
    (webhook_bodies.initiate(EARLY), vendor.InitiateCallback),
    (webhook_bodies.initiate(replace(EARLY, details=DETAILS)), vendor.InitiateCallback),
    (webhook_bodies.redirect(EARLY), vendor.RedirectCallback),
    (webhook_bodies.redirect(VIEW), vendor.RedirectCallback),
    (webhook_bodies.gather(VIEW, "12", "#"), vendor.GatherCallback),
    (webhook_bodies.record_complete(VIEW, RECORDING), vendor.RecordingCompleteCallback),
    (webhook_bodies.refer_complete(VIEW, ReferView(202, 200)), vendor.ReferCompleteCallback),
    (webhook_bodies.refer_complete(VIEW, ReferView(405, None)), vendor.ReferCompleteCallback),
    (webhook_bodies.refer_complete(VIEW, ReferView(None, 486)), vendor.ReferCompleteCallback),
    (webhook_bodies.recording_available(VIEW, RECORDING), vendor.RecordingAvailableCallback),
    (webhook_bodies.transcription_available(VIEW, RECORDING, "t-" + "0" * 36, status="available"), vendor.TranscriptionAvailableCallback),
    (webhook_bodies.disconnect(EARLY, cause="cancel"), vendor.DisconnectCallback),
    (webhook_bodies.disconnect(VIEW, cause="error", error_message="No.", error_id="e"), vendor.DisconnectCallback),
]


@pytest.mark.parametrize(("body", "model"), BODIES)
def test_the_vendors_models_know_every_field(body: webhook_bodies.Payload, model: Any) -> None:
    parsed = model.from_dict(body)
    assert parsed.additional_properties == {}
    assert parsed.call_url == f"https://voice.example.com/api/v2/accounts/9900000/calls/{FACTS.call_id}"
    assert parsed.direction == "inbound"
    assert None not in body.values()


def test_optional_fields_are_left_out() -> None:
    assert "answerTime" not in webhook_bodies.redirect(EARLY)
    assert "tag" not in webhook_bodies.redirect(EARLY)
    assert webhook_bodies.redirect(VIEW)["tag"] == "blue"
    assert {"errorMessage", "errorId"}.isdisjoint(webhook_bodies.disconnect(EARLY, cause="hangup"))
    assert {"diversion", "uui", "sipHeaders"}.isdisjoint(webhook_bodies.initiate(EARLY))
    assert "answerTime" not in webhook_bodies.recording_available(VIEW, RECORDING)


@pytest.mark.parametrize(
    ("outcome", "status", "response", "notified"),
    [
        (ReferView(202, 200), "success", 202, 200),
        (ReferView(200, 299), "success", 200, 299),
        (ReferView(None, 200), "success", None, 200),
        (ReferView(202, 300), "failure", 202, 300),
        (ReferView(202, None), "failure", 202, None),
        (ReferView(603, None), "failure", 603, None),
    ],
)
def test_a_refer_succeeds_if_the_telephone_has_reached_somebody(
    outcome: ReferView, status: str, response: int | None, notified: int | None
) -> None:
    body = webhook_bodies.refer_complete(VIEW, outcome)
    assert body["referCallStatus"] == status
    assert (body.get("referSipResponseCode"), body.get("notifySipResponseCode")) == (response, notified)
    parsed = vendor.ReferCompleteCallback.from_dict(body)
    assert parsed is not None
    assert (parsed.refer_call_status, parsed.tag) == (status, "blue")
    assert parsed.answer_time is not None


def test_only_initiate_says_who_calls() -> None:
    view = replace(VIEW, details=DETAILS)
    body = webhook_bodies.initiate(view)
    assert (body["diversion"], body["uui"], body["sipHeaders"]) == (
        {"origTo": "+15550100", "reason": "user-busy"},
        "48;encoding=hex",
        {"x-order": "7"},
    )
    assert "uui" not in webhook_bodies.redirect(view)


@pytest.mark.parametrize(("milliseconds", "text"), [(0, "PT0S"), (20_056, "PT20.056S"), (10_800_020, "PT10800.020S"), (3000, "PT3S")])
def test_durations(milliseconds: int, text: str) -> None:
    assert webhook_bodies.iso_duration(milliseconds) == text


def test_times() -> None:
    assert webhook_bodies.iso_time(EPOCH + 0.375) == "2023-11-14T22:13:20.375Z"


def test_words_are_an_extension_that_the_vendors_model_passes_on() -> None:
    body = webhook_bodies.gather(VIEW, "", "", webhook_bodies.Speech("yes please", 0.8675))
    parsed = vendor.GatherCallback.from_dict(body)
    assert parsed is not None
    assert parsed.additional_properties == {"speech": {"transcript": "yes please", "confidence": 0.87}}


def test_words_and_digits_are_masked() -> None:
    body = webhook_bodies.gather(VIEW, "12", "#", webhook_bodies.Speech("one two", 0.5))
    masked = webhook_bodies.without_digits(body)
    assert (masked["digits"], masked["terminatingDigit"]) == ("**", "*")
    assert masked["speech"] == {"transcript": "*******", "confidence": 0.5}
    assert {name: value for name, value in masked.items() if name not in ("digits", "terminatingDigit", "speech")} == {
        name: value for name, value in body.items() if name not in ("digits", "terminatingDigit", "speech")
    }
