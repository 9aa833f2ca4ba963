"""Read the corpus: each message with the verdict it has to get."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SILENCE = "none"
FINAL = frozenset(str(status) for status in range(200, 700))
NOT_400 = FINAL - {"400"}

# The answers that each class of `sip-traffic` allows. Octets after the body are not part of a datagram's message
# (RFC 3261 §18.3), so a message that has some may also be answered like any other.
CLASSES: dict[str, frozenset[str]] = {
    "valid": NOT_400,
    "rfc2543-ish": FINAL,
    "extra-octets": FINAL | {SILENCE},
    "framing-short": frozenset({"400", SILENCE}),
    "malformed": frozenset({"400", SILENCE}),
    "ack-no-reply": frozenset({SILENCE}),
    "stray-response": frozenset({SILENCE}),
}

# Messages for which we think that another verdict is right, and why.
DEVIATIONS = {
    "sdp/249_belle-sip.sdp": "Only its origin line is IPv6; where it listens is IPv4: relayed.",
    "sip-traffic/devices/055_INVITE_sipproxy-message_test.sip": "The body has other boundaries than Content-Type names: 400.",
    "sip-traffic/devices/079_REGISTER_sipsorcery-SIPRequestUnitTest.sip": "Via names the port `5060port`: there is nowhere to answer to.",
    "sip-traffic/quirks/198_INVITE_php-sip-StreamParserTest.sip": "Content-Length is -255: 400, as for every length that is no number.",
}

_VIA_PORT = re.compile(rb"(?im)^(?:via|v)[ \t]*:[^\r\n]*?/[ \t]*\w+[ \t]+(?:\[[^\]]*\]|[^\s:;,]+)(?:[ \t]*:[ \t]*(\d+))?")


@dataclass(frozen=True, slots=True)
class Message:
    """One datagram, and the statuses that may answer it; `none` among them allows silence."""

    name: str
    data: bytes
    allowed: frozenset[str]
    reply_port: int


def messages(corpus: Path) -> Iterator[Message]:
    """Yield every SIP message of the corpus."""
    for row in rows(corpus / "torture"):
        allowed = {SILENCE} if row["kind"] == "response" else set(row["reply_codes_that_pass"].split("|"))
        yield _message(corpus / "torture", row["file"], frozenset(allowed))
    for row in rows(corpus / "sip-traffic"):
        yield _message(corpus / "sip-traffic", row["file"], CLASSES[row["expect"]])


def rows(folder: Path) -> list[dict[str, str]]:
    """Return the table of a folder."""
    with (folder / "index.tsv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def _message(folder: Path, name: str, allowed: frozenset[str]) -> Message:
    data = (folder / name).read_bytes()
    port = _VIA_PORT.search(data)
    return Message(f"{folder.name}/{name}", data, allowed, int(port[1]) if port and port[1] and int(port[1]) < 65_536 else 5060)
