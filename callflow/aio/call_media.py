"""The media of one call: sockets, audio session and recorder, and what they tell the engine."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from callflow.aio.leg_figures import leg_report
from callflow.aio.media import MediaEndpoint, agreement_of, new_session
from callflow.aio.recordings.recorder import Recorder
from callflow.aio.services import Services
from callflow.audio.digit_method import DigitMethod, DigitMethodChoice
from callflow.audio.events import AudioEvent, DigitReceived, PlaybackFinished
from callflow.audio.inband import InbandDetector
from callflow.audio.session import AudioSession
from callflow.engine.call_engine import CallEngine
from callflow.engine.effects import Play, SendDigits, StartRecording, StopPlaying
from callflow.sip.sdp_answer import RemoteMedia
from daemonkit.address import Address


class CallMedia:
    """The media side of one call: sockets from `open`, audio from `connect` to `close`.

    What arrives goes to the engine; `on_input` runs after each input that may have effects.
    """

    def __init__(self, engine: CallEngine, services: Services, on_input: Callable[[], None]) -> None:
        self._digits = DigitMethodChoice()
        self._endpoint: MediaEndpoint | None = None
        self._engine = engine
        self._hears_for_engine = False
        self._on_input = on_input
        self._playing: dict[int, int] = {}
        """The engine's number of each sound that the session plays, by the session's."""
        self._recorders: dict[str, Recorder] = {}
        """The recordings that run, by their ids."""
        self._services = services
        self._session: AudioSession | None = None
        self._tones: InbandDetector | None = None

    def open(self, host: str) -> Address:
        """Bind the sockets and return where RTP is received; raises OSError."""
        endpoint = MediaEndpoint(host, self._services.clock)
        address = endpoint.open()
        self._endpoint = endpoint
        return address

    def close(self) -> None:
        """Close the sockets, and report what the relay cannot know."""
        if self._session is not None:
            self._services.metrics.packets_refused(self._session.refused)
            if self._session.agreement.keys is not None:
                self._services.put_record(leg_report(self._engine.facts.call_id, self._services.config.name, self._session))
        if self._endpoint:
            self._endpoint.close()
        self._endpoint = self._session = None

    def connect(self, media: RemoteMedia) -> None:
        """Send what offer and answer agreed on, from now on until `close`; what plays and what is recorded goes on."""
        self._digits.reset()
        if self._session is not None:
            self._session.agree(agreement_of(media))
        elif self._endpoint is not None:
            self._session = new_session(media)
            self._endpoint.attach(self._session, self._on_audio)
        self._listen_for_tones(wanted=media.event_payload_type is None)

    def _listen_for_tones(self, *, wanted: bool) -> None:
        """Have digits heard as tones, from a caller who sends no telephone events."""
        if self._session is None:
            return
        if self._tones is not None:
            self._session.inbound.detach(self._tones)
        self._tones = InbandDetector(lambda digit: self._take_digit(digit, DigitMethod.TONE)) if wanted else None
        if self._tones is not None:
            self._session.inbound.attach(self._tones)

    def pump(self) -> None:
        """Send what is due, and hand on what has arrived."""
        if self._endpoint:
            self._endpoint.pump()

    def hear_for_engine(self, *, wanted: bool) -> None:
        """Hand the caller's audio to the engine from now on, or no longer: few verbs want it, and each frame costs."""
        if self._session is not None and wanted is not self._hears_for_engine:
            self._hears_for_engine = wanted
            (self._session.inbound.attach if wanted else self._session.inbound.detach)(self._hear)

    @property
    def session(self) -> AudioSession | None:
        """The audio of the call, from `connect` to `close`."""
        return self._session

    def report_last_packet(self) -> None:
        """Tell the engine when the last packet came."""
        if self._session and self._session.heard_at is not None:
            self._engine.media_heard(self._session.heard_at)

    def listen_for_answer(self) -> None:
        """Take note of the audio from now on, by which the caller shows that it has our answer."""
        if self._endpoint:
            self._endpoint.early_at = None

    def answered_at(self, acknowledged_at: float) -> float:
        """Return when the caller got our answer: its audio tells it, too, and comes first where an ACK was lost."""
        heard_at = self._endpoint.early_at if self._endpoint else None
        return acknowledged_at if heard_at is None else min(heard_at, acknowledged_at)

    def heard_until(self, now: float) -> float:
        """Return when the caller's audio ended, if it ended before now."""
        return self._session.heard_until(now) if self._session else now

    def digit_signalled(self, digit: str) -> None:
        """Take a digit that came by INFO."""
        self._take_digit(digit, DigitMethod.INFO)

    # Effects of the engine.

    def carry_out(self, effect: Play | SendDigits | StopPlaying) -> None:
        """Queue a sound or digits, of whose end the engine hears under its number, or drop what is still to be sent."""
        if self._session is None:
            return
        match effect:
            case Play(number, ulaw):
                self._playing[self._session.play(ulaw)] = number
            case SendDigits(number, digits, tone_ms, interval_ms):
                self._playing[self._session.send_digits(digits, duration_ms=tone_ms, gap_ms=interval_ms)] = number
            case StopPlaying():
                self._playing.clear()
                self._session.stop_playing()

    def start_recording(self, wanted: StartRecording) -> None:
        """Start to write audio to a file."""
        self._flush()
        recorder = self._services.recorders.start(Path(wanted.path), wanted.max_seconds, wanted.file_format, wanted.sides)
        self._recorders[wanted.recording_id] = recorder
        if self._session:
            self._session.inbound.attach(recorder.hear_caller)
            self._session.outbound.attach(recorder.hear_answer)

    def pause_recording(self, recording_id: str, *, paused: bool) -> None:
        """Leave what is said from now on out of a file, or take it in again."""
        self._flush()
        if recording_id in self._recorders:
            self._recorders[recording_id].paused = paused

    def stop_recording(self, recording_id: str) -> Recorder | None:
        """Stop recording and return the recorder, whose file is to be completed; None if nothing was recorded."""
        self._flush()
        recorder = self._recorders.pop(recording_id, None)
        if recorder and self._session:
            self._session.inbound.detach(recorder.hear_caller)
            self._session.outbound.detach(recorder.hear_answer)
        return recorder

    def _flush(self) -> None:
        """Have the silence up to now heard, so that a recording begins and ends on time."""
        if self._session and self._endpoint:
            self._endpoint.read()
            self._session.flush(time.monotonic())
            self._endpoint.pump()

    def _on_audio(self, event: AudioEvent) -> None:
        now = time.monotonic()
        match event:
            case DigitReceived(digit):
                self._take_digit(digit, DigitMethod.EVENT)
            case PlaybackFinished(played):
                number = self._playing.pop(played, None)
                if number is not None:
                    self._engine.playback_finished(number, now)
                self._on_input()

    def _hear(self, ulaw: bytes) -> None:
        self._engine.audio_received(ulaw, time.monotonic())

    def _take_digit(self, digit: str, method: DigitMethod) -> None:
        """Hand a digit to the engine, unless the caller sends its digits by another method."""
        if self._digits.admits(method):
            self._engine.digit_received(digit, time.monotonic())
            self._on_input()
        else:
            self._services.metrics.digit_ignored(method)
