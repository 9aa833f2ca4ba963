"""`<StartStream>` and `<StopStream>`: send the call's audio to a WebSocket, and take audio from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from callflow.bxml.element import ElementReader
from callflow.bxml.limits import MAX_STREAM_NAME_LENGTH
from callflow.bxml.socket_target import read_destination, read_params, read_tracks
from callflow.bxml.webhook import Webhook


@dataclass(frozen=True, slots=True)
class StartStream:
    """Where audio goes to, and which; `events` hears what becomes of it."""

    name: str
    """Empty if the stream is to be called by its id."""
    destination: str
    username: str
    password: str
    bidirectional: bool
    tracks: tuple[str, ...]
    params: tuple[tuple[str, str], ...]
    events: Webhook | None
    line: int

    @classmethod
    def parse(cls, reader: ElementReader) -> Self:
        """Read the element and the parameters in it; raises BxmlError."""
        destination = read_destination(reader)
        if not destination:
            reader.fail("needs the attribute 'destination'")
        username, password = reader.credentials("destinationUsername", "destinationPassword", destination)
        stream = cls(
            name=reader.limited("name", "", MAX_STREAM_NAME_LENGTH),
            destination=destination,
            username=username,
            password=password,
            bidirectional=reader.choice("mode", "unidirectional", ("unidirectional", "bidirectional")) == "bidirectional",
            tracks=read_tracks(reader),
            params=read_params(reader, "StreamParam"),
            events=reader.webhook("streamEvent", fallback=False),
            line=reader.line,
        )
        reader.finish(leaf=False)
        return stream


@dataclass(frozen=True, slots=True)
class StopStream:
    """The end of a stream or, with `wait`, a wait until it ends by itself."""

    name: str
    wait: bool
    line: int

    @classmethod
    def parse(cls, reader: ElementReader) -> Self:
        """Read the element; raises BxmlError."""
        name, wait = reader.limited("name", "", MAX_STREAM_NAME_LENGTH), reader.flag("wait", False)
        reader.finish()
        if not name:
            reader.fail("needs the attribute 'name'")
        return cls(name, wait, reader.line)
