"""The one error of speech engines."""

from __future__ import annotations


class SpeechUnavailable(Exception):
    """A sentence that cannot be spoken; the text says why in one sentence."""
