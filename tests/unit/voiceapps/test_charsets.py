from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiceapps.rules.http.charsets import charset_of, decoded
from voiceapps.rules.http.outbound import OutboundAnswer


@pytest.mark.parametrize(
    ("data", "named", "text"),
    [
        (b"caf\xe9", "ISO-8859-1", "café"),
        (b"caf\xe9", "windows-1252", "café"),
        ("café".encode(), "", "café"),
        ("café".encode(), "UTF-8", "café"),
        ("café".encode("utf-8-sig"), "ISO-8859-1", "café"),
        ("café".encode("utf-16"), "ISO-8859-1", "café"),
        ("café".encode("utf-32"), "utf-8", "café"),
        ("<a>é".encode("utf-16-be"), "utf-16", "<a>é"),
        ("<a>é".encode("utf-16-le"), "", "<a>é"),
        ("<a>é".encode("utf-32-be"), "", "<a>é"),
        ("<a>é".encode("utf-32-le"), "", "<a>é"),
        ("café".encode("koi8-r", "ignore"), "koi8-r", "caf"),
    ],
)
def test_a_mark_wins_over_the_name_and_the_name_over_the_rest(data: bytes, named: str, text: str) -> None:
    assert decoded(data, named) == text


@pytest.mark.parametrize("named", ["nonsense", "hex", "idna", "punycode", "unicode_escape", "a\0b", "rot13", "x" * 200])
def test_an_unknown_character_set_is_named(named: str) -> None:
    with pytest.raises(ValueError, match="The Content-Type names the character set .* which is unknown"):
        decoded(b"text", named)


def test_wrong_bytes_are_named() -> None:
    with pytest.raises(ValueError, match=r"The bytes are not us-ascii: 0xe9 at 3\."):
        decoded(b"caf\xe9", "us-ascii")


@given(st.binary(max_size=40), st.text(max_size=12))
def test_any_bytes_are_text_or_a_value_error(data: bytes, named: str) -> None:
    try:
        assert isinstance(decoded(data, named), str)
        charset_of(data, named)
    except ValueError as error:
        assert str(error).endswith(".")
    assert isinstance(OutboundAnswer(200, data, "", 0, None, named).text(), str)
