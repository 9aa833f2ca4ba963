"""What a source address may do: rate limits, bans, silence, hosts that are not ours.

Strangers are counted before anything is kept of their requests. A source over its limit gets one refusal, then silence; a source that
goes on far above its limit, or guesses passwords, is banned. Trusted sources are neither limited nor banned.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from daemonkit.address import Address
from sipproxy.admission.bans import Ban, BanBook, BanChange
from sipproxy.admission.source_limits import SourceLimits
from sipproxy.config import SipProxyConfig
from sipproxy.core.events import METHODS, BansChanged, ProxyEvent, ReportMade
from sipproxy.core.shared import Drops
from sipproxy.sip import PeerError, Request
from sipproxy.transactions.listener import Listener, Side
from voiceapps.rules.reports import SourceBanned

# With one tag, that of From, such a request belongs to no dialog.
_OUT_OF_DIALOG = tuple(
    f"{method} ".encode() for method in sorted(METHODS | {"REGISTER", "SUBSCRIBE", "PUBLISH"}) if method not in {"ACK", "CANCEL"}
)


class SourceGate:
    """The limits and bans of source addresses."""

    def __init__(
        self,
        config: SipProxyConfig,
        *,
        wall: Callable[[float], float],
        is_trusted: Callable[[str], bool],
        drops: Drops,
        tell: Callable[[ProxyEvent], None],
    ) -> None:
        self._config = config
        self._wall = wall
        self._drops = drops
        self._tell = tell
        self._limits = SourceLimits(is_trusted)
        self._bans = BanBook(is_trusted=is_trusted)
        self.revision = 0
        """Grows whenever a source may have become banned or silenced: a message that `drops_unread` let pass before may not pass now."""

    # Messages that are not read.

    def drops_unread(self, data: bytes, source: Address, now: float) -> bool:
        """Return whether a message from outside is to be dropped unread, and count it then: its source is banned, or silenced."""
        if self._bans.is_banned(source[0], now):
            self._drops.banned += 1
            return True
        if self.count_flood(source[0], data, now):
            self._drops.silenced += 1
            return True
        return False

    def count_flood(self, source_ip: str, data: bytes, now: float) -> bool:
        """Count a request of a silenced source towards its ban; False where it is not silenced, or the message may belong to a dialog."""
        if not self._limits.is_silenced(source_ip, now) or not data.startswith(_OUT_OF_DIALOG) or data.lower().count(b"tag") > 1:
            return False
        self._count_refused(source_ip, now)
        return True

    def count_crowded(self, source_ip: str, now: float) -> None:
        """Count a datagram that had to be dropped as too many wait; a source with very many of these is banned for a flood."""
        self._drops.crowded += 1
        self._count_refused(source_ip, now)

    # Requests.

    def count_request(self, source_ip: str, now: float) -> bool:
        """Count one unauthenticated request; False if its source is over a limit. A source that goes on is banned."""
        if self._limits.admit(source_ip, now):
            return True
        self._count_refused(source_ip, now)
        return False

    def may_be_refused(self, source_ip: str) -> bool:
        """Return True once per overload: one refusal may be sent to the source, then it gets silence."""
        first = self._limits.may_be_told(source_ip)
        if first:
            self.revision += 1
        return first

    def ignores_host(self, listener: Listener, request: Request, source: Address) -> bool:
        """Return whether a request names a host that is not ours and gets no answer for it."""
        if not self._config.drop_foreign_hosts or listener.side is Side.INTERNAL or self._limits.is_trusted(source[0]):
            return False
        try:
            return request.uri.host_key not in self._config.hosts
        except PeerError:
            # Its URI names no host.
            return True

    # Callers.

    def is_known(self, source_ip: str, now: float) -> bool:
        """Return whether a source is served before strangers: it is trusted, or had a call admitted a short while ago."""
        return self._bans.is_caller(source_ip, now) or self._limits.is_trusted(source_ip)

    def count_failure(self, source_ip: str, sip_call_id: str, now: float) -> None:
        """Count a failed digest of a source that is not forged; too many of these ban it."""
        if self._limits.count_failure(source_ip, sip_call_id, now):
            self.revision += 1
            self._ban(self._bans.count(source_ip, 1.0, now))

    def welcome(self, source_ip: str, now: float, *, by_password: bool) -> None:
        """Note an admitted call. Only a correct password clears the failures of a source."""
        self._bans.note_call(source_ip, now)
        if by_password:
            self._bans.forgive(source_ip)
            self._limits.forgive(source_ip)

    # Bans.

    def is_banned(self, source_ip: str, now: float) -> bool:
        """Return whether a source is banned."""
        return self._bans.is_banned(source_ip, now)

    def count_bans(self, now: float) -> int:
        """Return how many sources are banned."""
        return self._bans.active(now)

    def replace_bans(self, bans: Iterable[SourceBanned], now: float) -> None:
        """Take the bans that the database holds: of all proxies and of operators."""
        offset = self._wall(now) - now
        known = (Ban(ban.source_ip, ban.reason, ban.at - offset, ban.until - offset) for ban in bans)
        change = self._bans.replace(known, now)
        if change.banned or change.lifted:
            self.revision += 1
            self._tell(BansChanged(change))

    def _count_refused(self, source_ip: str, now: float) -> None:
        self._ban(self._bans.count_refused(source_ip, now))

    def _ban(self, ban: Ban | None) -> None:
        """Report a new ban, if there is one."""
        if ban is None:
            return
        self.revision += 1
        at, until = self._wall(ban.at), self._wall(ban.until)
        self._tell(ReportMade(SourceBanned(ban.source_ip, ban.reason, self._config.name, at, until)))
        self._tell(BansChanged(BanChange(banned=(ban,))))
