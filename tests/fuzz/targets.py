"""What is fuzzed: each target reads one input, checks its invariants, and returns the signature of what happened.

A refusal that the target's contract names is fine. Any other exception from a target is a finding.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from sipproxy.headers.flow import Flow
from sipproxy.headers.record_route import RouteToken
from sipproxy.seal import DialogSeal
from sipproxy.sip import (
    BadRequestError,
    Challenge,
    Credentials,
    CSeq,
    Message,
    NameAddr,
    PeerError,
    Request,
    Response,
    SipUri,
    UsageError,
    Via,
    parse_message,
)
from sipproxy.sip.body import find_description
from sipproxy.sip.digest import expected_response
from sipproxy.sip.framing import PING, StreamFraming
from sipproxy.sip.grammar import Params, format_params, parse_params, split_values
from sipproxy.sip.limits import MAX_HEADERS, MAX_VIAS
from tests.fuzz.calls import fuzz_core, seeds_of_a_call
from tests.fuzz.lines import foreign_lines, lines_of
from tests.fuzz.media import fuzz_ng, fuzz_rtcp, fuzz_rtp, fuzz_sdp, ng_seeds, rtcp_seeds, rtp_seeds, sdp_seeds
from tests.support.digest import answer_challenge

DATA = Path(__file__).parents[1] / "data"
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Target:
    """A function that reads strangers' octets; `share` is its part of all inputs."""

    name: str
    run: Callable[[bytes], Hashable]
    seeds: tuple[bytes, ...]
    share: float


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _refusal(error: ValueError) -> Hashable:
    return type(error).__name__, str(error)


# Messages.


def fuzz_message(data: bytes) -> Hashable:
    """A message is read or refused; one that is read is written back unchanged and can be read again."""
    try:
        message = parse_message(data)
    except PeerError as error:
        if isinstance(error, BadRequestError):
            _answer(error.request, data)
        return error.reason, not isinstance(error, BadRequestError)
    again = parse_message(bytes(message))
    assert bytes(again) == bytes(message), "a message changes when it is read twice"
    assert (again.keys, again.body, again.cseq, again.from_, again.top_via) == (
        message.keys, message.body, message.cseq, message.from_, message.top_via,
    )  # fmt: skip
    assert message.body in data, "a body that did not come"
    stated = message.header("content-length")
    assert stated is None or int(stated) == len(message.body), "a body that is not as long as it says"
    assert not foreign_lines(bytes(message), lines_of(data)), "a line that did not come"
    _edit(message, data)
    return type(message).__name__, min(len(message.keys), 12), bool(message.body), *_read_on(message)


def _answer(request: Request, data: bytes) -> None:
    try:
        response = request.make_response(400, to_tag="t")
    except PeerError:
        return
    # A Via with a NUL is answered without it.
    came = lines_of(data) | lines_of(data.replace(b"\0", b""))
    assert not foreign_lines(bytes(response), came), "an answer with a line that did not come"


def _edit(message: Request | Response, data: bytes) -> None:
    if len(message.keys) > MAX_HEADERS - 2 or message.count("via") + data.count(b",") >= MAX_VIAS:
        return  # no room for our additions
    before, edited = bytes(message), message.copy()
    edited.remove_if(lambda key: key.startswith("x-"))
    edited.prepend("Via", "SIP/2.0/UDP 203.0.113.5:6160;branch=z9hG4bKours")
    edited.replace("Max-Forwards", "69")
    edited.replace_top_value("Via", str(message.top_via))
    assert bytes(message) == before, "the edit of a copy reached the original"
    again = parse_message(bytes(edited))
    assert not any(key.startswith("x-") for key in again.keys), "a header survived its removal"
    assert again.header("max-forwards") == "69"
    assert not foreign_lines(bytes(edited), lines_of(data)), "an edit made another line"


def _read_on(message: Message) -> tuple[Hashable, ...]:
    readers: list[Callable[[], object]] = [
        lambda: message.contact,
        lambda: message.from_.sip_uri.user_key,
        lambda: [NameAddr.parse(value) for value in message.values("route")],
        lambda: [Via.parse(value) for value in message.values("via")],
        lambda: message.top_via.seen_from("192.0.2.1", 5060).reply_address(),
    ]
    if isinstance(message, Request):
        request = message
        readers.append(lambda: (request.uri.user_key, request.uri.host_key, request.max_forwards))
    return tuple(_outcome(read) for read in readers)


