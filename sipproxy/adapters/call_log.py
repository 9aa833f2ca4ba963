"""Refusals gathered into records: one per application, source and reason each second, with the trace of the first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter

from daemonkit.rounds import Rounds
from sipproxy.core.events import InviteRefused
from voiceapps.rules.admission import Reason
from voiceapps.rules.reports import RefusalSeen, Report

FLUSH_SECONDS = 1.0
MAX_GATHERED = 1_000  # kinds of refusals in one second, by application, source and reason
MAX_FURTHER = 1_000  # kinds by application and reason, of sources that found no room

_Kind = tuple[str | None, str, Reason]
"""Application, source and reason; the source is "" for all that found no room."""


@dataclass(slots=True)
class _Burst:
    first: InviteRefused
    last_at: float = 0.0
    count: int = 0


class RefusalLog:
    """The refusals of this second, alike ones counted together; past `MAX_GATHERED` kinds the sources are no longer told apart."""

    def __init__(self, put: Callable[[Report], None], *, registry: CollectorRegistry) -> None:
        self._put = put
        self._bursts: dict[_Kind, _Burst] = {}
        self._dropped = Counter("sipuri_refusals_dropped", "Refusals that found no room in their second", registry=registry)
        self._rounds = Rounds("refusals", self.flush, lambda: FLUSH_SECONDS)

    def add(self, refusal: InviteRefused) -> None:
        """Count one refusal."""
        kind = self._kind(refusal)
        if kind is None:
            self._dropped.inc()
            return
        burst = self._bursts.setdefault(kind, _Burst(refusal))
        burst.count += 1
        burst.last_at = refusal.at

    def start(self) -> None:
        """Start writing each second."""
        self._rounds.start()

    def stop(self) -> None:
        """Write what is gathered and stop; the writer must still be open."""
        self._rounds.stop()
        self.flush()

    def flush(self) -> None:
        """Write what is gathered."""
        bursts, self._bursts = self._bursts, {}
        for (_, source_ip, _), burst in bursts.items():
            self._put(_record(burst, source_ip))

    def _kind(self, refusal: InviteRefused) -> _Kind | None:
        """Return what a refusal is counted with, None if there is no room even without its source."""
        for source_ip, most in ((refusal.source_ip, MAX_GATHERED), ("", MAX_GATHERED + MAX_FURTHER)):
            kind = (refusal.application_id, source_ip, refusal.reason)
            if kind in self._bursts or len(self._bursts) < most:
                return kind
        return None


def _record(burst: _Burst, source_ip: str) -> RefusalSeen:
    first = burst.first
    return RefusalSeen(
        application_id=first.application_id,
        source_ip=source_ip,
        reason=first.reason,
        status=first.status,
        count=burst.count,
        first_at=first.at,
        last_at=burst.last_at,
        country=first.country,
        request_user=first.request_user,
        sip_call_id=first.sip_call_id,
        user_agent=first.user_agent,
        trace=first.trace,
    )
