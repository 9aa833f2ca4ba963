"""What those see who may not see numbers and addresses."""

from __future__ import annotations

import pytest

from voiceapps.rules.diagnosis.personal import short_address, short_body, short_number, short_numbers, short_text, short_uri


@pytest.mark.parametrize(
    ("uri", "short"),
    [
        ("sip:+14155550100@198.51.100.7:5080;user=phone", "sip:+1415555…@198.51.100.0/24:5080"),
        ("sip:alice@example.com", "sip:a…@example.com"),
        ("sip:bob@example.com", "sip:…@example.com"),
        ("sip:+14155550100:secret@x", "sip:+1415555…@x"),
        ("tel:+1-415-555-0100;ext=22", "tel:+1-415-555-…"),
        ("SIPS:100@x", "SIPS:…@x"),
        ("sip:198.51.100.7", "sip:198.51.100.0/24"),
        ("sip:14155550100", "sip:1415555…"),
        ("sip:pbx.example.com;lr", "sip:pbx.example.com"),
        ("+14155550100", "…"),
        ("", "…"),
    ],
)
def test_a_uri_keeps_what_tells_callers_apart(uri: str, short: str) -> None:
    assert short_uri(uri) == short


def test_addresses_and_numbers_are_cut() -> None:
    assert (short_address("203.0.113.9"), short_address("2001:db8::1"), short_address("x")) == ("203.0.113.0/24", "…", "…")
    assert (short_number("14155550100"), short_number("100"), short_number("")) == ("1415555…", "…", "…")
    assert short_text("abc@198.51.100.7 and 1.2.3.4.5") == "abc@198.51.100.0/24 and 1.2.3.4.5"


def test_a_long_text_takes_no_long_time() -> None:
    assert short_uri("sip:" + "7" * 100_000) == "sip:" + "7" * 99_996 + "…"
    assert len(short_uri("sip:" + "1." * 50_000 + "@x")) < 100_100


@pytest.mark.parametrize(
    ("text", "short"),
    [
        ("call +14155550100 now", "call +1415555… now"),
        ("<sip:4915112345@198.51.100.7>", "<sip:491511…@198.51.100.0/24>"),
        ("2026-11-30T12:00:00.12345Z in c-00000001-7c1e and :56032", "2026-11-30T12:00:00.12345Z in c-00000001-7c1e and :56032"),
        ("/accounts/9900000/calls", "/accounts/9900000/calls"),
    ],
)
def test_numbers_in_a_text_are_cut_and_ids_and_times_are_not(text: str, short: str) -> None:
    assert short_numbers(text) == short


def test_a_body_keeps_what_does_not_lead_to_the_caller() -> None:
    body = {
        "eventType": "gather",
        "accountId": "9900000",
        "from": "sip:+14155550100@198.51.100.7",
        "digits": "4711",
        "speech": {"transcript": "my name is", "confidence": 0.5},
        "sipHeaders": {"p-asserted-identity": "<tel:+4917012345>"},
        "tracks": ["inbound"],
        "terminatingDigit": "",
    }
    assert short_body(body) == {
        "eventType": "gather",
        "accountId": "9900000",
        "from": "sip:+1415555…@198.51.100.0/24",
        "digits": "…",
        "speech": {"transcript": "…", "confidence": 0.5},
        "sipHeaders": {"p-asserted-identity": "<tel:+491701…>"},
        "tracks": ["inbound"],
        "terminatingDigit": "",
    }
