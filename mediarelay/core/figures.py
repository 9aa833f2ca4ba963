"""Say in ng's words what a session has seen: the body of `query` and `delete` answers, shaped as rtpengine's."""

from __future__ import annotations

from collections.abc import Iterable

from mediarelay.core.config import Address
from mediarelay.core.flow import Flow
from mediarelay.core.session import Leg, Session

__all__ = ["describe_session", "totals_of"]


def describe_session(session: Session, now: float) -> dict[str, object]:
    """Return `totals` and `tags` of one session; ages are whole seconds."""
    tags = {party.tag: _tag(session, index, now) for index, party in enumerate(session.parties) if party.tag is not None}
    return {"totals": totals_of([session]), "tags": tags, "last signal": int(now - session.touched_at)}


def totals_of(sessions: Iterable[Session]) -> dict[str, object]:
    """Return packets and octets that came in, by RTP and RTCP."""
    legs = [leg for session in sessions for legs in session.streams.values() for leg in legs]
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


def _tag(session: Session, index: int, now: float) -> dict[str, object]:
    medias = [
        {"streams": [_stream(leg.rtp, leg, leg.learner.last_at, now), _stream(leg.rtcp, leg, leg.rtcp.last_at, now)]}
        for leg in session.legs(index)
    ]
    return {"tag": session.parties[index].tag, "medias": medias}
