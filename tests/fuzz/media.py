"""What reaches the media relay: ng commands to a relay with an established call, session descriptions, RTP and RTCP."""

from __future__ import annotations

import json
import re
from collections.abc import Hashable, Iterator
from pathlib import Path

from mediarelay.ng.bencode import decode, encode
from mediarelay.ng.control import split_cookie
from mediarelay.ng.limits import REPLY_SECONDS
from mediarelay.rtp.packet import Kind, RtpPacket, classify, is_well_formed
from mediarelay.rtp.rtcp import (
    CNAME,
    Goodbye,
    ReceiverReport,
    ReportBlock,
    SenderReport,
    SourceDescription,
    UnknownPacket,
    build_compound,
    parse_compound,
)
from mediarelay.sdp.description import SessionDescription
from mediarelay.sdp.rewrite import Placement, rewrite
from tests.unit.relay.harness import CALLER, ENGINE, RelayHarness, sdp

DATA = Path(__file__).parents[1] / "data"
RELAY = "203.0.113.9"
QUARANTINE = 40.0  # seconds: by then every pair is free again
_ADDRESS = re.compile(rb"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.])")
_NOBODY = {b"0.0.0.0", RELAY.encode()}
_PLACES = (b"o=", b"c=", b"m=", b"a=rtcp")


# Commands.


def fuzz_ng(data: bytes) -> Hashable:
    """Whatever comes to the ng port is answered once or not at all, and once all calls are deleted nothing of it is left."""
    harness = RelayHarness()
    harness.offer()
    harness.answer()
    harness.now += REPLY_SECONDS  # forgotten cookies may be used again
    replies = [_send(harness, datagram) for datagram in (data, *_in_bencode(data))]
    harness.now += REPLY_SECONDS
    table = harness.relay.table
    held = len(table), len(table.flows)
    for call_id in [session.call_id for session in table]:
        harness.ng("query", call_id=call_id)
        harness.ng("delete", call_id=call_id)
    harness.advance(QUARANTINE)
    assert not len(table), "a session outlived its deletion"
    assert table.flows == {}, "a flow outlived its session"
    assert harness.bound == set(), "a pair stays bound"
    for pool in table.allocator.pools.values():
        assert (pool.free, pool.in_use, pool.quarantined) == (pool.size, 0, 0), "a pair of ports is lost"
    return held, tuple(replies)


def _in_bencode(data: bytes) -> Iterator[bytes]:
    """Yield the bencode equivalent of a command in JSON: damage to bencode itself seldom leaves a dictionary."""
    cookie, _, body = data.partition(b" ")
    try:
        yield b"twin-" + cookie + b" " + encode(json.loads(body))
    except (ValueError, TypeError, RecursionError):
        return


def _send(harness: RelayHarness, datagram: bytes) -> Hashable:
    replies = harness.raw(datagram)
    try:
        cookie, body = split_cookie(datagram)
    except ValueError:
        assert replies == [], "a reply without a cookie"
        return None
    (reply,) = replies
    assert harness.raw(datagram) == replies, "a repeated command is not answered alike"
    answered, read = split_cookie(reply)
    assert answered == cookie
    value = json.loads(read) if body.startswith(b"{") else _text(decode(read))
    assert value["result"] in ("ok", "pong", "error")
    assert len(reply) < 65_508, "a reply that fits no datagram"
    if value["result"] == "error":
        assert value["error-reason"].endswith((".", "draining", "match"))
    return value["result"], value.get("error-reason"), tuple(sorted(value))


def _text(value: object) -> dict[str, str]:
    assert isinstance(value, dict)
    return {key.decode(): item.decode("latin-1") if isinstance(item, bytes) else "" for key, item in value.items()}


# Descriptions.


