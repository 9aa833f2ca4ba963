"""The number of a URI: the same for each way of writing it, and none where there is none."""

from __future__ import annotations

import pytest

from voiceapps.rules.diagnosis.numbers import MAX_NUMBER, after_prefix, digits_of, number_of


@pytest.mark.parametrize(
    ("uri", "number"),
    [
        ("sip:+1 (415) 555-0100@x", "14155550100"),
        ("sip:+14155550100@pbx.example;user=phone", "14155550100"),
        ("SIPS:+1.415.555.0100:secret@x", "14155550100"),
        ("tel:+1-415-555-0100;ext=22", "14155550100"),
        ("TEL:+14155550100", "14155550100"),
        ("sip:00441632960000;phone-context=+44@gw", "00441632960000"),
        ("sip:%2B1415%20555%2D0100@x", "14155550100"),
        ("sip:100@198.51.100.7:5080", "100"),
        ("sip:" + "7" * 600 + "@a.example", "7" * MAX_NUMBER),
    ],
)
def test_each_way_of_writing_a_number_is_the_same(uri: str, number: str) -> None:
    assert number_of(uri) == number


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "sip:x",
        "sip:198.51.100.7",
        "sip:alice@example.com",
        "sip:100b@example.com",
        "sip:10@example.com",
        "sip:*31#100@x",
        "sip:++100@x",
        "sip:100%40200@x",
        "sip:%00100@x",
        "sip:٣٣٣٣@x",
        "sip:²²²²@x",
        "sip:@x",
        "mailto:100@x",
        "tel:",
        "sip:" + "-" * 5000 + "@x",
        "100@x",
    ],
)
def test_what_is_no_number_has_none(uri: str) -> None:
    assert number_of(uri) == ""


def test_what_a_person_types_is_read_alike() -> None:
    assert digits_of(" +49 (170) 12/34-5 ") == "4917012345"
    assert digits_of("49x") == ""


@pytest.mark.parametrize(("prefix", "after"), [("49170", "49171"), ("499", "5"), ("1", "2"), ("99", "")])
def test_the_end_of_a_prefix(prefix: str, after: str) -> None:
    assert after_prefix(prefix) == after
    assert not after or prefix + "9" * 9 < after
