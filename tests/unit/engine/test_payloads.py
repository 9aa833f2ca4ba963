"""Webhook bodies, judged by the vendor's own models."""

from __future__ import annotations

from typing import Any

import bandwidth.models as vendor
import pytest

from callflow.core import payloads
from callflow.core.payloads import CallView, RecordingView
from tests.unit.engine.driver import EPOCH, FACTS

VIEW = CallView(FACTS, "https://voice.example.com", EPOCH + 3.25, EPOCH + 1.0, "blue")
EARLY = CallView(FACTS, "https://voice.example.com", EPOCH, None, "")
RECORDING = RecordingView("r-" + "0" * 45, EPOCH + 1, EPOCH + 2.5, 1500)
BODIES: list[tuple[payloads.Payload, Any]] = [
    (payloads.initiate(EARLY), vendor.InitiateCallback),
    (payloads.redirect(EARLY), vendor.RedirectCallback),
    (payloads.redirect(VIEW), vendor.RedirectCallback),
    (payloads.gather(VIEW, "12", "#"), vendor.GatherCallback),
    (payloads.record_complete(VIEW, RECORDING), vendor.RecordingCompleteCallback),
    (payloads.recording_available(VIEW, RECORDING), vendor.RecordingAvailableCallback),
    (payloads.disconnect(EARLY, cause="cancel"), vendor.DisconnectCallback),
    (payloads.disconnect(VIEW, cause="error", error_message="No.", error_id="e"), vendor.DisconnectCallback),
]


@pytest.mark.parametrize(("body", "model"), BODIES)
def test_the_vendors_models_take_every_body_whole(body: payloads.Payload, model: Any) -> None:
    parsed = model.from_dict(body)
    assert parsed.additional_properties == {}
    assert parsed.call_url == f"https://voice.example.com/api/v2/accounts/9900000/calls/{FACTS.call_id}"
    assert parsed.direction == "inbound"
    assert None not in body.values()


def test_optional_fields_are_left_out() -> None:
    assert "answerTime" not in payloads.redirect(EARLY)
    assert "tag" not in payloads.redirect(EARLY)
    assert payloads.redirect(VIEW)["tag"] == "blue"
    assert {"errorMessage", "errorId"}.isdisjoint(payloads.disconnect(EARLY, cause="hangup"))
    assert "answerTime" not in payloads.recording_available(VIEW, RECORDING)


@pytest.mark.parametrize(("milliseconds", "text"), [(0, "PT0S"), (20_056, "PT20.056S"), (10_800_020, "PT10800.020S"), (3000, "PT3S")])
def test_durations(milliseconds: int, text: str) -> None:
    assert payloads.iso_duration(milliseconds) == text


def test_times() -> None:
    assert payloads.iso_time(EPOCH + 0.375) == "2023-11-14T22:13:20.375Z"
