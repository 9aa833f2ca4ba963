"""Compare what our parser reads with what tshark read in the same message, field by field.

Pure: no proxy runs. `python -m tests.conformance.oracle CORPUS`. A message that we refuse is not compared; whether it may be
refused is what the other half of `make conformance` checks.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sipproxy.sip import Message, NameAddr, PeerError, Request, Response, SipUri, Via, parse_message
from sipproxy.sip.digest import read_fields
from sipproxy.sip.grammar import param

_VIAS = ("sip.Via.",)
_EMPTY_PLACE = "Two commas with nothing between them hold an empty value, and no Via or address is empty (RFC 3261 25.1). We pass them on."

# Differences in which we think that our reading is right: the file, the fields (or their prefixes), and why.
DEVIATIONS: dict[str, tuple[tuple[str, ...], str]] = {
    "captures/169_INVITE_msf-spoof.sip": (("sip.r-uri.host",), "`sip:@host` has an empty user part, which 25.1 does not know."),
    "devices/025_REGISTER_sofia-sip-own0.sip": (
        _VIAS,
        "A comment in a lower Via, gone since RFC 2543; nobody but its owner reads that Via.",
    ),
    "devices/059_INVITE_pjproject-360_non_sip_uri.sip": (
        ("sip.contact.uri",),
        "A bare URI with a question mark must stand in angle brackets (20); only a first Contact is ever read.",
    ),
    "quirks/058_INVITE_osip-sip50.sip": (
        ("sip.Via.sent-by.port",),
        "The lower Via says `:5060`; the oracle loses a port that nothing follows.",
    ),
    "quirks/064_INVITE_osip-sip68.sip": (
        ("sip.Via.sent-by.port",),
        "The lower Via says `:5060`; the oracle loses a port that nothing follows.",
    ),
    "quirks/072_INVITE_sofia-sip-10052.sip": (
        ("sip.from.user", "sip.from.host"),
        "From's host was folded in its middle: a blank in a host (7.3.1). From passes as it came, its parts are not used.",
    ),
    "quirks/084_401-REGISTER_sofia-sip-torture_sip.sip": (("sip.auth.",), "A challenge with two algorithms: a field may be there once."),
    "quirks/086_MESSAGE_sofia-sip-torture_sip.sip": (("sip.Via.", "sip.contact.uri", "sip.Record-Route.uri"), _EMPTY_PLACE),
    "quirks/088_MESSAGE_sofia-sip-torture_sip.sip": (("sip.Via.", "sip.contact.uri"), _EMPTY_PLACE),
    "quirks/106_INVITE_gosip-msg_test.sip": (_VIAS, "The oracle does not read the Via whose blanks were folded; 7.3.1 allows them."),
    "quirks/138_INVITE_pjproject-msg_test.sip": (_VIAS, "The oracle does not read the Via whose blanks were folded; 7.3.1 allows them."),
    "quirks/140_INVITE_pjproject-msg_test.sip": (("sip.to.host",), "The oracle reads over the end of a line that ends with a bare LF."),
    "quirks/168_401-REGISTER_resiprocate-testSipMessage.sip": (("sip.auth.realm",), "A Basic challenge: SIP took Basic out (22)."),
    "lf-only/002_REGISTER_sofia-sip-own4.sip": (
        ("sip.from.host", "sip.to.host", "sip.contact.uri"),
        "The oracle reads over the end of a line that ends with a bare LF.",
    ),
}
_FOLD = re.compile(r"\s*[\r\n]+\s*")
AUTH_HEADERS = ("authorization", "proxy-authorization", "www-authenticate", "proxy-authenticate")


@dataclass(frozen=True, slots=True)
class Difference:
    """One field that we and the oracle read differently."""

    file: str
    field: str
    ours: tuple[str, ...]
    theirs: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.file}: {self.field}: we read {list(self.ours)}, the oracle {list(self.theirs)}"


@dataclass(slots=True)
class Comparison:
    """The result: counts, and the fields that differ without a known reason."""

    messages: int = 0
    fields: int = 0
    deviations: int = 0
    differences: list[Difference] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"{self.messages} messages beside tshark's reading: {self.fields} fields compared, "
            f"{self.deviations} deviations with a reason, {len(self.differences)} differences"
        )


def compare(corpus: Path) -> Comparison:
    """Compare every message that we accept."""
    result = Comparison()
    for name, theirs in _oracle(corpus):
        message = _read((corpus / "sip-traffic" / name).read_bytes())
        if message is not None:
            result.messages += 1
            _compare_fields(result, name, message, theirs)
    return result


def _compare_fields(result: Comparison, name: str, message: Message, theirs: Mapping[str, tuple[str, ...]]) -> None:
    excused = DEVIATIONS.get(name, ((), ""))[0]
    for title in theirs.keys() & FIELDS.keys():
        result.fields += 1
        ours, expected = read_field(message, title), _plain(theirs[title])
        if ours != expected and title.startswith(excused):
            result.deviations += 1
        elif ours != expected:
            result.differences.append(Difference(name, title, ours, expected))


def _oracle(corpus: Path) -> Iterator[tuple[str, dict[str, tuple[str, ...]]]]:
    with (corpus / "sip-traffic" / "oracle.jsonl").open(encoding="utf-8") as file:
        for line in file:
            row = json.loads(line)
            yield row["file"], {title: tuple(values) for title, values in row["tshark"].items()}


def _read(data: bytes) -> Message | None:
    try:
        return parse_message(data)
    except PeerError:
        return None


def read_field(message: Message, title: str) -> tuple[str, ...]:
    """Return our value for a field by its name in tshark; a refusal's reason in brackets."""
    try:
        return _plain(FIELDS[title](message))
    except PeerError as error:
        return (f"({error.reason})",)