def fuzz_sdp(data: bytes) -> Hashable:
    """A description is read or refused; the rewritten one names nobody but the relay, and only lines with addresses have changed."""
    try:
        description = SessionDescription.parse(data)
    except ValueError as error:
        assert str(error).endswith("."), "a refusal is one of our sentences"
        return str(error)
    assert bytes(description) == data
    ports = [30_000 + 4 * index for index in range(len(description.media))]
    for mux in (None, True, False):
        out = rewrite(description, Placement(RELAY, ports, origin=True, mux=[mux] * len(ports)))
        _check_rewritten(description, ports, out)
    return tuple((media.live, media.is_rtp, media.direction, media.rtcp is None, media.rtcp_mux) for media in description.media[:4])


def _check_rewritten(before: SessionDescription, ports: list[int], out: bytes) -> None:
    after = SessionDescription.parse(out)
    old, new = (
        [(media.kind, media.protocol, media.formats, media.direction, media.clock_rates) for media in description.media]
        for description in (before, after)
    )
    assert old == new, "a media section says something else"
    assert [media.port for media in after.media] == [port if media.live else 0 for media, port in zip(before.media, ports, strict=True)]
    leaks = _shown(before.lines) & _shown(after.lines)
    assert not leaks, "an address passed the relay"
    assert not any(b"candidate" in name or name.startswith(b"ice-") for name in after.names), "ICE passed the relay"
    assert all(line.startswith(_PLACES) for line in set(after.lines) - set(before.lines)), "a line changed that names nobody"
    kept = iter(before.lines)
    assert all(line in kept for line in after.lines if not line.startswith(_PLACES)), "lines changed their order"


def _shown(lines: tuple[bytes, ...]) -> set[bytes]:
    """Return all addresses at which the description says that somebody listens."""
    shown = (line for line in lines if line.startswith((b"o=", b"c=", b"a=rtcp:", b"a=rtcp ")))
    return {address for line in shown for address in _ADDRESS.findall(line)} - _NOBODY


# Packets.


def fuzz_rtp(data: bytes) -> Hashable:
    """The quick check of lengths and the full parser agree, and a packet that is read is written back identically."""
    kind = classify(data, len(data))
    quick = is_well_formed(data, len(data))
    assert quick == is_well_formed(memoryview(data + bytes(40)), len(data)), "octets behind the packet count"
    try:
        packet = RtpPacket.parse(data)
    except ValueError as error:
        assert not quick, "the quick check passes what the parser refuses"
        return kind, str(error)
    assert quick, "the quick check refuses what the parser reads"
    assert kind in (Kind.RTP, Kind.RTCP), "a packet of version 2 is named otherwise"
    written = bytes(packet)
    assert RtpPacket.parse(written) == packet
    end = len(data) - packet.padding
    assert (len(written), written[:end]) == (len(data), data[:end]), "a packet changes when it is written"
    return kind, len(packet.csrcs), packet.extension is None, packet.padding == 0, packet.payload == b""


def fuzz_rtcp(data: bytes) -> Hashable:
    """A compound datagram is read or refused; one that is read is written back so that it reads the same."""
    try:
        packets = parse_compound(data)
    except ValueError as error:
        assert str(error).endswith("."), "a refusal is one of our sentences"
        return str(error)
    assert parse_compound(build_compound(packets)) == packets, "a datagram changes when it is written"
    return tuple(type(packet).__name__ for packet in packets[:4])


# The seeds.