def _outcome(read: Callable[[], object]) -> str:
    try:
        read()
    except PeerError as error:
        return error.reason
    return ""


# Values.


def _round_trip(parse: Callable[[str], _T], write: Callable[[_T], str], shape: Callable[[_T], Hashable]) -> Callable[[bytes], Hashable]:
    def run(data: bytes) -> Hashable:
        try:
            value = parse(_text(data))
        except PeerError as error:
            return _refusal(error)
        assert parse(write(value)) == value, "a value changes when it is read twice"
        return shape(value)

    return run


def _split(text: str) -> list[str]:
    values = split_values(text)
    assert "".join("".join(values).split()) == "".join(text.replace(",", "").split()) or '"' in text or "<" in text
    return values


def _write_params(params: Params) -> str:
    return format_params(params)[1:]


def _join(values: list[str]) -> str:
    return ",".join(values)


def fuzz_credentials(data: bytes) -> Hashable:
    """Credentials are read or refused, and whatever is read can be verified."""
    try:
        value = Credentials.parse(_text(data))
    except PeerError as error:
        return _refusal(error)
    assert Credentials.parse(str(value)) == value
    assert expected_response(value, ha1="0" * 32, method="INVITE") != value.response
    return value.algorithm, value.qop, value.userhash, min(value.count, 3), value.opaque == ""


def fuzz_challenge(data: bytes) -> Hashable:
    """A challenge is read or refused, and one that is read is answered or not."""
    try:
        value = Challenge.parse(_text(data))
    except PeerError as error:
        return _refusal(error)
    assert Challenge.parse(str(value)) == value
    try:
        answer = answer_challenge(value, username="u", password="p", method="INVITE", uri="sip:a@b", cnonce="c")
    except UsageError as error:
        return _refusal(error)
    assert Credentials.parse(str(answer)) == answer
    return value.algorithm, len(value.qop), value.stale, value.opaque == ""


# Bodies, streams, tokens.


def fuzz_framing(data: bytes) -> Hashable:
    """A stream gives the same messages however it is cut, and loses nothing."""
    whole, problem = _frame([data])
    step = 1 + len(data) // 37
    pieces, other_problem = _frame([data[at : at + step] for at in range(0, len(data), step)])
    assert problem == other_problem, "how a stream is cut decides whether it is read"
    if not problem:
        assert whole == pieces, "how a stream is cut decides what is read"
    for message in pieces:
        assert message in data
        if message != PING:
            _check_framed(message)
    return min(len(pieces), 4), problem


def _frame(chunks: list[bytes]) -> tuple[list[bytes], str]:
    framing, messages = StreamFraming(), list[bytes]()
    try:
        for chunk in chunks:
            messages += framing.feed(chunk)
    except PeerError as error:
        return messages, error.reason
    return messages, ""


def _check_framed(message: bytes) -> None:
    try:
        read = parse_message(message)
    except PeerError:
        return
    # What stands between two messages is no part of either.
    began = message.lstrip(b"\r\n")
    assert bytes(read).partition(b"\r\n")[2] == began.partition(b"\r\n")[2], "framing and parser disagree"


def fuzz_body(data: bytes) -> Hashable:
    """A description is found or not; put in another's place, it is found again, and the rest stays."""
    message = Request.build("INVITE", "sip:a@b", [("Content-Type", "multipart/mixed;boundary=part")], data)
    try:
        found = find_description(message)
    except PeerError as error:
        return _refusal(error)
    if found is None:
        return None, data == b""
    other = found.replaced(data, b"v=0\r\n")
    again = find_description(Request.build("INVITE", "sip:a@b", [("Content-Type", "multipart/mixed;boundary=part")], other))
    assert again is not None, "a description was lost by being replaced"
    assert again.of(other) == b"v=0\r\n"
    assert found.length is not None or again.replaced(other, found.of(data)) == data, "the rest of the body changed"
    return found.length is None, data.count(b"multipart") > 0


