"""`<StartStream>` and `<StopStream>`: send the call's audio to a WebSocket, and take audio from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

from callflow.bxml.element import ElementReader
from callflow.bxml.limits import (
    MAX_STREAM_NAME_LENGTH,
    MAX_STREAM_PARAM_LENGTH,
    MAX_STREAM_PARAM_NAME_LENGTH,
    MAX_STREAM_PARAMS,
    MAX_URL_LENGTH,
)
from callflow.bxml.webhook import Webhook

TRACKS: dict[str, tuple[str, ...]] = {"inbound": ("inbound",), "outbound": ("outbound",), "both": ("inbound", "outbound")}
"""What the attribute `tracks` means: inbound is what the caller says, outbound what the caller hears."""
_SCHEMES = "ws", "wss"


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
        destination = _read_destination(reader)
        username, password = reader.credentials("destinationUsername", "destinationPassword", destination)
        stream = cls(
            name=reader.limited("name", "", MAX_STREAM_NAME_LENGTH),
            destination=destination,
            username=username,
            password=password,
            bidirectional=reader.choice("mode", "unidirectional", ("unidirectional", "bidirectional")) == "bidirectional",
            tracks=TRACKS[reader.choice("tracks", "inbound", tuple(TRACKS))],
            params=_read_params(reader),
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


def _read_destination(reader: ElementReader) -> str:
    value = reader.limited("destination", "", MAX_URL_LENGTH).strip()
    if not value:
        reader.fail("needs the attribute 'destination'")
    try:
        parts = urlsplit(value)
        valid = parts.scheme.lower() in _SCHEMES and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not valid or any(character.isspace() or ord(character) < 32 for character in value):
        reader.refuse("destination", "must be an absolute ws or wss URL")
    return value


def _read_params(reader: ElementReader) -> tuple[tuple[str, str], ...]:
    if len(reader.element) > MAX_STREAM_PARAMS:
        reader.fail(f"can hold at most {MAX_STREAM_PARAMS} parameters")
    return tuple(_read_param(reader, ElementReader(child)) for child in reader.element)


def _read_param(stream: ElementReader, child: ElementReader) -> tuple[str, str]:
    if child.name != "StreamParam":
        stream.fail(f"can hold only <StreamParam>, not <{child.name}>")
    name = child.limited("name", "", MAX_STREAM_PARAM_NAME_LENGTH)
    value = child.limited("value", "", MAX_STREAM_PARAM_LENGTH)
    child.finish()
    if not name:
        child.fail("needs the attribute 'name'")
    return name, value
