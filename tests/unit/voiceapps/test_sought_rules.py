"""What a text that is searched for may be."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiceapps.rules.diagnosis.sought import Sought, read

CALL = "c-2f9d1b6a-7c1e4d5f-0a3b-4c6d-9e8f-1a2b3c4d5e6f"
APP = "15f99d57-f823-4718-80cc-5d95d5b83e59"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (CALL, Sought(CALL, call_id=CALL)),
        (" 203.0.113.9 ", Sought("203.0.113.9", address="203.0.113.9")),
        (APP, Sought(APP, sip_call_id=APP, uuid=UUID(APP))),
        ("9900000", Sought("9900000", sip_call_id="9900000", number="9900000", account_id="9900000", name="9900000")),
        ("+49 170 12", Sought("+49 170 12", sip_call_id="+49 170 12", number="4917012", name="+49 170 12")),
        ("sip:+49170@x", Sought("sip:+49170@x", sip_call_id="sip:+49170@x", number="49170", name="sip:+49170@x")),
        (f"sip:{APP}@sip.example.com", Sought(f"sip:{APP}@sip.example.com", sip_call_id=f"sip:{APP}@sip.example.com", uuid=UUID(APP))),
        (f"<sips:{APP}@x:5061;x=y>", Sought(f"<sips:{APP}@x:5061;x=y>", sip_call_id=f"<sips:{APP}@x:5061;x=y>", uuid=UUID(APP))),
        ("<tel:+49170>", Sought("<tel:+49170>", sip_call_id="<tel:+49170>", number="49170", name="<tel:+49170>")),
        ("clinic@x", Sought("clinic@x", sip_call_id="clinic@x", name="clinic@x")),
        ("203.0.113.9:5060", Sought("203.0.113.9:5060", address="203.0.113.9")),
        ("203.0.113.0/24", Sought("203.0.113.0/24", sip_call_id="203.0.113.0/24", name="203.0.113.0/24")),
        ("203.0.113.256", Sought("203.0.113.256", sip_call_id="203.0.113.256", name="203.0.113.256")),
        ("Clinic", Sought("Clinic", sip_call_id="Clinic", name="Clinic")),
        ("aB@Pbx" + "x" * 100, Sought("aB@Pbx" + "x" * 100, sip_call_id="aB@Pbx" + "x" * 100)),
    ],
)
def test_a_text_is_read_as_all_that_it_may_be(text: str, found: Sought) -> None:
    assert read(text) == found


@pytest.mark.parametrize("text", ["", " ", "x", "x" * 513, "a\0b"])
def test_nothing_is_looked_for_by_what_nothing_has(text: str) -> None:
    assert read(text) is None


@given(st.text())
def test_any_text_is_read(text: str) -> None:
    found = read(text)
    assert found is None or found.text == text.strip()
