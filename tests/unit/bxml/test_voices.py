"""Who speaks, and what is said of it if it is not who was asked for."""

from __future__ import annotations

import pytest

from callflow.bxml import parse_document
from callflow.bxml.verbs.speak_sentence import SpeakSentence
from callflow.bxml.voices import LOCALES, VOICES, Choice, Voice, choose_voice
from tests.unit.bxml.test_parser import response


@pytest.mark.parametrize(
    ("name", "locale", "gender", "choice"),
    [
        ("julie", "en_US", "male", Choice(Voice("en_US", "female"))),
        ("Susan", "de", "male", Choice(Voice("en_US", "female"))),
        ("", "en-gb", "male", Choice(Voice("en_US", "male"), "There is no locale 'en-gb': a male voice of en_US speaks instead.")),
        ("", "FR-ca", "male", Choice(Voice("fr_CA", "male"))),
        ("", "de_AT", "female", Choice(Voice("de", "female"), "There is no locale 'de_AT': a female voice of de speaks instead.")),
        ("", "tlh", "male", Choice(Voice("en_US", "male"), "There is no locale 'tlh': a male voice of en_US speaks instead.")),
        ("hal", "en_US", "male", Choice(Voice("en_US", "male"), "There is no voice 'hal': a male voice of en_US speaks instead.")),
        ("hal", "it_CH", "female", Choice(Voice("it", "female"), "There is no voice 'hal': a female voice of it speaks instead.")),
    ],
)
def test_what_is_not_in_the_table_falls_back(name: str, locale: str, gender: str, choice: Choice) -> None:
    assert choose_voice(name, locale, gender) == choice  # type: ignore[arg-type]  # one of two


def test_all_that_is_in_the_table_is_what_was_asked_for() -> None:
    assert {choose_voice(name, "tlh", "male") for name in VOICES} == {Choice(voice) for voice in VOICES.values()}
    assert [choose_voice("", locale, "female") for locale in LOCALES] == [Choice(Voice(locale, "female")) for locale in LOCALES]


def test_a_sentence_of_an_unknown_voice_is_spoken_all_the_same() -> None:
    (verb,) = parse_document(response("<SpeakSentence voice='hal' locale='ja_JP'>a</SpeakSentence>")).verbs
    assert isinstance(verb, SpeakSentence)
    assert verb.voice == Voice("ja", "female")
    assert verb.note.startswith("There is no voice 'hal'")
