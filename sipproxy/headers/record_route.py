"""What our Record-Route entry carries, so that any proxy of the fleet can serve any dialog without state of its own.

The user part of the entry is the route token: what a proxy must know of a dialog. Every request inside the dialog brings it
back. 64 characters of base64url: 39 bytes of facts and a tag of 9 bytes over the facts, the Call-ID and the caller's tag. An
outsider can read it but can neither forge it nor use it in another dialog.

A static target may be a proxy with others behind it. It has a Contact and Record-Route entries of its own, which the outside
must not follow. They travel as a parameter of our entry, bound by a tag to the dialog, and become Request-URI and Route again
when a request comes back. The token alone decides where the request is sent, so the parameter cannot be used to reach anybody.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import Self

from daemonkit.address import Address
from sipproxy.headers.flow import Flow, dotted, packed
from sipproxy.seal import DialogSeal, sealed_length
from sipproxy.sip import UsageError

_LAYOUT = struct.Struct("!B4s16s4sH4sH4sH")
_LENGTH = sealed_length(_LAYOUT.size)
_TOKEN, _INNER = b"token", b"inner"
_CALL_ID = re.compile(r"c-([0-9a-f]{8})-([0-9a-f]{8})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{12})")
_OFFERED = 0x01
_FLOW_SHIFT = 1
MAX_INNER = 1_024  # octets of all URIs behind a target: a dialog that needs more is reached without them
INNER_PARAMETER = "in"


@dataclass(frozen=True, slots=True)
class RouteToken:
    """The facts of one dialog that a proxy needs to route its requests."""

    call_id: str
    """The internal call id."""
    callflow: Address
    """Where requests towards the inside go."""
    relay: Address
    """The ng address of the relay that holds the media."""
    flow: Flow
    """How the caller's first INVITE came."""
    offered: bool
    """Whether that INVITE carried an offer."""

    @classmethod
    def parse(cls, raw: str, seal: DialogSeal) -> Self | None:
        """Read the token of a dialog. Returns None where it is forged or belongs to another dialog."""
        payload = seal.open(_TOKEN, raw) if looks_like_token(raw) else None
        if payload is None:
            return None
        flags, first, rest, *places = _LAYOUT.unpack(payload)
        callflow, relay, caller = ((dotted(places[index]), places[index + 1]) for index in (0, 2, 4))
        flow = Flow.from_flags(flags >> _FLOW_SHIFT, caller)
        hexa = first.hex() + rest.hex()
        call_id = f"c-{hexa[:8]}-{hexa[8:16]}-{hexa[16:20]}-{hexa[20:24]}-{hexa[24:28]}-{hexa[28:]}"
        return None if flow is None else cls(call_id, callflow, relay, flow, bool(flags & _OFFERED))

    def sign(self, seal: DialogSeal) -> str:
        """Return the token's text for one dialog."""
        match = _CALL_ID.fullmatch(self.call_id)
        if match is None:
            raise UsageError("An internal call id has 47 characters.")
        name = bytes.fromhex("".join(match.groups()))
        flags = (_OFFERED if self.offered else 0) | self.flow.flags << _FLOW_SHIFT
        payload = _LAYOUT.pack(flags, name[:4], name[4:], *packed(self.callflow), *packed(self.relay), *packed(self.flow.caller))
        return seal.close(_TOKEN, payload)


@dataclass(frozen=True, slots=True)
class InnerRoute:
    """The way behind a static target."""

    target: str
    """The Contact's URI, empty where there is none."""
    routes: tuple[str, ...] = ()
    """Route values, the first hop first."""

    @classmethod
    def parse(cls, raw: str, seal: DialogSeal) -> Self | None:
        """Read what `sign` wrote for this dialog. Returns None where it is forged or belongs to another dialog."""
        payload = seal.open(_INNER, raw) if len(raw) <= sealed_length(MAX_INNER) else None
        if payload is None:
            return None
        target, *routes = payload.decode("utf-8", "surrogateescape").split("\n")
        return cls(target, tuple(routes))

    def sign(self, seal: DialogSeal) -> str:
        """Return the text for one dialog, "" where the URIs are too long to travel."""
        payload = "\n".join((self.target, *self.routes)).encode("utf-8", "surrogateescape")
        return seal.close(_INNER, payload) if len(payload) <= MAX_INNER else ""


def looks_like_token(user: str) -> bool:
    """Return whether a user part has a token's length."""
    return len(user) == _LENGTH
