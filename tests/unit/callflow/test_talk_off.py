"""What people say is taken for no digit."""

from __future__ import annotations

import subprocess

import numpy as np
import pytest

from tests.unit.audio.test_inband import heard


@pytest.mark.parametrize("voice", ["en-us+f3", "de+m3", "cmn+f2"])
def test_speech_holds_no_digits(voice: str) -> None:
    text = " ".join(f"Sentence {number} of many: please hold the line, all our agents are busy." for number in range(30))
    spoken = subprocess.run(["espeak-ng", "-v", voice, "--stdout", text], capture_output=True, check=True, timeout=60).stdout  # noqa: S603, S607
    samples = np.frombuffer(spoken[44:], np.int16)[: (len(spoken) - 44) // 2]
    # 22,050 Hz to 8,000 by the nearest sample: more harmonics than a telephone lets through.
    picked = samples[(np.arange(len(samples) * 8_000 // 22_050) * 22_050 / 8_000).astype(int)]
    assert heard(picked.astype(float)) == ""