TOKEN = RouteToken(
    "c-95ac8d6e-1a31c52e-b38f-4198-93c1-51633ec68f8d", ("10.0.0.2", 6161), ("10.0.0.9", 22222), Flow(("198.51.100.7", 5080)), offered=True
)
SEAL = DialogSeal((b"key",), "call", "tag")
SIGNED = TOKEN.sign(SEAL)


def fuzz_token(data: bytes) -> Hashable:
    """A text is our token or nothing."""
    read = RouteToken.parse(_text(data), SEAL)
    assert read in (None, TOKEN)
    return read is None, min(len(data), 65)


# The table.

MESSAGES = tuple(path.read_bytes() for path in sorted((DATA / "wire").glob("*.sip")))
_SDP = b"Content-Type: application/sdp\r\nContent-Length: 9\r\n\r\nv=0\r\ns=-\r\n"
PARTS = b"--part\r\nContent-Type: text/plain\r\n\r\nhi\r\n--part\r\n" + _SDP + b"--part--\r\n"
NESTED = b'--part\r\nContent-Type: multipart/x; boundary="in"\r\n\r\n--in\r\n' + _SDP + b"\r\n--in--\r\n--part--"
_ANSWER = (
    'Digest username="desk", realm="sip.example", nonce="b2xk", uri="sip:app@sip.example", response="0", algorithm=MD5, '
    'qop=auth, nc=00000001, cnonce="c", opaque="o"'
)
_CHALLENGE = 'Digest realm="sip.example", nonce="b2xk", opaque="o", algorithm=SHA-256, qop="auth,auth-int", stale=true'


def _values(*names: str) -> tuple[bytes, ...]:
    found = dict.fromkeys(
        text.encode("utf-8", "surrogateescape") for message in _readable() for name in names for text in message.headers(name)
    )
    return tuple(found)


def _readable() -> list[Message]:
    messages: list[Message] = []
    for data in MESSAGES:
        try:
            messages.append(parse_message(data))
        except PeerError:
            continue
    return messages


def _uris() -> tuple[bytes, ...]:
    uris = [message.uri_text for message in _readable() if isinstance(message, Request)]
    return tuple(dict.fromkeys(uri.encode("utf-8", "surrogateescape") for uri in uris))


_ADDRESSES = _values("from", "to", "contact", "route")
TARGETS: dict[str, Target] = {
    target.name: target
    for target in (
        Target("message", fuzz_message, MESSAGES, 0.14),
        Target(
            "uri",
            _round_trip(SipUri.parse, str, lambda uri: (uri.scheme, uri.user is None, uri.port is None, len(uri.params))),
            _uris(),
            0.07,
        ),
        Target("via", _round_trip(Via.parse, str, lambda via: (via.port is None, len(via.params), via.branch == "")), _values("via"), 0.06),
        Target(
            "address",
            _round_trip(NameAddr.parse, str, lambda item: (item.display == "", len(item.params), item.tag == "")),
            _ADDRESSES,
            0.06,
        ),
        Target("cseq", _round_trip(CSeq.parse, str, lambda cseq: min(cseq.number, 9)), _values("cseq"), 0.03),
        Target("params", _round_trip(parse_params, _write_params, len), (b'a=1;b;c="x;y\\"";D=', b"lr;tag=x"), 0.04),
        Target("values", _round_trip(_split, _join, len), (*_values("via", "allow"), *_ADDRESSES, b'"a,b" <sip:c>, d'), 0.05),
        Target("credentials", fuzz_credentials, (_ANSWER.encode(), *_values("proxy-authorization")), 0.07),
        Target("challenge", fuzz_challenge, (_CHALLENGE.encode(),), 0.04),
        Target("sdp", fuzz_sdp, sdp_seeds(), 0.10),
        Target("ng", fuzz_ng, ng_seeds(), 0.07),
        Target("rtp", fuzz_rtp, rtp_seeds(), 0.05),
        Target("rtcp", fuzz_rtcp, rtcp_seeds(), 0.05),
        Target("body", fuzz_body, (PARTS, NESTED), 0.04),
        Target("framing", fuzz_framing, (*MESSAGES, PING, PING + MESSAGES[0] + MESSAGES[2]), 0.05),
        Target("token", fuzz_token, (SIGNED.encode(),), 0.02),
        Target("core", fuzz_core, (*MESSAGES, *seeds_of_a_call()), 0.06),
    )
}
