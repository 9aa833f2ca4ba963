"""In half an hour of speech and music no digit is heard."""

from __future__ import annotations

import subprocess

import numpy as np
import numpy.typing as npt
import pytest

from callflow.audio.tones import RATE
from tests.unit.audio.test_inband import heard

MINUTES_SPEECH, MINUTES_MUSIC = 22, 8
VOICES = ("en-us+f3", "de+m3", "cmn+f2", "fr+f4", "es+m7", "it+f1", "pl+f5", "ru+m1", "hi+f2", "ar+m2", "en-gb+croak")
"""Men and women in languages whose vowels differ."""
SECONDS = 60 * MINUTES_SPEECH // len(VOICES)
SAID = (
    "Sentence {} of many: please hold the line, all our agents are busy.",
    "Ooh, are you there? Eeh, I see, number {}, we owe you an answer.",
    "You are number {} in the queue, aah, zoom, room, seen, mean, hello, yellow.",
)

Samples = npt.NDArray[np.float64]


@pytest.mark.parametrize("voice", VOICES)
@pytest.mark.parametrize("pitch", [30, pytest.param(90, marks=pytest.mark.long)])
def test_speech_holds_no_digits(voice: str, pitch: int) -> None:
    text = " ".join(SAID[number % len(SAID)].format(number) for number in range(40))
    command = ["espeak-ng", "-v", voice, "-p", str(pitch), "-s", "130", "--stdout", text]
    spoken = subprocess.run(command, capture_output=True, check=True, timeout=60).stdout  # noqa: S603
    samples = np.frombuffer(spoken[44:], np.int16)[: (len(spoken) - 44) // 2]
    # 22,050 Hz to 8,000 by the nearest sample: more harmonics than a telephone lets through.
    picked = samples[(np.arange(len(samples) * RATE // 22_050) * 22_050 / RATE).astype(int)]
    assert len(picked) >= SECONDS * RATE // 2
    assert heard(picked.astype(float)) == ""


@pytest.mark.parametrize("seed", range(MINUTES_MUSIC))
def test_music_holds_no_digits(seed: int) -> None:
    """A minute of chords and melodies with harmonics and vibrato, and drums, each time in another measure."""
    random = np.random.default_rng(seed)
    beat = np.arange(RATE * (10 + seed) // 40).astype(np.float64)
    bars: list[Samples] = []
    while len(bars) * len(beat) < 60 * RATE:
        root = 110 * 2 ** (random.integers(0, 24) / 12)
        notes = [root * 2 ** (step / 12) for step in random.choice([(0, 4, 7, 12), (0, 3, 7, 10), (0, 5, 9, 16), (0, 4, 11, 19)])]
        bars.append(3_000 * np.sum([_note(hertz, beat, random) for hertz in notes], axis=0) + _drum(beat, random))
    assert heard(np.concatenate(bars)) == ""


def _note(hertz: float, at: Samples, random: np.random.Generator) -> Samples:
    vibrato = random.uniform(0, 0.01) * np.sin(2 * np.pi * 5.5 * at / RATE)
    fades = np.exp(-at / RATE * random.uniform(0, 8))
    strengths = random.uniform(0.2, 1, 4) / np.arange(1, 5)
    phase = 2 * np.pi * hertz * (at / RATE + vibrato / 5.5)
    tones: Samples = np.sum([strength * np.sin(harmonic * phase) for harmonic, strength in enumerate(strengths, 1)], axis=0)
    return fades * tones


def _drum(at: Samples, random: np.random.Generator) -> Samples:
    return random.normal(0, random.uniform(0, 6_000), len(at)) * np.exp(-at / RATE * 30)
