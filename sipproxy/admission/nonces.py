"""Nonces that are checked without state.

A nonce holds its time, 64 random bits, its issuing process and a tag over these, the source address and the realm. Only a
*correct* digest claims its nonce count, so a stranger cannot fill the table of claims.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import struct
from collections import OrderedDict
from collections.abc import Callable

from sipproxy.admission.limits import MAX_NONCES, NONCE_SECONDS
from sipproxy.mac import make_tag

_HEAD = struct.Struct("!Q8s4s")
_MAC_BYTES = 12
_WHOLE = 2**32  # above every count: the nonce was used without one

Use = tuple[str, str, str]
"""One use of a nonce: Call-ID, CSeq and branch."""


class NonceBook:
    """The nonces of one process and their claimed counts; `new_token` returns hex digits, at least 16."""

    def __init__(self, *, key: bytes, realm: str, new_token: Callable[[], str], max_nonces: int = MAX_NONCES) -> None:
        self._key = key
        self._realm = realm.encode()
        self._new_token = new_token
        # Another process, or this one before a restart, has another mark: the counts that it has claimed are not known here.
        self._worker = bytes.fromhex(new_token()[:8])
        self._max = max_nonces
        self._claims: OrderedDict[str, tuple[float, int, Use]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._claims)

    def make(self, source_ip: str, now: float) -> str:
        """Return a fresh nonce for a source."""
        head = _HEAD.pack(int(now * 1000), bytes.fromhex(self._new_token()[:16]), self._worker)
        return base64.urlsafe_b64encode(head + self._mac(head, source_ip)).decode("ascii").rstrip("=")

    def is_fresh(self, nonce: str, source_ip: str, now: float) -> bool:
        """Return whether this process made the nonce for this source within the last minute."""
        try:
            data = base64.b64decode(nonce + "=" * (-len(nonce) % 4), b"-_", validate=True)
        except (binascii.Error, ValueError):
            return False
        if len(data) != _HEAD.size + _MAC_BYTES:
            return False
        head, mac = data[: _HEAD.size], data[_HEAD.size :]
        if not hmac.compare_digest(mac, self._mac(head, source_ip)):
            return False
        made, worker = int(_HEAD.unpack(head)[0]), head[-4:]
        return worker == self._worker and 0 <= now * 1000 - made + 1 <= NONCE_SECONDS * 1000

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

    def claim_once(self, nonce: str, use: Use, now: float) -> bool:
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
