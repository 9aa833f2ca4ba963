"""The character set of a text that came by HTTP (RFC 7303 section 3.2)."""

from __future__ import annotations

import codecs

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16's, which begins it
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
    # XML tells these also without a mark by the way in which it begins (XML 1.0 appendix F).
    (b"<\0\0\0", "utf-32-le"),
    (b"\0\0\0<", "utf-32-be"),
    (b"<\0", "utf-16-le"),
    (b"\0<", "utf-16-be"),
)
_NO_CHARSETS = frozenset({"idna", "punycode", "unicode-escape", "unicode_escape", "raw-unicode-escape", "raw_unicode_escape", "undefined"})
"""Python's codecs that are no character sets, though they make text of bytes."""


def charset_of(data: bytes, named: str) -> str:
    """Return the character set of a text: that of its first octets, else the named one, which may be empty; raises ValueError."""
    for mark, charset in _MARKS:
        if data.startswith(mark):
            return charset
    return _known(named) if named else ""


def decoded(data: bytes, named: str, *, errors: str = "strict") -> str:
    """Return the text without its byte order mark; UTF-8 where nothing else is said. Raises ValueError with one sentence."""
    charset = charset_of(data, named) or "utf-8"
    try:
        return data.decode(charset, errors).removeprefix("\ufeff")
    except LookupError:
        raise _unknown(named) from None
    except UnicodeDecodeError as error:
        raise ValueError(f"The bytes are not {named or charset}: 0x{data[error.start]:02x} at {error.start}.") from None


def _known(named: str) -> str:
    try:
        found = codecs.lookup(named).name
    except (LookupError, ValueError):
        raise _unknown(named) from None
    if found in _NO_CHARSETS:
        raise _unknown(named)
    return named


def _unknown(named: str) -> ValueError:
    return ValueError(f"The Content-Type names the character set {named[:40]!r}, which is unknown.")
