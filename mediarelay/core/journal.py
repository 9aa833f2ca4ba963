"""What a restarted relay needs to know of a session, as JSON values (D7): what was agreed on, but no pending offers.

Addresses are `[host, port]`; times are those of the machine's monotonic clock, which goes on when the process restarts.
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Network
from typing import Any, TypeVar

from daemonkit.address import Address
from mediarelay.core.addresses import MediaRules, Side
from mediarelay.core.flow import Flow, RtpFlow
from mediarelay.core.learning import Learner, Rank
from mediarelay.core.session import Party, Session
from mediarelay.core.stream import Leg, MediaProfile, Stream
from mediarelay.kernel.flow import Counts, KernelFlow

JournalEntry = dict[str, Any]
T = TypeVar("T")


def entry_of(session: Session) -> JournalEntry:
    """Return a session's present state."""
    return {
        "call": session.call_id,
        "created_at": session.created_at,
        "touched_at": session.touched_at,
        "agreed": session.agreed,
        "delete_at": session.delete_at,
        "branches": sorted(session.branches),
        "parties": [_party(party) for party in session.parties],
        "streams": {
            str(index): {**_stream(stream), "offered": sorted(session.payload_types.get(index, ()))}
            for index, stream in session.streams.items()
        },
    }


def resume(entry: JournalEntry, new: Callable[[str, tuple[Side, Side]], Session]) -> Session:
    """Return the session of an entry; `new` makes an empty one. Raises ValueError if the entry is damaged."""
    try:
        return _resume(entry, new)
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise ValueError(f"The entry of a session is damaged: {error!r}.") from None


def flows_of(entry: JournalEntry) -> dict[int, tuple[KernelFlow, ...]]:
    """Return, by stream, what the kernel carried when the entry was written; raises ValueError if it is damaged."""
    try:
        return {int(index): tuple(map(_read_flow, stream["kernel"])) for index, stream in entry["streams"].items()}
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise ValueError(f"The entry of a session is damaged: {error!r}.") from None


def _resume(entry: JournalEntry, new: Callable[[str, tuple[Side, Side]], Session]) -> Session:
    first, second = entry["parties"]
    session = new(entry["call"], (Side(first["side"]), Side(second["side"])))
    session.created_at, session.agreed = entry["created_at"], entry["agreed"]
    session.touched_at, session.delete_at = entry["touched_at"], entry["delete_at"]
    session.branches.update(entry["branches"])
    for party, kept in zip(session.parties, (first, second), strict=True):
        party.tag, party.label = kept["tag"], kept["label"]
        party.rules = MediaRules(kept["learn_nat"], tuple(map(IPv4Network, kept["sources"])))
        party.on_hold, party.listens_only = kept["on_hold"], kept["listens_only"]
    for index, kept in entry["streams"].items():
        session.payload_types[int(index)] = frozenset(kept["offered"])
        _resume_stream(session, int(index), kept)
    return session


def _party(party: Party) -> JournalEntry:
    return {
        "side": party.side.value,
        "learn_nat": party.rules.learn_nat,
        "sources": [str(network) for network in party.rules.sources],
        "tag": party.tag,
        "label": party.label,
        "on_hold": party.on_hold,
        "listens_only": party.listens_only,
    }


def _stream(stream: Stream) -> JournalEntry:
    return {
        "rtp": stream.profile.is_rtp,
        "clock_rate": stream.profile.clock_rate,
        "dtls": stream.profile.is_dtls,
        "legs": [_leg(leg) for leg in stream.legs],
        "kernel": [[flow.mark, flow.source, flow.local, flow.via, flow.target] for flow in stream.kernel_flows],
        "counted": [list(counts) for counts in stream.counted],
    }


def _leg(leg: Leg) -> JournalEntry:
    learner = leg.learner
    return {
        "local": leg.rtp.local,
        "muxed": leg.muxed,
        "advertised": learner.advertised,
        "signalling": learner.signalling,
        "nat": learner.nat,
        "payload_types": sorted(learner.payload_types),
        "source": learner.source,
        "target": learner.target,
        "rank": learner.rank,
        "locked_at": learner.locked_at,
        "last_at": learner.last_at,
        "encrypted": leg.reports.encrypted,
        "rtcp": [leg.rtcp.advertised, leg.rtcp.source],
        "counts": [_counts(flow) for flow in leg.flows()],
        "stats": leg.rtp.stats.state() if isinstance(leg.rtp, RtpFlow) else None,
        "payload_type": leg.rtp.payload_type if isinstance(leg.rtp, RtpFlow) else None,
    }


def _counts(flow: Flow) -> list[int]:
    return [flow.packets_in, flow.bytes_in, flow.packets_unsent]


def _resume_stream(session: Session, index: int, kept: JournalEntry) -> None:
    first, second = (_address(leg["local"]) for leg in kept["legs"])
    stream = session.add_stream(index, (first, second), MediaProfile(kept["rtp"], kept["clock_rate"], kept["dtls"]))
    for leg, leg_kept in zip(stream.legs, kept["legs"], strict=True):
        _resume_leg(leg, leg_kept)
    stream.counted = [Counts(*counts) for counts in kept["counted"]]
    stream.join()


def _resume_leg(leg: Leg, kept: JournalEntry) -> None:
    _resume_learner(leg.learner, kept)
    leg.muxed, leg.reports.encrypted = kept["muxed"], kept["encrypted"]
    leg.rtcp.advertised, leg.rtcp.source = (_optional(_address, value) for value in kept["rtcp"])
    for flow, counts in zip(leg.flows(), kept["counts"], strict=True):
        flow.packets_in, flow.bytes_in, flow.packets_unsent = map(int, counts)
    if isinstance(leg.rtp, RtpFlow) and kept["stats"] is not None:
        leg.rtp.stats.resume(kept["stats"])
        leg.rtp.payload_type = kept["payload_type"]


def _resume_learner(learner: Learner, kept: JournalEntry) -> None:
    learner.advertised = _optional(_address, kept["advertised"])
    learner.signalling, learner.nat = kept["signalling"], kept["nat"]
    learner.payload_types = frozenset(kept["payload_types"])
    learner.source, learner.target = _optional(_address, kept["source"]), _optional(_address, kept["target"])
    learner.rank = _optional(Rank, kept["rank"])
    learner.locked_at, learner.last_at = float(kept["locked_at"]), float(kept["last_at"])


def _read_flow(value: list[Any]) -> KernelFlow:
    mark, source, local, via, target = value
    return KernelFlow(int(mark), _address(source), _address(local), _address(via), _address(target))


def _address(value: list[Any]) -> Address:
    host, port = value
    return str(host), int(port)


def _optional(read: Callable[[Any], T], value: Any) -> T | None:
    return None if value is None else read(value)
