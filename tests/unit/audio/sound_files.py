"""Sound files as applications have them."""

from __future__ import annotations

import io
import math
import struct
import wave

import lameenc


def tone(rate: int, seconds: float = 0.5, hertz: float = 440.0) -> bytes:
    samples = (int(8000 * math.sin(2 * math.pi * hertz * n / rate)) for n in range(int(rate * seconds)))
    return b"".join(struct.pack("<h", sample) for sample in samples)


def pcm_file(rate: int, channels: int = 1) -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        samples = tone(rate)
        file.writeframes(b"".join(samples[n : n + 2] * channels for n in range(0, len(samples), 2)))
    return buffer.getvalue()


def g711_file(tag: int, frames: bytes, size: int | None = None, bits: int = 8, channels: int = 1) -> bytes:
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, tag, channels, 8000, 8000, 1, bits)
    return b"RIFF\x00\x00\x00\x00WAVE" + form + struct.pack("<4sI", b"data", len(frames) if size is None else size) + frames


def mp3_file(rate: int, channels: int = 1, seconds: float = 1.0) -> bytes:
    encoder = lameenc.Encoder()
    encoder.silence()
    encoder.set_in_sample_rate(rate)
    encoder.set_out_sample_rate(rate)
    encoder.set_channels(channels)
    encoder.set_bit_rate(64)
    samples = tone(rate, seconds)
    frames = b"".join(samples[at : at + 2] * channels for at in range(0, len(samples), 2))
    return bytes(encoder.encode(frames)) + bytes(encoder.flush())