def _plain(values: Iterable[str]) -> tuple[str, ...]:
    """Return the part on which two readers must agree: tshark keeps folds, quotes and brackets in some fields and not in others."""
    texts = (_FOLD.sub(" ", value).strip() for value in values)
    bare = (text[1:-1] if text[:1] + text[-1:] in ('""', "[]") else text for text in texts)
    return tuple(text for text in bare if text not in ("", "rport"))


# Each function reads all values of one tshark field in the message, in order.


def _requests(read: Callable[[Request], str | int | None]) -> Callable[[Message], Iterable[str]]:
    def values(message: Message) -> Iterator[str]:
        if isinstance(message, Request) and (value := read(message)) is not None:
            yield str(value)

    return values


def _vias(read: Callable[[Via], str | int | None]) -> Callable[[Message], Iterable[str]]:
    def values(message: Message) -> Iterator[str]:
        return (str(value) for text in message.values("via") if (value := read(Via.parse(text))) is not None)

    return values


def _addresses(name: str, read: Callable[[NameAddr], str | None]) -> Callable[[Message], Iterable[str]]:
    def values(message: Message) -> Iterator[str]:
        # `Contact: *` has no address.
        texts = (text for text in message.values(name) if text != "*")
        return (value for text in texts if (value := read(NameAddr.parse(text))) is not None)

    return values


def _auth(name: str) -> Callable[[Message], Iterable[str]]:
    def values(message: Message) -> Iterator[str]:
        texts = [text for key in dict.fromkeys(message.keys) if key in AUTH_HEADERS for text in message.headers(key)]
        return (fields[name] for fields in map(read_fields, texts) if name in fields)

    return values


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdecimal() else None


def _uri(read: Callable[[SipUri], str | int | None]) -> Callable[[Message], Iterable[str]]:
    return _requests(lambda request: read(request.uri))


def _one(read: Callable[[Message], str | int | None]) -> Callable[[Message], Iterable[str]]:
    def values(message: Message) -> Iterator[str]:
        if (value := read(message)) is not None and value != "":
            yield str(value)

    return values


FIELDS: dict[str, Callable[[Message], Iterable[str]]] = {
    "sip.Method": _requests(lambda request: request.method),
    "sip.Status-Code": _one(lambda message: message.status if isinstance(message, Response) else None),
    "sip.r-uri": _requests(lambda request: request.uri_text),
    "sip.r-uri.user": _uri(lambda uri: uri.user),
    "sip.r-uri.host": _uri(lambda uri: uri.host.strip("[]")),
    "sip.r-uri.port": _uri(lambda uri: uri.port),
    "sip.from.tag": _one(lambda message: message.from_.tag),
    "sip.from.user": _one(lambda message: message.from_.sip_uri.user),
    "sip.from.host": _one(lambda message: message.from_.sip_uri.host.strip("[]")),
    "sip.from.display.info": _one(lambda message: message.from_.display),
    "sip.to.tag": _one(lambda message: message.to.tag),
    "sip.to.user": _one(lambda message: message.to.sip_uri.user),
    "sip.to.host": _one(lambda message: message.to.sip_uri.host.strip("[]")),
    "sip.to.display.info": _one(lambda message: message.to.display),
    "sip.Call-ID": _one(lambda message: message.call_id),
    "sip.CSeq.seq": _one(lambda message: message.cseq.number),
    "sip.CSeq.method": _one(lambda message: message.cseq.method),
    "sip.Max-Forwards": _one(lambda message: _number(message.header("max-forwards"))),
    "sip.Via.transport": _vias(lambda via: via.transport),
    "sip.Via.sent-by.address": _vias(lambda via: via.host.strip("[]")),
    "sip.Via.sent-by.port": _vias(lambda via: via.port),
    "sip.Via.branch": _vias(lambda via: via.branch or None),
    "sip.Via.rport": _vias(lambda via: param(via.params, "rport")),
    "sip.Via.received": _vias(lambda via: param(via.params, "received")),
    "sip.contact.uri": _addresses("contact", lambda address: address.uri),
    "sip.Record-Route.uri": _addresses("record-route", lambda address: address.uri),
    "sip.Route.uri": _addresses("route", lambda address: address.uri),
    "sip.Content-Length": _one(lambda message: _number(message.header("content-length"))),
    "sip.Content-Type": lambda message: message.headers("content-type"),
    **{
        f"sip.auth.{theirs}": _auth(ours)
        for theirs, ours in {
            "username": "username",
            "realm": "realm",
            "nonce": "nonce",
            "uri": "uri",
            "digest.response": "response",
            "algorithm": "algorithm",
            "qop": "qop",
            "nc": "nc",
            "cnonce": "cnonce",
        }.items()
    },
}


def main() -> int:
    """Run the comparison alone."""
    corpus = Path(sys.argv[1])
    if not corpus.is_dir():
        print(f"No corpus at {corpus}: nothing to compare.")
        return 0
    return report(corpus)


def report(corpus: Path) -> int:
    """Print the differences and a line with counts; return 1 if there is a difference."""
    result = compare(corpus)
    for item in (*result.differences, result):
        print(item)
    return 1 if result.differences else 0


if __name__ == "__main__":
    sys.exit(main())
