"""Files are converted block by block: the result is that of converting all at once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soxr

from callflow.aio.sounds import convert as module
from callflow.aio.sounds import spool as spool_module
from callflow.aio.sounds.convert import RATE, to_ulaw
from callflow.aio.sounds.spool import Spool
from callflow.audio.wav import Encoding, Wav
from mediarelay.rtp.g711 import alaw_to_pcm16, pcm16_to_ulaw, ulaw_to_pcm16

SEED = 16
HEAD = b"head " * 9
FRAMES = 44_100 + 17


def at_once(wav: Wav, frames: bytes) -> bytes:
    """Convert all frames in one piece."""
    if (wav.encoding, wav.channels, wav.rate) == (Encoding.ULAW, 1, RATE):
        return frames
    to_linear: dict[Encoding, Callable[[bytes], bytes]] = {
        Encoding.ULAW: ulaw_to_pcm16,
        Encoding.ALAW: alaw_to_pcm16,
        Encoding.PCM16: bytes,
    }
    linear = to_linear[wav.encoding](frames)
    samples = np.frombuffer(linear, "<i2").astype(np.float32)
    if wav.channels == 2:
        samples = samples.reshape(-1, 2).mean(axis=1, dtype=np.float32)
    if wav.rate != RATE:
        samples = soxr.resample(samples, wav.rate, RATE)
    return pcm16_to_ulaw(np.clip(np.rint(samples), -32_768, 32_767).astype(np.int16).tobytes())


@pytest.mark.parametrize("rate", [8_000, 8_001, 11_025, 16_000, 22_050, 44_100, 48_000, 192_000])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("encoding", Encoding)
@pytest.mark.parametrize("in_memory", [True, False])
def test_every_form_in_blocks_of_several_sizes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoding: Encoding, channels: int, rate: int, in_memory: bool
) -> None:
    monkeypatch.setattr(spool_module, "MAX_MEMORY_EACH", 1_000_000 if in_memory else 0)
    octets = FRAMES * channels * (2 if encoding is Encoding.PCM16 else 1)
    # The loudest samples, so that resampling clips.
    frames = np.random.default_rng(SEED).integers(0, 256, octets, np.uint8).tobytes()
    wav = Wav(encoding, channels, rate, len(HEAD), len(frames))
    wanted = at_once(wav, frames)
    for block in (1_000, 4_099, FRAMES, 10 * FRAMES):
        monkeypatch.setattr(module, "BLOCK_FRAMES", block)
        file = Spool(str(tmp_path)).new()
        file.append(HEAD + frames + b"what is behind the audio")
        to_ulaw(file, wav)
        assert file[:] == wanted
