"""Numbered reports as lines of JSON, which outlive the process that made them.

A report with a customer's password is encrypted, as it will be in the database.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Protocol, get_args

import msgspec

from voiceapps.rules.reports import Report

_KINDS: dict[str, type] = {kind.__name__: kind for kind in get_args(Report)}
_SECRET = {name for name, kind in _KINDS.items() if "password" in {field.name for field in fields(kind)}}
_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(tuple[int, str, msgspec.Raw])


class Cipher(Protocol):
    """What keeps secrets: a Fernet."""

    def encrypt(self, data: bytes) -> bytes:
        """Return the token of some octets, as ASCII."""

    def decrypt(self, token: bytes) -> bytes:
        """Return the octets of a token; raises an exception of its own."""


def to_line(number: int, report: Report, cipher: Cipher) -> bytes:
    """Return a report and its number as one line, its end included; raises ValueError for text that is no Unicode."""
    kind = type(report).__name__
    octets = _ENCODER.encode(report)
    if kind in _SECRET:
        octets = b'"' + cipher.encrypt(octets) + b'"'
    return b'[%d,"%b",%b]\n' % (number, kind.encode(), octets)


def octets_of(report: Report) -> int:
    """Return about how long a report's line is; raises ValueError for text that is no Unicode."""
    return len(_ENCODER.encode(report))


def from_line(line: bytes, cipher: Cipher) -> tuple[int, Report]:
    """Read a line; raises ValueError if it is none, or the report of another version, or was encrypted with another key."""
    number, kind, raw = _DECODER.decode(line)
    if kind not in _KINDS:
        raise ValueError(f"There is no report of the kind {kind}.")
    octets = bytes(raw)
    if kind in _SECRET:
        octets = _decrypted(octets.strip(b'"'), cipher)
    report: Report = msgspec.json.decode(octets, type=_KINDS[kind])
    return number, report


def _decrypted(token: bytes, cipher: Cipher) -> bytes:
    try:
        return cipher.decrypt(token)
    except Exception as error:
        raise ValueError(f"The report was encrypted with another key: {type(error).__name__}.") from error
