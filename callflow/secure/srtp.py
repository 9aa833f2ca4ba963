"""Encrypt and decrypt the packets of one call (RFC 3711, RFC 7714), by libsrtp.

What is forged, damaged or replayed does not come through: it is counted. After a change of keys packets of the old one may still be on
their way; they are heard until the first one comes that the new key opens.
"""

from __future__ import annotations

from pylibsrtp import Error, Policy, Session

from callflow.secure.sdes import Crypto, Keys, Suite

MAX_SOURCES = 32
"""Senders (SSRC) of one call: the library keeps something of each."""
MAX_PACKET = 1_400
"""Octets of a packet that is looked at: more than any that we send, and less than the library's buffer."""
_PROFILES = {
    Suite.AES_256_GCM: Policy.SRTP_PROFILE_AEAD_AES_256_GCM,
    Suite.AES_128_GCM: Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
    Suite.AES_CM_128_80: Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
    Suite.AES_CM_128_32: Policy.SRTP_PROFILE_AES128_CM_SHA1_32,
}


class SrtpError(ValueError):
    """A packet that the key does not open, or that came before."""


class SecureChannel:
    """The packets of one call in both directions."""

    def __init__(self, keys: Keys) -> None:
        self.refused = 0
        """Packets that nobody who has the key can have sent, or that came before."""
        self._keys = keys
        self._sender = _session(keys.ours, Policy.SSRC_ANY_OUTBOUND)
        self._receiver = _session(keys.theirs, Policy.SSRC_ANY_INBOUND)
        self._before: Session | None = None
        self._sources: set[bytes] = set()

    def agree(self, keys: Keys) -> None:
        """Follow another agreement; a direction whose key stays goes on."""
        if not keys.ours.encrypts_like(self._keys.ours):
            self._sender = _session(keys.ours, Policy.SSRC_ANY_OUTBOUND)
        if not keys.theirs.encrypts_like(self._keys.theirs):
            self._before, self._receiver = self._receiver, _session(keys.theirs, Policy.SSRC_ANY_INBOUND)
        self._keys = keys

    def seal(self, packet: bytes, *, is_rtcp: bool) -> bytes:
        """Return a packet of ours, encrypted."""
        sealed: bytes = self._sender.protect_rtcp(packet) if is_rtcp else self._sender.protect(packet)
        return sealed

    def open(self, packet: bytes, *, is_rtcp: bool) -> bytes:
        """Return a packet of the peer's, decrypted; raises SrtpError."""
        source = packet[4:8] if is_rtcp else packet[8:12]
        if len(packet) <= MAX_PACKET and (source in self._sources or len(self._sources) < MAX_SOURCES):
            try:
                opened = _open(self._receiver, packet, is_rtcp=is_rtcp)
                self._before = None
                self._sources.add(source)
                return opened
            except Error:
                if self._before is not None:
                    return self._open_old(self._before, packet, is_rtcp=is_rtcp)
        self.refused += 1
        raise SrtpError("The packet does not fit the key.")

    def _open_old(self, session: Session, packet: bytes, *, is_rtcp: bool) -> bytes:
        try:
            return _open(session, packet, is_rtcp=is_rtcp)
        except Error:
            self.refused += 1
            raise SrtpError("The packet fits neither key.") from None


def _session(crypto: Crypto, direction: int) -> Session:
    return Session(Policy(key=crypto.key, ssrc_type=direction, srtp_profile=_PROFILES[crypto.suite]))


def _open(session: Session, packet: bytes, *, is_rtcp: bool) -> bytes:
    opened: bytes = session.unprotect_rtcp(packet) if is_rtcp else session.unprotect(packet)
    return opened
