"""`<Refer>`: have the caller's telephone call somebody else instead."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from callflow.bxml.element import ElementReader
from callflow.bxml.limits import MAX_SIP_URI_LENGTH
from callflow.bxml.webhook import Webhook
from sipproxy.sip import PeerError, SipUri


@dataclass(frozen=True, slots=True)
class Refer:
    """Whom the telephone is asked to call; `complete` hears what came of it."""

    target: str
    """A sip or sips URI as it is written."""
    complete: Webhook | None
    tag: str | None
    line: int

    @classmethod
    def parse(cls, reader: ElementReader) -> Self:
        """Read the element and the `<SipUri>` in it; raises BxmlError."""
        refer = cls(_read_target(reader), reader.plain_webhook("referComplete"), reader.tag(), reader.line)
        reader.finish(leaf=False)
        return refer


def _read_target(reader: ElementReader) -> str:
    children = [ElementReader(child) for child in reader.element]
    stranger = next((child for child in children if child.name != "SipUri"), None)
    if stranger is not None:
        reader.fail(f"can hold only <SipUri>, not <{stranger.name}>")
    if len(children) != 1:
        reader.fail("needs exactly one <SipUri>")
    (child,) = children
    target = child.text()
    child.finish(text=True)
    if not target:
        child.fail("needs a SIP URI as its text")
    if len(target) > MAX_SIP_URI_LENGTH:
        child.fail(f"text is longer than {MAX_SIP_URI_LENGTH} characters")
    if not _is_sip_uri(target):
        child.fail(f"text must be a sip or sips URI, not {target!r}")
    return target


def _is_sip_uri(text: str) -> bool:
    """Return whether a text is a SIP URI (RFC 3261 section 25.1); one that could end its header line, or its brackets, is none."""
    try:
        SipUri.parse(text)
    except PeerError:
        return False
    return text.isascii()
