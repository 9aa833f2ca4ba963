"""Text from strangers, times and durations, as the console shows them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiceapps.rules.diagnosis.visible import visible
from voiceapps.templatetags.console_text import MAX_SHOWN, moment, span, whole, wire


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("sip:100@a.example", "sip:100@a.example"),
        ("Grüße, 你好, שלום", "Grüße, 你好, שלום"),
        ("a\u202egnp.exe", "a⟨U+202E⟩gnp.exe"),
        ("a\x1b[31m\0", "a⟨U+001B⟩[31m⟨U+0000⟩"),
        ("one\r\ntwo\n\tthree\rfour", "one\ntwo\n\tthree⟨U+000D⟩four"),
        ("\u2066\u200b\u2028\ufeff\ud800", "⟨U+2066⟩⟨U+200B⟩⟨U+2028⟩⟨U+FEFF⟩⟨U+D800⟩"),
    ],
)
def test_what_acts_or_hides_is_shown_by_its_number(text: str, seen: str) -> None:
    assert visible(text) == seen


@given(st.text())
def test_nothing_that_is_shown_acts(text: str) -> None:
    assert visible(visible(text)) == visible(text)
    assert not set("\u202a\u202b\u202d\u202e\u2066\u2067\u2068\u200e\u200f\0\x1b") & set(visible(text))


def test_markup_of_strangers_is_text() -> None:
    assert wire("<script>alert(1)</script>") == '<bdi class="sipuri-wire">&lt;script&gt;alert(1)&lt;/script&gt;</bdi>'
    assert "&lt;b&gt;" in whole("<b>")


def test_a_long_text_is_cut_with_a_way_to_the_whole() -> None:
    text = "7" * 600
    shown = wire(text)
    assert f">{'7' * MAX_SHOWN}…</bdi></summary>" in shown
    assert text in shown
    assert "<details" not in wire("7" * MAX_SHOWN)
    assert f">{'7' * 40}…<" in wire(text, 40)


def test_times_have_their_date_seconds_and_zone() -> None:
    at = datetime(2026, 11, 28, 7, 34, 55, 123456, tzinfo=UTC)
    assert moment(at) == "2026-11-28 07:34:55 UTC"
    assert moment(at.astimezone(timezone(timedelta(hours=2)))) == "2026-11-28 07:34:55 UTC"
    assert moment(None) == ""


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(None, ""), (0.0312, "0.03 s"), (5.44, "5.4 s"), (61.2, "1 min 01 s"), (3_720, "1 h 02 min")],
)
def test_durations_have_the_digits_that_matter(seconds: float | None, words: str) -> None:
    assert span(seconds) == words
