"""Send every session description of the corpus through the running relay, and judge the result.

A description that is relayed has the relay's address and a port of its own in each live stream, and nothing else is changed. No result,
whatever its class, shows an address of its sender, or anything of ICE. If rtpengine relays it, too, both make the same streams of it.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from mediarelay.core.statement import served_streams
from mediarelay.sdp.description import SessionDescription
from tests.conformance.corpus import DEVIATIONS, rows
from tests.support.ng import NgClient

RELAY_ADDRESS = "127.0.0.1"
# What each class allows: a description, or a refusal with its reason.
RELAYED, REFUSED = "ok", "error"
CLASSES: dict[str, frozenset[str]] = {
    "relay": frozenset({RELAYED}),
    "no-audio": frozenset({RELAYED}),
    "secure-only": frozenset({RELAYED}),
    "fqdn-c": frozenset({RELAYED, REFUSED}),
    "multicast-c": frozenset({RELAYED, REFUSED}),
    "relay-ip6": frozenset({REFUSED}),
    "reject-or-fix": frozenset({RELAYED, REFUSED}),
}
_ADDRESS = re.compile(rb"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.])")
# Lines that name an address at which somebody listens; an address elsewhere (a session name, a call's label) is text.
_SHOWING = re.compile(rb"(?:c=|o=|a=(?:rtcp|[\w-]*candidates?|altc?|ccap|acap|source-filter)[: ])", re.IGNORECASE)
# 0.0.0.0 means hold.
_NOBODY = {b"0.0.0.0", RELAY_ADDRESS.encode()}
_MAY_CHANGE = re.compile(
    rb"(?:c=|o=|m=|a=(?:rtcp:|[\w-]*candidates?\b|ice-|ice2|altc?\b|ccap\b|source-filter\b|group:BUNDLE\b|bundle-only\b))", re.IGNORECASE
)

_ICE = re.compile(rb"a=(?:[\w-]*candidates?\b|ice-|ice2)", re.IGNORECASE)


def report(corpus: Path, ng: tuple[str, int]) -> int:
    """Return 0 if every description gets what its class allows."""
    folder, seen, misses = corpus / "sdp", Counter[str](), []
    peers = _rewrites(folder)
    wanted = rows(folder)
    with NgClient(ng) as client:
        for number, row in enumerate(wanted):
            verdict, wrong = _judge(client, number, (folder / row["file"]).read_bytes(), peers.get(row["file"]))
            seen[f"{row['expect']} {verdict}"] += 1
            name = f"sdp/{row['file']}"
            if verdict not in CLASSES[row["expect"]] and name in DEVIATIONS:
                print(f"{name}: {verdict}. {DEVIATIONS[name]}")
            elif verdict not in CLASSES[row["expect"]]:
                wrong.append(f"{verdict} is not for {row['expect']}")
            misses += [f"{name}: {what}" for what in wrong]
        left = client.command("list").get(b"calls")
    if left:
        misses.append(f"{left!r} are left at the relay")
    print(*misses, sep="\n")
    print(f"{len(wanted)} descriptions, {len(misses)} misses; {dict(sorted(seen.items()))}")
    return 1 if misses else 0


def _rewrites(folder: Path) -> dict[str, str]:
    """Return rtpengine's result for each file that it relayed for a proxy."""
    lines = (folder / "rtpengine-rewrites.jsonl").read_text(encoding="utf-8").splitlines()
    made = {entry["file"]: entry.get("proxy") or {} for entry in map(json.loads, lines)}
    return {name: answer["sdp"] for name, answer in made.items() if answer.get("result") == "ok"}


def _judge(client: NgClient, number: int, sdp: bytes, peer: str | None) -> tuple[str, list[str]]:
    name = f"conformance-{number}"
    fields = {"call-id": name, "from-tag": "a", "replace": ["origin", "session connection"]}
    answer = client.command("offer", **{**fields, "sdp": sdp, "direction": ["external", "internal"]})
    client.command("delete", **{"call-id": name, "from-tag": "a"})
    if answer.get(b"result") != b"ok":
        reason = answer.get(b"error-reason")
        return REFUSED, [] if isinstance(reason, bytes) and reason.endswith(b".") else [f"refused with {reason!r}"]
    made = answer.get(b"sdp")
    if not isinstance(made, bytes):
        return "none", ["there is no description in the answer"]
    return RELAYED, [*_leaks(sdp, made), *_changes(sdp, made), *_differences(made, peer)]


def _leaks(before: bytes, after: bytes) -> Iterator[str]:
    shown = {address for line in before.splitlines() if _SHOWING.match(line) for address in _ADDRESS.findall(line)} - _NOBODY
    for line in after.splitlines():
        if _SHOWING.match(line):
            yield from (f"{address.decode()} shows in {line!r}" for address in shown & set(_ADDRESS.findall(line)))


def _changes(before: bytes, after: bytes) -> Iterator[str]:
    """Yield changes that should not be there, and streams that do not lead to the relay."""
    kept = [line for line in before.split(b"\n") if not _MAY_CHANGE.match(line)]
    if kept != [line for line in after.split(b"\n") if not _MAY_CHANGE.match(line)]:
        yield "a line changed that leads nowhere"
    yield from (f"{line!r} is of ICE" for line in after.splitlines() if _ICE.match(line))
    old, new = SessionDescription.parse(before), SessionDescription.parse(after)
    served = {index for index, _ in served_streams(old)}
    for index, (was, is_now) in enumerate(zip(old.media, new.media, strict=True)):
        if (was.kind, was.protocol, was.formats, index in served) != (is_now.kind, is_now.protocol, is_now.formats, is_now.live):
            yield f"{was.kind}: the media line says something else"
        connection = is_now.connection
        if is_now.live and (connection is None or connection.host not in {RELAY_ADDRESS, "0.0.0.0"}):  # noqa: S104  # it says hold
            yield f"{was.kind}: leads to {connection}"
    ports = [media.port for media in new.media if media.live]
    if len(set(ports)) != len(ports):
        yield f"two streams share a port: {ports}"


def _differences(made: bytes, peer: str | None) -> Iterator[str]:
    if peer is None:
        return
    ours, theirs = (
        [(media.kind, media.protocol, media.formats, media.live) for media in SessionDescription.parse(raw).media]
        for raw in (made, re.sub(r"IN IP6 \S+", "IN IP4 127.0.0.1", peer).encode())
    )
    if ours != theirs:
        yield f"rtpengine makes other streams of it: {theirs}, ours {ours}"
