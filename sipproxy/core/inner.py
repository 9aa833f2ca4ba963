"""What a foreign target needs to be reached again, carried by the dialog like the route token (D18).

Our own call flow is found by the token alone. A static target may be a proxy with others behind it: it has a Contact and
Record-Route entries of its own, which the outside must not follow. They travel as a parameter of our Record-Route entry,
bound by a tag to the dialog, and become Request-URI and Route again when a request comes back. Where the request is sent
is still the token's affair, so nobody can be reached by them.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from dataclasses import dataclass
from typing import Self

from sipproxy.mac import make_tag

MAX_INNER = 1_024  # octets of all URIs together: a dialog that needs more is reached without them
PARAMETER = "in"
_MAC_BYTES = 9


@dataclass(frozen=True, slots=True)
class InnerRoute:
    """Hold the way behind a target."""

    target: str
    """The Contact's URI, empty where there is none."""
    routes: tuple[str, ...] = ()
    """Route values, the first hop first."""

    @classmethod
    def parse(cls, raw: str, *, key: bytes, sip_call_id: str, caller_tag: str) -> Self | None:
        """Read what `sign` wrote for this dialog; None where it is forged or belongs to another dialog."""
        if len(raw) > 2 * MAX_INNER:
            return None
        try:
            data = base64.b64decode(raw + "=" * (-len(raw) % 4), b"-_", validate=True)
        except (binascii.Error, ValueError):
            return None
        payload, mac = data[:-_MAC_BYTES], data[-_MAC_BYTES:]
        if not hmac.compare_digest(mac, _mac(payload, key, sip_call_id, caller_tag)):
            return None
        target, *routes = payload.decode("utf-8", "surrogateescape").split("\n")
        return cls(target, tuple(routes))

    def sign(self, *, key: bytes, sip_call_id: str, caller_tag: str) -> str:
        """Return the text for one dialog, "" where the URIs are too long to travel."""
        payload = "\n".join((self.target, *self.routes)).encode("utf-8", "surrogateescape")
        if len(payload) > MAX_INNER:
            return ""
        return base64.urlsafe_b64encode(payload + _mac(payload, key, sip_call_id, caller_tag)).decode("ascii").rstrip("=")


def _mac(payload: bytes, key: bytes, sip_call_id: str, caller_tag: str) -> bytes:
    dialog = f"{sip_call_id}\n{caller_tag}".encode("utf-8", "surrogateescape")
    return make_tag(key, b"inner", payload + b"\n" + dialog, size=_MAC_BYTES)
