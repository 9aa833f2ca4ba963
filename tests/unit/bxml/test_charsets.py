"""The character set of a document: the byte order mark's, else the Content-Type's, else the declaration's."""

from __future__ import annotations

import pytest

from callflow.bxml import BxmlError, parse_document
from callflow.bxml.lint import check

SENTENCE = "<Response><SpeakSentence>café olé</SpeakSentence></Response>"


def declared(charset: str) -> str:
    return f'<?xml version="1.0" encoding="{charset}"?>{SENTENCE}'


@pytest.mark.parametrize(
    ("data", "charset"),
    [
        (SENTENCE.encode("iso-8859-1"), "ISO-8859-1"),
        (SENTENCE.encode(), "utf-8"),
        (SENTENCE.encode(), ""),
        (declared("iso-8859-1").encode("iso-8859-1"), ""),
        (declared("utf-8").encode("iso-8859-1"), "iso-8859-1"),
        (declared("iso-8859-1").encode(), "utf-8"),
        (declared("nonsense").encode(), "utf-8"),
        (declared("iso-8859-1").encode("utf-8-sig"), "iso-8859-1"),
        (SENTENCE.encode("utf-16"), "utf-8"),
        (declared("utf-16").encode("utf-16"), ""),
        (SENTENCE.encode("utf-16-le"), "utf-16-le"),
    ],
)
def test_who_names_the_character_set(data: bytes, charset: str) -> None:
    assert "café olé" in repr(parse_document(data, charset).verbs)
    assert check(data, charset).valid


@pytest.mark.parametrize(
    ("data", "charset", "sentence"),
    [
        (SENTENCE.encode(), "nonsense", "character set 'nonsense', which is unknown"),
        (SENTENCE.encode("iso-8859-1"), "utf-8", "The bytes are not utf-8: 0xe9 at 28."),
        (SENTENCE.encode(), "us-ascii", "The bytes are not us-ascii"),
        (SENTENCE.encode("iso-8859-1"), "", "Not well-formed XML"),
    ],
)
def test_a_document_in_another_character_set_than_said_is_refused(data: bytes, charset: str, sentence: str) -> None:
    with pytest.raises(BxmlError, match=sentence):
        parse_document(data, charset)