def ng_seeds() -> tuple[bytes, ...]:
    """Return commands about an established call, and about others, in both notations."""
    browser = (DATA / "sdp" / "browser.sdp").read_bytes().decode()
    outwards, inwards = {"direction": ["external", "internal"]}, {"direction": ["internal", "external"]}
    offer: dict[str, object] = {"command": "offer", "call-id": "c-1", "from-tag": "a", "sdp": sdp(CALLER, 5000).decode(), **outwards}
    answer: dict[str, object] = {"command": "answer", "call-id": "c-1", "from-tag": "a", "to-tag": "b", "sdp": sdp(ENGINE, 6000).decode()}
    flags = ["SIP source address", "replace-origin", "rtcp-mux-demux", "symmetric", "loop-protect"]
    commands: tuple[dict[str, object], ...] = (
        offer,
        offer | {"received-from": ["IP4", CALLER], "replace": ["origin"], "ICE": "remove", "flags": flags},
        offer | {"call-id": "c-2", "sdp": browser, "via-branch": "z9hG4bKx", "rtcp-mux": ["offer", "reject"], "label": "x", "TOS": 184},
        offer | {"call-id": "c-3", "media-address": RELAY, "address family": "IP4", "flags": ["sipuri-learn-nat", "trust-address"]},
        offer | {"from-tag": "b", "to-tag": "a", "sdp": sdp(ENGINE, 6000, "a=inactive").decode(), **inwards},
        answer,
        answer | {"sdp": sdp("0.0.0.0", 6000, "a=rtcp-mux").decode(), "rtcp-mux": ["accept"]},
        answer | {"to-tag": "b2", "sdp": sdp(ENGINE, 0).decode(), "via-branch": "z9hG4bKy"},
        {"command": "delete", "call-id": "c-1", "from-tag": "a", "to-tag": "b"},
        {"command": "delete", "call-id": "c-1", "from-tag": "b", "delete delay": 30, "flags": ["fatal"]},
        {"command": "delete", "call-id": "c-1", "delete-delay": "0", "via-branch": "z9hG4bKx"},
        offer | {"label": 5, "flags": [5]},
        offer | {"direction": {}, "replace": [[]], "received-from": ["IP4"]},
        answer | {"to-tag": 5, "media-address": [], "sdp": 5},
        {"command": "delete", "call-id": ["c-1"], "delete-delay": "x"},
        offer | {"to-tag": "b", "sipuri-media-sources": ["198.51.100.0/24", "0.0.0.0/0"], "replace": ["zero-address"], "via-branch": "z9"},
        {"command": "sipuri-withdraw", "call-id": "c-1", "from-tag": "a", "via-branch": "z9"},
        {"command": "query", "call-id": "c-1", "from-tag": "a"},
        {"command": "list", "limit": "10"},
        {"command": "statistics"},
        {"command": "ping"},
    )
    texts = (json.dumps(command, ensure_ascii=False, separators=(",", ":")).encode() for command in commands)
    return (*(b"7_%d " % number + text for number, text in enumerate(texts)), *(b"8 " + encode(command) for command in commands))


def sdp_seeds() -> tuple[bytes, ...]:
    """Return our descriptions, including the broken ones."""
    return tuple(path.read_bytes() for path in sorted((DATA / "sdp").glob("*.sdp")))


def rtp_seeds() -> tuple[bytes, ...]:
    """Return packets of every form, and other datagrams at a media port."""
    plain = RtpPacket(payload_type=0, sequence=65_535, timestamp=160, ssrc=7, payload=bytes(160))
    extended = b"\xb2\x80\0\1\0\0\0\xa0\0\0\0\7" + b"\0\0\0\1\0\0\0\2" + b"\xbe\xde\0\1\x10\xff\0\0" + bytes(20) + b"\0\0\0\4"
    return bytes(plain), extended, b"\x90\0" + bytes(10) + b"\xbe\xde\0\2" + bytes(8), bytes(20), b"\x16\xfe\xfd" + bytes(12)


def rtcp_seeds() -> tuple[bytes, ...]:
    """Return one datagram of every packet type, and damaged ones."""
    block = ReportBlock(7, 3, -2, 70_000, 12, 1, 2)
    report = SenderReport(1, 2**40, 160, 10, 1600, (block, block))
    names = SourceDescription(((1, ((CNAME, b"ada@192.0.2.1"), (8, b"\1xy"))), (2, ())))
    full = build_compound([report, names, Goodbye((1, 2), b"over"), UnknownPacket(205, 1, bytes(12))])
    padded = b"\xa0\xc9\0\2\0\0\0\1\0\0\0\4"
    return full, bytes(ReceiverReport(1, (block,))), bytes(ReceiverReport(1)), bytes(Goodbye((1,))), padded, full[:-3]
