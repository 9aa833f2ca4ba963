"""The one error of sound files."""

from __future__ import annotations


class SoundError(ValueError):
    """A file that cannot be played; the text says why in one sentence."""
