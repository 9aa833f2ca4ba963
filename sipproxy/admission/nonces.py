"""Nonces that are checked without state, and the claims of their counts.

A nonce holds its time, 64 random bits, its issuing worker, where its counts are claimed, and a tag over these, the source address
and the realm. Every proxy of a fleet has the key of the tag, so each can tell whether a nonce is good. That a count is used only
once is known in one place:

- in the worker that made the nonce. Others of the same node ask it;
- or in a store that all proxies of the fleet share, while this proxy can reach it. Then the nonce bears the store's mark, and is
  claimed nowhere else. A store that lost its claims has another mark, and its old nonces are good no more.

Only a *correct* digest claims its nonce count, so a stranger cannot fill a table of claims.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import struct
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from sipproxy.admission.limits import CLOCK_SKEW_SECONDS, MAX_NONCES, NONCE_SECONDS
from sipproxy.mac import make_tag

MARK_BYTES = 6
_HEAD = struct.Struct(f"!Q8sBB{MARK_BYTES}s")
_MAC_BYTES = 12
_LENGTH = (_HEAD.size + _MAC_BYTES) * 4 // 3
_IN_STORE = 1
_WHOLE = 2**32  # above every count: the nonce was used without one

Use = tuple[str, str, str]
"""One use of a nonce: Call-ID, CSeq and branch."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A use of a nonce that has to be claimed elsewhere before it counts."""

    nonce: str
    """The nonce's text."""
    count: int
    """Its count, 0 for a use without one."""
    use: Use
    """What uses it, marked with the worker that asks: the same use again is a retransmission there, and a replay anywhere else."""
    worker: int | None
    """The worker of this node that made the nonce; None for the store of the fleet."""


@dataclass(frozen=True, slots=True)
class _Nonce:
    """A nonce of the fleet, its tag checked."""

    made: int
    worker: int
    in_store: bool
    mark: bytes


class NonceBook:
    """The nonces of one worker and their claimed counts.

    `new_token` returns hex digits, at least 16. Times are monotonic seconds, which all workers of a node share; `wall` makes them
    seconds since the epoch, for nonces that other nodes check.
    """

    def __init__(  # noqa: PLR0913  # what a nonce depends on
        self,
        *,
        key: bytes,
        realm: str,
        new_token: Callable[[], str],
        wall: Callable[[float], float],
        worker: int = 0,
        workers: int = 1,
        max_nonces: int = MAX_NONCES,
    ) -> None:
        self._key = key
        self._realm = realm.encode()
        self._new_token = new_token
        self._wall = wall
        self._worker = worker
        self._workers = workers
        # This worker before a restart had another mark: the counts that it had claimed are not known here.
        self._mark = bytes.fromhex(new_token()[: 2 * MARK_BYTES])
        self._max = max_nonces
        self._claims: OrderedDict[str, tuple[float, int, Use]] = OrderedDict()
        self.store_mark: bytes | None = None
        """The mark of the fleet's store, None while it cannot be reached."""

    def __len__(self) -> int:
        return len(self._claims)

    def make(self, source_ip: str, now: float) -> str:
        """Return a fresh nonce for a source."""
        in_store = self.store_mark is not None
        made = int((self._wall(now) if in_store else now) * 1000)
        random, mark = bytes.fromhex(self._new_token()[:16]), self.store_mark or self._mark
        head = _HEAD.pack(made, random, self._worker, _IN_STORE if in_store else 0, mark)
        return base64.urlsafe_b64encode(head + self._mac(head, source_ip)).decode("ascii")

    def is_fresh(self, nonce: str, source_ip: str, now: float) -> bool:
        """Return whether the fleet made a nonce for this source within the last minute, and a count of it can be claimed."""
        read = _read(nonce)
        if read is None or not hmac.compare_digest(read[1], self._mac(read[0], source_ip)):
            return False
        held = _unpack(read[0])
        if held.in_store:
            age = self._wall(now) * 1000 - held.made
            return held.mark == self.store_mark and -CLOCK_SKEW_SECONDS * 1000 <= age <= NONCE_SECONDS * 1000
        there = held.mark == self._mark if held.worker == self._worker else held.worker < self._workers
        return there and 0 <= now * 1000 - held.made + 1 <= NONCE_SECONDS * 1000

    def use(self, nonce: str, count: int, use: Use, now: float) -> bool | Claim:
        """Claim a count of a fresh nonce, 0 for a use without one; a `Claim` where others have to say whether it is granted."""
        read = _read(nonce)
        if read is None:
            return False
        held = _unpack(read[0])
        if held.in_store or held.worker != self._worker:
            call_id, cseq, branch = use
            return Claim(nonce, count, (call_id, cseq, f"{self._mark.hex()} {branch}"), None if held.in_store else held.worker)
        return self.claim(nonce, count, use, now) if count else self._claim_whole(nonce, use, now)

    def claim_for(self, claim: Claim, now: float) -> bool:
        """Claim for another worker of this node, which has checked the rest; False for a nonce that was not made here."""
        read = _read(claim.nonce)
        if read is None or _unpack(read[0]).mark != self._mark:
            return False
        return self.use(claim.nonce, claim.count, claim.use, now) is True

    def claim(self, nonce: str, count: int, use: Use, now: float) -> bool:
        """Claim a nonce count; False if another request has used it, or if it is lower than the last one.

        The same count with the same use is a retransmission and stays valid. A full table refuses every claim.
        """
        self._forget_old(now)
        held = self._claims.get(nonce)
        if held is None:
            if len(self._claims) >= self._max:
                return False
            self._claims[nonce] = (now + NONCE_SECONDS, count, use)
            return True
        expires, last, last_use = held
        if count == last:
            return use == last_use
        if count < last:
            return False
        self._claims[nonce] = (expires, count, use)
        return True

    def _claim_whole(self, nonce: str, use: Use, now: float) -> bool:
        """Claim a nonce without a count: valid for one use, and only if no count of it was claimed."""
        self._forget_old(now)
        held = self._claims.get(nonce)
        return self.claim(nonce, _WHOLE, use, now) if held is None else held[1:] == (_WHOLE, use)

    def _forget_old(self, now: float) -> None:
        # All nonces live equally long, so the claims expire in the order in which they were made.
        while self._claims:
            nonce, (expires, _, _) = next(iter(self._claims.items()))
            if expires > now:
                return
            del self._claims[nonce]

    def _mac(self, head: bytes, source_ip: str) -> bytes:
        return make_tag(self._key, b"nonce", head + source_ip.encode() + b"\n" + self._realm, size=_MAC_BYTES)


def _read(nonce: str) -> tuple[bytes, bytes] | None:
    """Return a nonce's facts and its tag, None where it is none."""
    if len(nonce) != _LENGTH:
        return None
    try:
        data = base64.b64decode(nonce, b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    return data[: _HEAD.size], data[_HEAD.size :]


def _unpack(head: bytes) -> _Nonce:
    made, _, worker, where, mark = _HEAD.unpack(head)
    return _Nonce(made, worker, where == _IN_STORE, mark)
