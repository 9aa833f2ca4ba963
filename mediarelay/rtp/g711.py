"""G.711 at 8 kHz: µ-law and A-law, to and from 16-bit linear samples in the machine's order, and into each other."""

from __future__ import annotations

import audioop

ULAW_SILENCE = 0xFF
"""The µ-law octet of sample value 0."""
ALAW_SILENCE = 0xD5
"""The A-law octet nearest to sample value 0."""

_EVERY_OCTET = bytes(range(256))
_ULAW_TO_ALAW = audioop.lin2alaw(audioop.ulaw2lin(_EVERY_OCTET, 2), 2)
_ALAW_TO_ULAW = audioop.lin2ulaw(audioop.alaw2lin(_EVERY_OCTET, 2), 2)


def add_pcm16(data: bytes, other: bytes) -> bytes:
    """Return the sums of two runs of linear samples of the same length, clipped; raises audioop.error if they differ in length."""
    return audioop.add(data, other, 2)


def alaw_to_pcm16(data: bytes) -> bytes:
    """Return two octets of linear sample for each A-law octet."""
    return audioop.alaw2lin(data, 2)


def alaw_to_ulaw(data: bytes) -> bytes:
    """Return the nearest µ-law octet for each A-law octet."""
    return data.translate(_ALAW_TO_ULAW)


def pcm16_to_alaw(data: bytes) -> bytes:
    """Return one A-law octet for each linear sample; raises audioop.error on half a sample."""
    return audioop.lin2alaw(data, 2)


def pcm16_to_ulaw(data: bytes) -> bytes:
    """Return one µ-law octet for each linear sample; raises audioop.error on half a sample."""
    return audioop.lin2ulaw(data, 2)


def ulaw_to_alaw(data: bytes) -> bytes:
    """Return the nearest A-law octet for each µ-law octet."""
    return data.translate(_ULAW_TO_ALAW)


def ulaw_to_pcm16(data: bytes) -> bytes:
    """Return two octets of linear sample for each µ-law octet."""
    return audioop.ulaw2lin(data, 2)
