"""What the verbs that send audio to a WebSocket have in common: where it goes, which tracks, and what it is told at the start."""

from __future__ import annotations

from urllib.parse import urlsplit

from callflow.bxml.element import ElementReader
from callflow.bxml.limits import MAX_STREAM_PARAM_LENGTH, MAX_STREAM_PARAM_NAME_LENGTH, MAX_STREAM_PARAMS, MAX_URL_LENGTH

TRACKS: dict[str, tuple[str, ...]] = {"inbound": ("inbound",), "outbound": ("outbound",), "both": ("inbound", "outbound")}
"""What the attribute `tracks` means: inbound is what the caller says, outbound what the caller hears."""
_SCHEMES = "ws", "wss"


def read_tracks(reader: ElementReader) -> tuple[str, ...]:
    """Return the tracks that are wanted; raises BxmlError."""
    return TRACKS[reader.choice("tracks", "inbound", tuple(TRACKS))]


def read_destination(reader: ElementReader) -> str:
    """Return the URL of a WebSocket, empty if there is none; raises BxmlError."""
    value = reader.limited("destination", "", MAX_URL_LENGTH).strip()
    if not value:
        return ""
    try:
        parts = urlsplit(value)
        valid = parts.scheme.lower() in _SCHEMES and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not valid or any(character.isspace() or ord(character) < 32 for character in value):
        reader.refuse("destination", "must be an absolute ws or wss URL")
    return value


def read_params(reader: ElementReader, name: str) -> tuple[tuple[str, str], ...]:
    """Return the nested parameters, elements of the given name, as pairs; raises BxmlError."""
    if len(reader.element) > MAX_STREAM_PARAMS:
        reader.fail(f"can hold at most {MAX_STREAM_PARAMS} parameters")
    return tuple(_read_param(reader, ElementReader(child), name) for child in reader.element)


def _read_param(parent: ElementReader, child: ElementReader, wanted: str) -> tuple[str, str]:
    if child.name != wanted:
        parent.fail(f"can hold only <{wanted}>, not <{child.name}>")
    name = child.limited("name", "", MAX_STREAM_PARAM_NAME_LENGTH)
    value = child.limited("value", "", MAX_STREAM_PARAM_LENGTH)
    child.finish()
    if not name:
        child.fail("needs the attribute 'name'")
    return name, value
