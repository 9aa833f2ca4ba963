"""The banned sources, and what leads to a ban.

Wrong passwords cost points. They count only where the peer has proved that it receives our responses, so nobody can have a third
party banned by forging its address. A source without points left is banned for ten minutes, then for twice as long each time.

A source that goes on far above its limit is banned for half a minute. Its address may be forged, so this ban never hits a source
that had a call admitted a short while ago; the rate limit still does.

`replace` takes the bans of other proxies and of operators from the database. A ban that was made here holds until it has been seen
in the database once, and is lifted when it is gone from there. Times are monotonic seconds; trusted sources are never banned.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from sipproxy.admission.limits import (
    BAN_SCORE,
    BANS_FORGOTTEN_SECONDS,
    FIRST_BAN_SECONDS,
    FLOOD_BAN_SECONDS,
    FLOOD_BURST,
    FLOOD_PER_SECOND,
    LAST_BAN_SECONDS,
    MAX_BANS,
    MAX_PAST_BANS,
    MAX_SOURCES,
    RECENT_CALL_SECONDS,
    SCORE_FORGIVEN_PER_SECOND,
    UNSEEN_BAN_SECONDS,
)
from sipproxy.admission.source_limits import Rate, TokenBuckets
from voiceapps.rules.bans import BanReason

POINTS = Rate(SCORE_FORGIVEN_PER_SECOND, BAN_SCORE)
FLOOD = Rate(FLOOD_PER_SECOND, FLOOD_BURST)
SAME_SECONDS = 1.0  # a database's clock and ours differ by parts of a second


@dataclass(frozen=True, slots=True)
class Ban:
    """One banned source."""

    source_ip: str
    reason: BanReason
    at: float
    """When it began."""
    until: float
    """When it ends."""


@dataclass(frozen=True, slots=True)
class BanChange:
    """The difference between the bans before and now."""

    banned: tuple[Ban, ...] = ()
    """Those that are new, or end at another time than before."""
    lifted: tuple[str, ...] = ()
    """The sources whose ban ended before its time."""


class BanBook:
    """The bans by source address, at most `max_bans`: the one that ends first makes room."""

    def __init__(self, *, is_trusted: Callable[[str], bool], max_bans: int = MAX_BANS) -> None:
        self._is_trusted = is_trusted
        self._max = max_bans
        self._bans: dict[str, Ban] = {}
        self._unseen: dict[str, float] = {}
        self._points = TokenBuckets()
        self._refused = TokenBuckets()
        self._called: OrderedDict[str, float] = OrderedDict()
        self._past: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._bans) + len(self._unseen) + len(self._points) + len(self._refused) + len(self._called) + len(self._past)

    def is_banned(self, source_ip: str, now: float) -> bool:
        """Return whether a source is banned."""
        ban = self._bans.get(source_ip)
        return ban is not None and ban.until > now

    def active(self, now: float) -> int:
        """Return how many sources are banned."""
        return sum(ban.until > now for ban in self._bans.values())

    # What leads to a ban.

    def count(self, source_ip: str, points: float, now: float) -> Ban | None:
        """Count points of a peer that has proved that it receives our responses. Returns the ban if these were too many."""
        # What a source had sent before it was banned does not prolong the ban.
        if self.is_banned(source_ip, now) or self._is_trusted(source_ip) or self._points.take(source_ip, POINTS, now, points):
            return None
        self._points.forget(source_ip)
        length = self._next_length(source_ip, now)
        return self._add(Ban(source_ip, BanReason.WRONG_PASSWORD, now, now + length))

    def count_refused(self, source_ip: str, now: float) -> Ban | None:
        """Count a request over its source's limit. Returns the ban if there were far too many."""
        if self.is_banned(source_ip, now) or self._is_trusted(source_ip) or self._refused.take(source_ip, FLOOD, now):
            return None
        if self.is_caller(source_ip, now):
            return None
        self._refused.forget(source_ip)
        return self._add(Ban(source_ip, BanReason.FLOOD, now, now + FLOOD_BAN_SECONDS))

    def note_call(self, source_ip: str, now: float) -> None:
        """Note an admitted call: for a while a flood from this address may be forged to have it banned."""
        self._called[source_ip] = now
        self._called.move_to_end(source_ip)
        if len(self._called) > MAX_SOURCES:
            self._called.popitem(last=False)

    def is_caller(self, source_ip: str, now: float) -> bool:
        """Return whether a source had a call admitted a short while ago."""
        at = self._called.get(source_ip)
        return at is not None and now - at < RECENT_CALL_SECONDS

    def forgive(self, source_ip: str) -> None:
        """Clear the points of a source that has sent a correct digest."""
        self._points.forget(source_ip)

    # Bans from the database.

    def replace(self, bans: Iterable[Ban], now: float) -> BanChange:
        """Take the bans that the database holds now; a ban that is gone from there is lifted."""
        before = {source_ip: ban for source_ip, ban in self._bans.items() if ban.until > now}
        told = {ban.source_ip: ban for ban in bans if ban.until > now and (ban.source_ip in before or not self._is_trusted(ban.source_ip))}
        unseen = {ip: at for ip, at in self._unseen.items() if ip in before and ip not in told and now - at < UNSEEN_BAN_SECONDS}
        self._bans, self._unseen = {}, unseen
        kept = [before[source_ip] for source_ip in unseen]
        for ban in (*kept, *told.values()):
            if len(self._bans) < self._max:
                self._bans[ban.source_ip] = _settled(ban, before.get(ban.source_ip))
        for ban in self._bans.values():
            self._remember(ban)
        banned = tuple(ban for source_ip, ban in self._bans.items() if before.get(source_ip) is not ban)
        return BanChange(banned, tuple(source_ip for source_ip in before if source_ip not in self._bans))

    def _add(self, ban: Ban) -> Ban:
        if len(self._bans) >= self._max and ban.source_ip not in self._bans:
            first = min(self._bans.values(), key=lambda held: held.until).source_ip
            del self._bans[first]
            self._unseen.pop(first, None)
        self._bans[ban.source_ip] = ban
        self._unseen[ban.source_ip] = ban.at
        self._remember(ban)
        return ban

    def _next_length(self, source_ip: str, now: float) -> float:
        length, forgotten_at = self._past.get(source_ip, (0.0, 0.0))
        return min(2 * length, LAST_BAN_SECONDS) if now < forgotten_at else FIRST_BAN_SECONDS

    def _remember(self, ban: Ban) -> None:
        """Remember the length of a ban, so that the next one is longer; not of a flood's, whose source may be forged."""
        if ban.reason is not BanReason.WRONG_PASSWORD:
            return
        self._past[ban.source_ip] = ban.until - ban.at, ban.until + BANS_FORGOTTEN_SECONDS
        self._past.move_to_end(ban.source_ip)
        if len(self._past) > MAX_PAST_BANS:
            self._past.popitem(last=False)


def _settled(told: Ban, held: Ban | None) -> Ban:
    """Return the ban that is held if it is the one from the database, but for the difference of the clocks."""
    same = held is not None and held.reason is told.reason and abs(held.until - told.until) < SAME_SECONDS
    return held if held is not None and same else told
