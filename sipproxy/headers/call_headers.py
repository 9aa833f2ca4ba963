"""What the proxy tells the call flow of a call, in headers of its own, and the seal that proves who wrote them.

Whoever reaches the call flow's port can write an INVITE, but not the seal, without the fleet's key. It holds for these headers, for the
dialog that the INVITE opens, for one node and for a minute, and the node takes it once: who has seen one can begin no other call with it.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Self

from daemonkit.address import Address
from sipproxy.headers.caller_headers import CARRIED_HEADER
from sipproxy.mac import Keys, is_tag, make_tag
from sipproxy.sip import Request
from voiceapps.rules.media_settings import SecureMedia
from voiceapps.rules.reports import CallFacts

CALL_HEADER = "P-Sipuri-Call"
REACH_HEADER = "P-Sipuri-Reach"
AGE_HEADER = "P-Sipuri-Age"
"""How many seconds ago this proxy sent a BYE for the first time, in its repetitions."""
LATE_HEADER = "P-Sipuri-Late"
"""Marks a BYE that may have been sent while this proxy was away."""
SEAL_HEADER = "P-Sipuri-Seal"
SEAL_SECONDS = 60
"""How long a seal holds, and by how much the clocks of two machines may differ."""
_COVERED = (CALL_HEADER, REACH_HEADER, CARRIED_HEADER)
_SEAL = re.compile(r"(\d{1,12});([0-9a-f]{32})", re.ASCII)
_PURPOSE = b"invite"
_TAG_BYTES = 16


class MediaSecurity(StrEnum):
    """Whether the audio of a call is encrypted (SDES); the value is the word in the header."""

    PLAIN = "plain"
    """It is not: nobody wants it, or the keys did not come by TLS."""
    OPTIONAL = "optional"
    """It is if the caller offers keys."""
    REQUIRED = "required"
    IMPOSSIBLE = "impossible"
    """It has to be, and the keys could not come by TLS: whoever reads the signalling could hear the call."""

    @classmethod
    def of(cls, setting: SecureMedia, *, by_tls: bool) -> Self:
        """Return what an application's setting means for a call."""
        if setting is SecureMedia.REQUIRED:
            return cls.REQUIRED if by_tls else cls.IMPOSSIBLE
        return cls.OPTIONAL if by_tls and setting is SecureMedia.OPTIONAL else cls.PLAIN


class SealFault(StrEnum):
    """Why an INVITE does not count as one of our proxies'; the value is the label of a metric."""

    MISSING = "missing"
    """It has no seal, or more than one, or one of another form."""
    WRONG = "wrong"
    """Another key made it, or for another dialog, node or content."""
    EXPIRED = "expired"
    """It is too old, or the clocks differ."""
    USED = "used"
    """The node has taken it before."""
    UNREADABLE = "unreadable"
    """It is right, but what it covers has a form that this release does not know."""


def tell_call(
    invite: Request, facts: CallFacts, reach: str, carried: str | None, *, by_digest: bool, media: MediaSecurity = MediaSecurity.PLAIN
) -> None:
    """Add what the call flow has to know.

    `reach` is that of the caller's flow, `carried` what the application wants of its headers, `by_digest` says that the caller has shown
    the password, `media` whether its audio is encrypted.
    """
    invite.append(
        CALL_HEADER,
        f"{facts.call_id};app={facts.application_id};account={facts.account_id};"
        f"source={facts.source_ip}:{facts.source_port};country={facts.country or '-'};started={facts.started_at:.3f}"
        f"{';digest' if by_digest else ''}{'' if media is MediaSecurity.PLAIN else f';media={media}'}",
    )
    invite.append(REACH_HEADER, reach)
    if carried is not None:
        invite.append(CARRIED_HEADER, carried)


def seal_invite(invite: Request, key: bytes, node: Address, wall: float) -> None:
    """Seal the headers of an INVITE that goes to `node`; `wall` is in seconds since the epoch."""
    sealed_at = str(int(wall))
    tag = make_tag(key, _PURPOSE, _sealed(invite, node, sealed_at), size=_TAG_BYTES)
    invite.append(SEAL_HEADER, f"{sealed_at};{tag.hex()}")


def seal_fault(invite: Request, keys: Keys, node: Address, wall: float) -> SealFault | None:
    """Return what is wrong with the seal of an INVITE that came to `node`, None if nothing is."""
    seals = invite.headers(SEAL_HEADER)
    match = _SEAL.fullmatch(seals[0]) if len(seals) == 1 else None
    if match is None:
        return SealFault.MISSING
    if not is_tag(bytes.fromhex(match[2]), keys, _PURPOSE, _sealed(invite, node, match[1]), size=_TAG_BYTES):
        return SealFault.WRONG
    return SealFault.EXPIRED if abs(wall - int(match[1])) > SEAL_SECONDS else None


def _sealed(invite: Request, node: Address, sealed_at: str) -> bytes:
    # No part has a line end, and those before the headers are always there, so none can pass for the beginning of the next.
    told = [f"{name}: {value}" for name in _COVERED for value in invite.headers(name)]
    parts = (sealed_at, "{}:{}".format(*node), invite.call_id, invite.header("from") or "", invite.header("to") or "", *told)
    return "\n".join(parts).encode("utf-8", "surrogateescape")
