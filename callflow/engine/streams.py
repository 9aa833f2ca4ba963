"""The streams of a call: WebSockets that hear it and, if they are bidirectional, speak into it.

What becomes of a stream is told to the URL that its verb names.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from callflow.bxml import Webhook
from callflow.bxml.verbs.streams import StartStream
from callflow.engine import reports
from callflow.engine.effects import CloseStream, Effect, OpenStream, WriteReport
from callflow.engine.followers import Follower, Followers, View
from voiceapps.rules.webhook_bodies import CallView, StreamView


@dataclass(slots=True)
class Stream(Follower):
    """One stream."""

    verb: StartStream = field(kw_only=True)


class Streams(Followers[Stream]):
    """The streams of one call."""

    def __init__(
        self, emit: Callable[[Effect], None], new_uuid: Callable[[], str], view: View, on_over: Callable[[str, float], None]
    ) -> None:
        super().__init__(emit, view)
        self._new_uuid = new_uuid
        self._on_over = on_over
        """Hears the id of each stream that is over, and when."""

    def start(self, verb: StartStream, events: Webhook | None, now: float, *, answered: bool) -> None:
        """Start a stream, at the answer at the earliest; one that the call cannot have is told as rejected."""
        stream_id = f"s-{self._new_uuid()[:8]}-{self._new_uuid()}"
        self._begin(Stream(stream_id, verb.name or stream_id, verb.tracks, events, verb=verb), now, answered=answered)

    def over(self, number: str, cause: str, sentence: str, now: float) -> None:
        """Take note that a stream is over, or could not be opened: `closed`, `connection-error` or `error`, and why."""
        was_there = number in self._followers
        super().over(number, cause, sentence, now)
        if was_there:
            self._on_over(number, now)

    def _open(self, follower: Stream) -> None:
        self._emit(OpenStream(follower.number, follower.name, follower.verb))

    def _close(self, follower: Stream) -> None:
        self._emit(CloseStream(follower.number))

    def _tell_started(self, follower: Stream, view: CallView) -> None:
        self._report("mediaStreamStarted", follower, view)

    def _tell_rejected(self, follower: Stream, view: CallView, cause: str, sentence: str) -> None:
        self._report("mediaStreamRejected", follower, view, cause, sentence)

    def _tell_stopped(self, follower: Stream, view: CallView, cause: str, sentence: str) -> None:
        self._report("mediaStreamStopped", follower, view, cause, sentence)

    def _report(self, event_type: str, stream: Stream, view: CallView, cause: str = "", sentence: str = "") -> None:
        if stream.events is not None:
            said = StreamView(stream.number, stream.name, stream.verb.destination, stream.tracks, stream.started_at)
            self._emit(WriteReport(reports.stream_event(event_type, view, said, stream.events, cause, sentence)))
