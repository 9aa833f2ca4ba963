"""Notice within three seconds that one side of a call is heard and the other is not, and name the likely cause.

A side counts as silent if nothing that it sent was accepted for two seconds since the last description, although the
other side speaks, nobody has put the call on hold, and the side has not just sent comfort noise. Digital silence, which
only keeps a stream alive, is no speech; so a side whose partner is silent is listened to.
"""

from __future__ import annotations

from collections.abc import Iterable

from mediarelay.core.addresses import is_public
from mediarelay.core.events import OneWayAudio
from mediarelay.core.flow import RtpFlow
from mediarelay.core.session import Session
from mediarelay.core.stream import Leg, Stream

SILENT_SECONDS = 2.0
LISTEN_SECONDS = 0.9
"""After this much silence of one side the other is listened to: less than the time between two looks."""
SPEAKING_SECONDS = 1.5
CARRIED_SPEAKING_SECONDS = 4.0
"""The same where the kernel forwards, of whose packets one in 64 is seen."""
COMFORT_NOISE = 13


class OneWayWatch:
    """Remembers which silences have been reported, so that each is reported once, and its end once."""

    def __init__(self) -> None:
        self._silent: dict[Stream, set[int]] = {}

    def look(self, session: Session, now: float) -> list[OneWayAudio]:
        """Return what is new about a session."""
        found = []
        for index, stream in session.streams.items():
            first, second = stream.legs
            if min(first.learner.last_at, second.learner.last_at) > now - LISTEN_SECONDS and stream not in self._silent:
                continue
            known = self._silent.get(stream, set())
            for party, leg in enumerate(stream.legs):
                heard = now - leg.learner.last_at < SILENT_SECONDS
                if heard and party in known:
                    known.discard(party)
                    found.append(self._told(session, index, party, now, silent=False))
                elif not heard and party not in known and self._is_one_way(session, stream, party, now):
                    self._silent.setdefault(stream, set()).add(party)
                    found.append(self._told(session, index, party, now, silent=True))
                _listen(stream.legs[1 - party])
        return found

    def forget(self, streams: Iterable[Stream]) -> None:
        """Forget streams that end."""
        for stream in streams:
            self._silent.pop(stream, None)

    def _is_one_way(self, session: Session, stream: Stream, party: int, now: float) -> bool:
        silent, speaking = stream.legs[party], stream.legs[1 - party]
        if not _speaks(speaking, now) or now - session.touched_at < SILENT_SECONDS or not session.answered:
            return False
        if session.parties[1 - party].on_hold or session.parties[party].listens_only:
            return False
        return isinstance(silent.rtp, RtpFlow) and silent.rtp.payload_type != COMFORT_NOISE

    def _told(self, session: Session, index: int, party: int, now: float, *, silent: bool) -> OneWayAudio:
        leg = session.streams[index].legs[party]
        known = leg.learner.source or leg.learner.advertised
        return OneWayAudio(
            call_id=session.call_id,
            side=session.parties[party].side,
            stream=index,
            silent=silent,
            source="{}:{}".format(*known) if known else "",
            local="{}:{}".format(*leg.rtp.local),
            cause=_likely_cause(leg, now) if silent else "",
        )


def _listen(leg: Leg) -> None:
    if isinstance(leg.rtp, RtpFlow):
        leg.rtp.listen()


def _speaks(leg: Leg, now: float) -> bool:
    lately = CARRIED_SPEAKING_SECONDS if leg.learner.carried else SPEAKING_SECONDS
    return isinstance(leg.rtp, RtpFlow) and now - leg.rtp.spoke_at < lately


def _likely_cause(leg: Leg, now: float) -> str:
    learner = leg.learner
    said = "{}:{}".format(*learner.advertised) if learner.advertised else "no address"
    if learner.refused is not None:
        return f"The session description says {said}, packets come from {learner.refused[0]}:{learner.refused[1]}."
    if leg.rtp.packets_in and learner.source is not None:
        return f"Nothing has come from {learner.source[0]}:{learner.source[1]} for {now - learner.last_at:.0f} s."
    if learner.advertised is not None and not is_public(learner.advertised[0]):
        return f"The session description says {said}, a private address, and nothing has come to port {leg.rtp.local[1]}."
    return f"The session description says {said}, and nothing has come to port {leg.rtp.local[1]}: a firewall may drop it."
