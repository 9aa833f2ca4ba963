"""The media of one call: sockets, audio session and recorder, and what they tell the engine."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable

from callflow.aio.media import MediaEndpoint
from callflow.aio.recorder import Recorder, RecorderPool
from callflow.audio.events import AudioEvent, AudioReceived, DigitReceived, PlaybackFinished
from callflow.audio.session import UNSPECIFIED, AudioSession, Codec
from callflow.engine.call_engine import CallEngine
from callflow.sip.sdp_answer import RemoteMedia
from daemonkit.address import Address

NOWHERE = (UNSPECIFIED, 0)


class CallMedia:
    """The media side of one call: sockets from `open`, audio from `connect` to `close`.

    What arrives goes to the engine; `on_input` runs after each input that may have effects.
    """

    def __init__(self, engine: CallEngine, recorders: RecorderPool, on_input: Callable[[], None]) -> None:
        self._endpoint: MediaEndpoint | None = None
        self._engine = engine
        self._on_input = on_input
        self._playing: dict[int, int] = {}
        """The engine's number of each sound that the session plays, by the session's."""
        self._recorder: Recorder | None = None
        self._recorders = recorders
        self._remote: RemoteMedia | None = None
        self._session: AudioSession | None = None

    def open(self, host: str) -> Address:
        """Bind the sockets and return where RTP is received; raises OSError."""
        endpoint = MediaEndpoint(host)
        address = endpoint.open()
        self._endpoint = endpoint
        return address

    def close(self) -> None:
        """Close the sockets."""
        if self._endpoint:
            self._endpoint.close()
        self._endpoint = self._session = None

    def connect(self, media: RemoteMedia) -> None:
        """Send to the caller's address, or nowhere while it wants no audio; another codec needs another session."""
        before, self._remote = self._remote, media
        if self._endpoint is None:
            return
        if self._session is None or before is None or before.payload_type != media.payload_type:
            self._replace_session(self._endpoint, media)
        if self._session:
            self._session.retarget(media.address if media.listens else NOWHERE)

    def pump(self) -> None:
        """Send what is due, and hand on what has arrived."""
        if self._endpoint:
            self._endpoint.pump()

    def report_last_packet(self) -> None:
        """Tell the engine when the last packet came."""
        if self._session and self._session.last_packet_at is not None:
            self._engine.media_heard(self._session.last_packet_at)

    # Effects of the engine.

    def play(self, number: int, ulaw: bytes) -> None:
        """Queue a sound; the engine hears of its end under `number`."""
        if self._session:
            self._playing[self._session.play(ulaw)] = number

    def stop_playing(self) -> None:
        """Drop what is still to be sent."""
        self._playing.clear()
        if self._session:
            self._session.stop_playing()

    def start_recording(self, recording_id: str, max_seconds: float) -> None:
        """Start to write the caller's audio to a file."""
        self._recorder = self._recorders.start(self._engine.facts.call_id, recording_id, max_seconds)

    def stop_recording(self) -> Recorder | None:
        """Stop recording and return the recorder, whose file is to be completed; None if nothing was recorded."""
        recorder, self._recorder = self._recorder, None
        return recorder

    def _replace_session(self, endpoint: MediaEndpoint, media: RemoteMedia) -> None:
        """Attach a new session; sounds that the old one was playing count as finished."""
        cut, self._playing = list(self._playing.values()), {}
        self._session = _new_session(media)
        self._session.start(time.monotonic())
        endpoint.attach(self._session, self._on_audio)
        for number in cut:
            self._engine.playback_finished(number, time.monotonic())

    def _on_audio(self, event: AudioEvent) -> None:
        now = time.monotonic()
        match event:
            case AudioReceived(ulaw):
                if self._recorder:
                    self._recorder.write(ulaw)
                self._engine.audio_received(ulaw, now)
            case DigitReceived(digit):
                self._engine.digit_received(digit, now)
                self._on_input()
            case PlaybackFinished(played):
                number = self._playing.pop(played, None)
                if number is not None:
                    self._engine.playback_finished(number, now)
                self._on_input()
            case _:
                pass


def _new_session(media: RemoteMedia) -> AudioSession:
    return AudioSession(
        codec=Codec(media.payload_type),
        event_payload_type=media.event_payload_type,
        remote=media.address,
        ssrc=secrets.randbits(32),
        sequence=secrets.randbits(16),
        timestamp=secrets.randbits(32),
    )
