"""A session's figures in ng's notation: the body of `query` and `delete` answers, shaped as rtpengine's."""

from __future__ import annotations

from collections.abc import Iterable

from daemonkit.address import Address
from mediarelay.core.flow import Flow, RtpFlow
from mediarelay.core.session import Session
from mediarelay.core.stream import Leg, Stream


def describe_session(session: Session, now: float, epoch: float) -> dict[str, object]:
    """Return `totals`, `tags` and times of one session; ages are whole seconds, `epoch` is the Unix time at moment 0."""
    tags = {party.tag: _tag(session, index, now) for index, party in enumerate(session.parties) if party.tag is not None}
    created = int(1_000_000 * (epoch + session.created_at))
    times = {"created": created // 1_000_000, "created_us": created % 1_000_000, "last signal": int(now - session.touched_at)}
    return {"totals": totals_of([session]), "tags": tags, "SSRC": _sources(session), **times}


def totals_of(sessions: Iterable[Session]) -> dict[str, object]:
    """Return received packets and octets, for RTP and RTCP."""
    legs = [leg for session in sessions for stream in session.streams.values() for leg in stream.legs]
    return {"RTP": _counts([leg.rtp for leg in legs]), "RTCP": _counts([leg.rtcp for leg in legs])}


def _counts(flows: Iterable[Flow]) -> dict[str, int]:
    known = list(flows)
    return {"packets": sum(flow.packets_in for flow in known), "bytes": sum(flow.bytes_in for flow in known), "errors": 0}


def _endpoint(address: Address | None) -> dict[str, object]:
    return {"family": "IPv4", "address": address[0], "port": address[1]} if address else {}


def _stream(flow: Flow, leg: Leg, last_at: float, now: float) -> dict[str, object]:
    return {
        "local port": flow.local[1],
        "endpoint": _endpoint(flow.target),
        "advertised endpoint": _endpoint(leg.learner.advertised),
        "last packet": int(now - last_at) if last_at else -1,
        "stats": _counts([flow]),
    }


def _media(stream: Stream, party: int, index: int, now: float) -> dict[str, object]:
    leg = stream.legs[party]
    found: dict[str, object] = {
        "index": index + 1,
        "plane": stream.plane.value,
        "streams": [_stream(leg.rtp, leg, leg.learner.last_at, now), _stream(leg.rtcp, leg, leg.rtcp.last_at, now)],
    }
    if isinstance(leg.rtp, RtpFlow):
        found["payload types"] = sorted(leg.rtp.payload_types)
        found["lost packets"] = leg.rtp.stats.lost
        found["SSRC changes"] = leg.rtp.stats.ssrc_changes
    return found


def _tag(session: Session, party: int, now: float) -> dict[str, object]:
    label = session.parties[party].label
    medias = [_media(stream, party, index, now) for index, stream in sorted(session.streams.items())]
    found: dict[str, object] = {
        "tag": session.parties[party].tag,
        "medias": medias,
        "in dialogue with": session.parties[1 - party].tag or "",
    }
    return found if label is None else {**found, "label": label}


def _sources(session: Session) -> dict[str, object]:
    """Return, by SSRC, how each sender sounds to the other party, if that one has reported."""
    found: dict[str, object] = {}
    for stream in session.streams.values():
        for sender, hearer in (stream.legs, stream.legs[::-1]):
            quality = hearer.reports.quality
            if not isinstance(sender.rtp, RtpFlow) or sender.rtp.stats.ssrc is None or quality.average is None:
                continue
            found[str(sender.rtp.stats.ssrc)] = {
                "average MOS": {
                    "MOS": round(10 * quality.average),
                    "jitter": round(hearer.reports.jitter_ms),
                    "round-trip time": round(1000 * (hearer.reports.rtt_ms or 0.0)),
                    "samples": quality.samples,
                },
                "lowest MOS": {"MOS": round(10 * quality.lowest)},
                "highest MOS": {"MOS": round(10 * quality.highest)},
            }
    return found
