"""Digits as tones: which are heard, how soon, and what is taken for one that is none."""

from __future__ import annotations

import numpy as np
import pytest

from callflow.audio.agreement import Agreement, Codec
from callflow.audio.inband import HOP, WINDOW, InbandDetector
from callflow.audio.session import AudioSession
from callflow.audio.tones import KEYS, RATE, DigitTones, digit_frequencies
from mediarelay.rtp.g711 import pcm16_to_ulaw, ulaw_to_pcm16
from mediarelay.rtp.packet import RtpPacket

FULL = 32_767.0


def heard(samples: np.ndarray | bytes) -> str:
    """Return the digits that a detector hears in some audio."""
    ulaw = samples if isinstance(samples, bytes) else pcm16_to_ulaw(np.clip(np.rint(samples), -32_768, 32_767).astype(np.int16).tobytes())
    digits: list[str] = []
    detector = InbandDetector(digits.append)
    for at in range(0, len(ulaw) - 159, 160):
        detector(ulaw[at : at + 160])
    return "".join(digits)


def press(digit: str, *, seconds: float = 0.1, decibels: float = -13.0, twist: float = 0.0, detuned: float = 0.0) -> np.ndarray:
    """Return a digit whose two tones are each so many decibels below full scale, the lower one `twist` louder, and as long a silence."""
    at = np.arange(round(seconds * RATE))
    levels = FULL * 10 ** (decibels / 20), FULL * 10 ** ((decibels - twist) / 20)
    tones = (
        level * np.sin(2 * np.pi * hertz * (1 + detuned) * at / RATE) for level, hertz in zip(levels, digit_frequencies(digit), strict=True)
    )
    return np.concatenate((np.sum(list(tones), axis=0), np.zeros(len(at))))


def noise(samples: int, decibels: float, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, FULL * 10 ** (decibels / 20), samples)


@pytest.mark.parametrize("seconds", [0.06, 0.1, 0.5])
@pytest.mark.parametrize("decibels", [-6.0, -13.0, -30.0])
def test_each_digit_is_heard_once(seconds: float, decibels: float) -> None:
    audio = np.concatenate([press(digit, seconds=seconds, decibels=decibels) for digit in KEYS])
    assert heard(audio) == KEYS


def test_our_own_tones_are_heard() -> None:
    digits = "0123456789*#ABCD"
    tones = DigitTones(digits, 100, 100)
    assert heard(tones[0 : len(tones)]) == digits


@pytest.mark.parametrize("twist", [-5.0, 0.0, 7.0])
@pytest.mark.parametrize("detuned", [-0.014, 0.0, 0.014])
def test_lines_may_bend_them(twist: float, detuned: float) -> None:
    audio = np.concatenate([press(digit, twist=twist, detuned=detuned) for digit in KEYS])
    assert heard(audio) == KEYS


def test_faint_digits_are_heard_through_noise() -> None:
    audio = np.concatenate([press(digit, decibels=-30.0) for digit in KEYS * 4])
    assert heard(audio + noise(len(audio), -42.0)) == KEYS * 4


def test_the_same_digit_twice() -> None:
    assert heard(np.concatenate([press("5", seconds=0.06)] * 4)) == "5555"


def test_a_digit_is_told_soon_after_its_beginning() -> None:
    frames = pcm16_to_ulaw(press("7", seconds=0.2).astype(np.int16).tobytes())
    digits: list[str] = []
    detector = InbandDetector(digits.append)
    told = 0
    while not digits:
        detector(frames[told : told + 160])
        told += 160
    assert told <= WINDOW + 2 * HOP + 160


@pytest.mark.parametrize(
    "bent",
    [{"twist": 14.0}, {"twist": -12.0}, {"detuned": 0.035}, {"detuned": -0.035}, {"decibels": -50.0}, {"seconds": 0.02}],
)
def test_what_is_too_far_off_is_no_digit(bent: dict[str, float]) -> None:
    assert heard(np.concatenate([press(digit, **bent) for digit in KEYS])) == ""


def test_noise_and_single_tones_are_no_digits() -> None:
    assert heard(noise(60 * RATE, -20.0)) == ""
    at = np.arange(RATE)
    for hertz in range(200, 3_500, 7):
        assert heard(6_000 * np.sin(2 * np.pi * hertz * at[:1_600] / RATE)) == ""


def test_music_holds_no_digits() -> None:
    """Chords of four instruments with harmonics, a thousand of them."""
    random = np.random.default_rng(7)
    at = np.arange(RATE // 4)
    chords = []
    for _ in range(1_000):
        notes = 110 * 2 ** (random.integers(0, 48, 4) / 12)
        voices = [
            random.uniform(0.2, 1) * np.sin(2 * np.pi * note * harmonic * at / RATE) / harmonic for note in notes for harmonic in (1, 2, 3)
        ]
        chords.append(3_000 * np.sum(voices, axis=0))
    assert heard(np.concatenate(chords)) == ""


def test_silence_costs_nothing_and_hides_nothing() -> None:
    silence = bytes([0xFF]) * 160 * 50
    tone = pcm16_to_ulaw(press("9").astype(np.int16).tobytes())
    assert heard(silence + tone + silence + tone) == "99"
    assert ulaw_to_pcm16(silence[:1]) == b"\0\0"


@pytest.mark.parametrize("late", [0.000, 0.004, 0.010, 0.015, 0.019])
def test_a_frame_of_silence_within_a_digit_makes_no_second_one(late: float) -> None:
    """A recording that begins or ends has the frame that is due read early."""
    session = AudioSession(Agreement(("127.0.0.1", 4000), Codec.PCMU, 0, None, True), ssrc=1, sequence=1, timestamp=0)
    digits: list[str] = []
    session.inbound.attach(InbandDetector(digits.append))
    session.start(100.0)
    sound = b"\xff" * 1_600 + DigitTones("5", 200, 100)[0:2_400] + b"\xff" * 1_600
    for number in range(len(sound) // 160):
        now = 100.030 + number * 0.02
        session.handle_timer(now)
        packet = RtpPacket(0, number, number * 160, 7, sound[number * 160 :][:160], number == 0)
        session.receive_datagram(bytes(packet), ("127.0.0.1", 4000), now)
        if number == 15:
            session.flush(now + late)
    assert digits == ["5"]
