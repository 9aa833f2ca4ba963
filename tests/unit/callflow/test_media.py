"""Two media endpoints on the loopback, with real sockets and the real clock."""

from __future__ import annotations

import asyncio

from callflow.aio.media import MediaEndpoint
from callflow.aio.media_clock import MediaClock
from callflow.audio.agreement import Agreement, Codec
from callflow.audio.events import AudioEvent, DigitReceived, PlaybackFinished
from callflow.audio.frames import SILENCE_FRAME
from callflow.audio.session import AudioSession


def _session(remote: tuple[str, int], ssrc: int) -> AudioSession:
    return AudioSession(Agreement(remote, Codec.PCMU, 0, 101), ssrc=ssrc, sequence=1, timestamp=0)


async def test_audio_and_digits_arrive_and_close_frees_the_ports() -> None:
    near, far = (MediaEndpoint("127.0.0.1", MediaClock()) for _ in range(2))
    near_address, far_address = near.open(), far.open()
    assert near_address[1] % 2 == far_address[1] % 2 == 0
    speaker, listener = _session(far_address, 1), _session(near_address, 2)
    heard: list[AudioEvent] = []
    frames: list[bytes] = []
    listener.inbound.attach(frames.append)
    done = asyncio.Event()

    def on_heard(event: AudioEvent) -> None:
        heard.append(event)
        if isinstance(event, DigitReceived):
            done.set()

    def on_said(event: AudioEvent) -> None:
        # A command from inside the callback, and the pump that follows it, must not get lost.
        if event == PlaybackFinished(sound):
            speaker.send_digits("5", duration_ms=40)
            near.pump()

    far.attach(listener, on_heard)
    near.attach(speaker, on_said)
    sound = speaker.play(bytes(range(1, 161)) * 3)
    near.pump()
    await asyncio.wait_for(done.wait(), 5)
    assert [frame for frame in frames if frame != SILENCE_FRAME] == [bytes(range(1, 161))] * 3
    assert [event.digit for event in heard if isinstance(event, DigitReceived)] == ["5"]
    near.close()
    far.close()
    near.close()
    again = MediaEndpoint("127.0.0.1", MediaClock())
    again.open()
    again.close()


async def test_closing_from_inside_a_callback() -> None:
    endpoint = MediaEndpoint("127.0.0.1", MediaClock())
    session = _session(endpoint.open(), 1)
    closed = asyncio.Event()

    def on_event(event: AudioEvent) -> None:
        assert isinstance(event, PlaybackFinished)
        endpoint.close()
        closed.set()

    session.send_digits(",")
    endpoint.attach(session, on_event)
    await asyncio.wait_for(closed.wait(), 5)
