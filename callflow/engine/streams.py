"""The streams of a call: WebSockets that hear it and, if they are bidirectional, speak into it.

A stream is wanted by its verb, opened at the answer at the earliest, and over when its connection fails, when either side closes it
or when the call ends. What becomes of it is told to the URL that its verb names. A call has four tracks to give away in all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from callflow.bxml import Webhook
from callflow.bxml.verbs.streams import StartStream
from callflow.engine import reports
from callflow.engine.effects import CloseStream, Effect, OpenStream, WriteReport
from callflow.engine.limits import MAX_STREAM_TRACKS
from voiceapps.rules.webhook_bodies import CallView, StreamView

View = Callable[[float], CallView]
"""Returns what webhooks say of the call at a moment."""


@dataclass(slots=True)
class Stream:
    """One stream that is wanted, opening or open."""

    stream_id: str
    name: str
    verb: StartStream
    events: Webhook | None
    """Its URL is absolute."""
    opening: bool = False
    started_at: float | None = None
    """Epoch seconds, once it is open."""
    closing: bool = False


class Streams:
    """The streams of one call; `emit` queues what the shell has to do."""

    def __init__(
        self, emit: Callable[[Effect], None], new_uuid: Callable[[], str], view: View, on_over: Callable[[str, float], None]
    ) -> None:
        self._emit = emit
        self._new_uuid = new_uuid
        self._on_over = on_over
        """Hears the id of each stream that is over, and when."""
        self._is_answered = False
        self._streams: dict[str, Stream] = {}
        self._view = view

    def __len__(self) -> int:
        return len(self._streams)

    def start(self, verb: StartStream, events: Webhook | None, now: float, *, answered: bool) -> None:
        """Start a stream, at the answer at the earliest; one that the call cannot have is told as rejected."""
        stream_id = f"s-{self._new_uuid()[:8]}-{self._new_uuid()}"
        stream = Stream(stream_id, verb.name or stream_id, verb, events)
        tracks = sum(len(other.verb.tracks) for other in self._streams.values() if not other.closing)
        if any(other.name == stream.name and not other.closing for other in self._streams.values()):
            self._reject(stream, "duplicate", f"The call has a stream called {stream.name} already.", now)
        elif tracks + len(verb.tracks) > MAX_STREAM_TRACKS:
            self._reject(stream, "track-limit", f"The call would stream more than {MAX_STREAM_TRACKS} tracks.", now)
        else:
            self._streams[stream_id] = stream
            if answered:
                self.answered()

    def answered(self) -> None:
        """Open what has waited for the answer."""
        self._is_answered = True
        self._open()

    def named(self, name: str) -> str | None:
        """Return the id of the latest stream of this name, which may be about to close; None if there is none."""
        return next((stream.stream_id for stream in reversed(self._streams.values()) if stream.name == name), None)

    def stop(self, name: str) -> None:
        """Close a stream; one that is not there is ignored."""
        stream = self._streams.get(self.named(name) or "")
        if stream is not None:
            self._close(stream)

    def stop_all(self) -> None:
        """Close all streams."""
        for stream in list(self._streams.values()):
            self._close(stream)

    def _close(self, stream: Stream) -> None:
        if not stream.opening:
            del self._streams[stream.stream_id]
        elif not stream.closing:
            stream.closing = True
            self._emit(CloseStream(stream.stream_id))

    def opened(self, stream_id: str, now: float) -> None:
        """Take note that a stream's connection is there."""
        stream = self._streams.get(stream_id)
        if stream is not None:
            view = self._view(now)
            stream.started_at = view.at
            self._report("mediaStreamStarted", stream, view)

    def over(self, stream_id: str, cause: str, sentence: str, now: float) -> None:
        """Take note that a stream is over, or could not be opened: `closed`, `connection-error` or `error`, and why."""
        stream = self._streams.pop(stream_id, None)
        if stream is None:
            return
        view = self._view(now)
        if stream.started_at is None and not stream.closing:
            self._reject(stream, cause, sentence, now)
        else:
            self._report("mediaStreamStopped", stream, view, cause, sentence)
        if self._is_answered:
            self._open()
        self._on_over(stream_id, now)

    def _open(self) -> None:
        """Open what waits, as far as those that are being closed have given their tracks back."""
        for stream in self._streams.values():
            held = sum(len(other.verb.tracks) for other in self._streams.values() if other.opening)
            if not stream.opening and held + len(stream.verb.tracks) <= MAX_STREAM_TRACKS:
                stream.opening = True
                self._emit(OpenStream(stream.stream_id, stream.name, stream.verb))

    def _reject(self, stream: Stream, cause: str, sentence: str, now: float) -> None:
        self._report("mediaStreamRejected", stream, self._view(now), cause, sentence)

    def _report(self, event_type: str, stream: Stream, view: CallView, cause: str = "", sentence: str = "") -> None:
        if stream.events is not None:
            said = StreamView(stream.stream_id, stream.name, stream.verb.destination, stream.verb.tracks, stream.started_at)
            self._emit(WriteReport(reports.stream_event(event_type, view, said, stream.events, cause, sentence)))
