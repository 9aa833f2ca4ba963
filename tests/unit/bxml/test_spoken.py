"""Sentences for engines that read no SSML: clauses and silences."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from callflow.bxml.spoken import FIRST_CHARACTERS, MORE_CHARACTERS, Piece, pieces
from callflow.bxml.ssml import read_speech

LONG = "Thank you for calling the company. All our agents are busy, please hold the line; we will be with you shortly. " * 3


@pytest.mark.parametrize(
    ("markup", "said"),
    [
        ("Hello", ["Hello"]),
        ("  Hello \n there ", ["Hello there"]),
        ("You &amp; me &lt;3", ["You & me <3"]),
        ('One<break time="300ms"/>two<break time="+2s"/><break/>three', ["One", 0.3, "two", 2.0, 0.5, "three"]),
        ('a<break strength="none"/>b<break strength="x-strong"/>', ["a", "b", 1.0]),
        ('Call <say-as interpret-as="telephone">555 01</say-as> now', ["Call 5, 5, 5, 0, 1 now"]),
        ('<say-as interpret-as="characters">ab</say-as>', ["a, b"]),
        ('It is <say-as interpret-as="date" format="mdy">12/24</say-as>', ["It is 12/24"]),
        ('The <sub alias="World Wide Web">WWW</sub> is big', ["The World Wide Web is big"]),
        ("<p>One.</p><s>Two.</s>Three.", ["One.", 0.5, "Two.", 0.2, "Three."]),
        ('<prosody rate="slow">Slow <emphasis level="strong">now</emphasis></prosody>', ["Slow now"]),
        ("", []),
        (" ... <break time='1s'/> -- ", [1.0]),
    ],
)
def test_what_is_said(markup: str, said: list[Piece]) -> None:
    assert pieces(markup) == said


def test_the_first_clause_is_short_and_nothing_is_lost() -> None:
    found = pieces(LONG)
    assert all(isinstance(piece, str) for piece in found)
    clauses = [str(piece) for piece in found]
    assert clauses[0] == "Thank you for calling the company."
    assert len(clauses[0]) <= FIRST_CHARACTERS
    assert max(map(len, clauses)) <= MORE_CHARACTERS
    assert " ".join(clauses) == LONG.strip()


@pytest.mark.parametrize(
    ("text", "clauses"),
    [
        ("Welcome back. You have 20 new messages.", ["Welcome back.", "You have 20 new messages."]),
        ("Yes, we have: hold on, please.", ["Yes, we have:", "hold on, please."]),
        ("Please hold the line, or call again: we are here until six.", ["Please hold the line,", "or call again: we are here until six."]),
        ("Please hold the line.", ["Please hold the line."]),
        ("Hello.", ["Hello."]),
        ("Please ask Dr. Smith about it, he knows.", ["Please ask Dr. Smith about it,", "he knows."]),
        ("Thank you very much. —", ["Thank you very much. —"]),
        ("Please wait here. … ? !", ["Please wait here. … ? !"]),
        ("Your balance is 40 dollars and ten cents as of today.", ["Your balance is 40 dollars", "and ten cents as of today."]),
        ("Press one to go on with the same person as before.", ["Press one to go on with the same person", "as before."]),
        ("! ! ! ! ! ! Hello there, friend of mine.", ["! ! ! ! ! ! Hello there,", "friend of mine."]),
    ],
)
def test_the_first_clause_ends_as_soon_as_it_may(text: str, clauses: list[str]) -> None:
    assert pieces(text) == clauses


def test_a_text_without_boundaries_is_cut_all_the_same() -> None:
    words = pieces("word " * 100)
    assert len(str(words[0])) <= FIRST_CHARACTERS
    assert " ".join(map(str, words)) == ("word " * 100).strip()
    assert "".join(map(str, pieces("x" * 1_000))) == "x" * 1_000


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"), exclude_characters="\ufffe\uffff"), max_size=300))
def test_any_text_comes_whole(text: str) -> None:
    element = etree.Element("SpeakSentence")
    element.text = text
    found = pieces(read_speech(element)[0])
    assert all(re.search(r"\w", piece) for piece in found if isinstance(piece, str))
    words = "".join("".join(map(str, found)).split())
    assert words in ("", "".join(text.split()))
