"""Make new inputs out of known ones: damage, splices along the grammar, random octets."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from random import Random

MAX_INPUT = 65_535
BIG = 40  # one input in this many is blown up, so that superlinear work shows

WORDS: tuple[bytes, ...] = (
    b"\r\n", b"\n", b"\r", b"\r\n ", b"\r\n\t", b"\0", b"\x7f", b"\xff", b"\xc3\xa9", b"\xe2\x80\xae", b" ", b"\t", b",", b";", b":", b"=",
    b'"', b'\\"', b"\\", b"<", b">", b"@", b"?", b"&", b"/", b"%", b"%00", b"%0d%0a", b"%2525", b"[", b"]", b"[::1]", b"*", b"''", b"()",
    b"0", b"-1", b"00000001", b"255", b"256", b"65535", b"65536", b"2147483647", b"2147483648", b"99999999999999999999", b"0x10", b"1e9",
    "\u0661".encode(), b"SIP/2.0", b"SIP/7.0", b"sip:", b"sips:", b"tel:+1", b"sip:@", b"z9hG4bK", b";branch=z9hG4bKx", b";tag=x", b";lr",
    b";rport", b";received=192.0.2.66", b";maddr=192.0.2.66", b"UDP", b"TCP", b"INVITE", b"ACK", b"BYE", b"CANCEL", b"OPTIONS",
    b"\r\nVia: SIP/2.0/UDP 192.0.2.66:5060;branch=z9hG4bKv", b"\r\nl: 0", b"\r\nContent-Length: 5", b"\r\nX-Evil: 1", b"\r\nx-evil : 1",
    b"\r\nP-Sipuri-Call: c-1", b"\r\nTo: <sip:a@b>;tag=1", b"\r\nRoute: <sip:a@203.0.113.5;lr>", b"\r\nCall-ID: x", b"\r\nCSeq: 1 BYE",
    b"Digest ", b"Basic ", b"algorithm=MD5-sess", b"algorithm=SHA-256", b"qop=auth", b"qop=auth-int", b"nc=00000000", b"userhash=true",
    b"username*=UTF-8''%C3%A4", b"stale=true", b"realm=", b"nonce=", b"uri=", b"response=",
    b"v=0", b"m=audio 4000 RTP/AVP 0", b"m=audio 0 RTP/AVP 0", b"c=IN IP4 0.0.0.0", b"c=IN IP6 ::1", b"c=IN IP4 224.2.1.1/127",
    b"a=rtcp:5 IN IP4 192.0.2.1", b"a=rtcp-mux", b"a=candidate:1 1 UDP 1 192.0.2.1 9 typ host", b"a=sendonly", b"o=- 1 1 IN IP4 192.0.2.1",
    b"a=Candidate:1 1 UDP 1 192.0.2.1 9 typ host", b"a=rtcp-mux-only", b"a=bundle-only", b"a=group:BUNDLE 0", b"a=acap:1 rtcp:5",
    b"i5e", b"le", b"null", b"true", b"1e400", b"[5]", b"{}", b'"flags":["SIP source address","replace-origin"],',
    b'"rtcp-mux":["offer","reject"],', b'"delete delay":"9",', b'"media-address":"192.0.2.66",', b'"to-tag":"b",',
)  # fmt: skip
"""Texts that have a meaning somewhere in SIP, digest, SDP or ng commands."""

_NUMBER = re.compile(rb"[0-9]+")
_BOUNDARY = re.compile(rb"[,;=:<>@\" \r\n]")
_NUMBERS = [word for word in WORDS if _NUMBER.search(word) and len(word) < 24]

Mutation = Callable[[bytes, Random, Sequence[bytes]], bytes]


def mutate(seeds: Sequence[bytes], random: Random) -> bytes:
    """Return one new input; `seeds` are the inputs that it may be made of."""
    if random.random() < 0.01:
        return random.randbytes(random.randrange(200))
    data = random.choice(seeds)
    for _ in range(random.choice((1, 1, 2, 3, 5))):
        data = random.choice(MUTATIONS)(data, random, seeds)
    if random.randrange(BIG) == 0:
        data = _blow_up(data, random)
    return data[:MAX_INPUT]


def _place(data: bytes, random: Random) -> int:
    """Return a position to cut at; half of them are at a joint of the grammar."""
    at = random.randrange(len(data) + 1)
    if random.random() < 0.5:
        joint = _BOUNDARY.search(data, at)
        return joint.start() if joint else at
    return at


def _put_word(data: bytes, random: Random, seeds: Sequence[bytes]) -> bytes:
    at = _place(data, random)
    return data[:at] + random.choice(WORDS) + data[at + random.choice((0, 0, 1, 4)) :]


def _put_octets(data: bytes, random: Random, seeds: Sequence[bytes]) -> bytes:
    at = _place(data, random)
    return data[:at] + random.randbytes(random.randrange(1, 4)) + data[at + random.randrange(3) :]


def _cut(data: bytes, random: Random, seeds: Sequence[bytes]) -> bytes:
    start = _place(data, random)
    return data[:start] + data[start + random.randrange(1, 20) :]


def _end_early(data: bytes, random: Random, seeds: Sequence[bytes]) -> bytes:
    return data[: _place(data, random)]


def _copy_part(data: bytes, random: Random, seeds: Sequence[bytes]) -> bytes:
    start, at = _place(data, random), _place(data, random)
    return data[:at] + data[start : start + random.randrange(1, 80)] + data[at:]


def _splice(data: bytes, random: Random, seeds: Sequence[bytes]) -> bytes:
    other = random.choice(seeds)
    return data[: _place(data, random)] + other[_place(other, random) :]


def _change_number(data: bytes, random: Random, seeds: Sequence[bytes]) -> bytes:
    found = _NUMBER.search(data, random.randrange(len(data) + 1))
    return data if found is None else data[: found.start()] + random.choice(_NUMBERS) + data[found.end() :]


def _change_case(data: bytes, random: Random, seeds: Sequence[bytes]) -> bytes:
    start = _place(data, random)
    return data[:start] + data[start : start + 12].swapcase() + data[start + 12 :]


def _move_line(data: bytes, random: Random, seeds: Sequence[bytes]) -> bytes:
    ending = b"\r\n" if b"\r\n" in data else b"\n"
    lines = data.split(ending)
    taken = lines.pop(random.randrange(len(lines)))
    kept = random.choice((0, 1, 1, 2))
    for _ in range(kept):
        lines.insert(random.randrange(len(lines) + 1), taken)
    return ending.join(lines)


def _take_line(data: bytes, random: Random, seeds: Sequence[bytes]) -> bytes:
    ending = b"\r\n" if b"\r\n" in data else b"\n"
    lines = data.split(ending)
    lines.insert(random.randrange(len(lines) + 1), random.choice(random.choice(seeds).split(ending)))
    return ending.join(lines)


def _blow_up(data: bytes, random: Random) -> bytes:
    at = _place(data, random)
    part = data[at : at + random.randrange(1, 12)] if random.random() < 0.5 else random.choice(WORDS)
    return data[:at] + part * (random.choice((300, 3_000, 30_000)) // max(1, len(part))) + data[at:]


MUTATIONS: tuple[Mutation, ...] = (
    _put_word, _put_word, _put_word, _put_octets, _cut, _end_early, _copy_part, _splice, _splice, _change_number, _change_case, _move_line,
    _take_line,
)  # fmt: skip
