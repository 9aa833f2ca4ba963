"""The signalling of one call as a caller writes it; nothing here reads a clock or a socket.

Calls to our engine come as from one of our proxies: with its headers, and sealed by the fleet's key.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field

from bench.voice.documents import user_of
from callflow.secure.sdes import Crypto
from daemonkit.address import Address
from sipproxy.headers.call_headers import MediaSecurity, seal_invite, tell_call
from sipproxy.sip import Request, Response
from tests.support.fleet import ACCOUNT
from voiceapps.rules.reports import CallFacts


@dataclass(frozen=True, slots=True)
class Target:
    """Who answers; without `key` the INVITEs have no seal, for engines that know none."""

    host: str
    port: int
    application_id: str = ""
    key: str = field(default="", repr=False)
    """In hexadecimal digits."""

    @property
    def address(self) -> Address:
        """Where its SIP goes to."""
        return self.host, self.port

    @property
    def uri(self) -> str:
        """Whom the calls are for."""
        return f"sip:bench@{self.host}:{self.port}"


class Dialog:
    """One call's messages; `answered` takes the answer that `ack` and `bye` are about."""

    def __init__(self, target: Target, local: Address, scenario: str) -> None:
        self.call_id = f"{uuid.uuid4().hex}@bench.example"
        self._caller = f"<sip:{user_of(scenario)}@bench.example>;tag={uuid.uuid4().hex[:8]}"
        self._called = f"<{target.uri}>"
        self._contact = target.uri
        self._invite_branch = _new_branch()
        self._local = local
        self._target = target

    @property
    def address(self) -> Address:
        """Where the requests go to."""
        return self._target.address

    def invite(self, description: bytes, security: MediaSecurity, wall: float) -> bytes:
        """Return the INVITE; `wall` is in seconds since the epoch."""
        more = [("Contact", f"<sip:bench@{self._local[0]}:{self._local[1]}>"), ("Content-Type", "application/sdp")]
        request = self._request("INVITE", 1, self._target.uri, self._invite_branch, more, description)
        if self._target.key:
            tell_call(request, self._facts(wall), "direct", None, by_digest=True, media=security)
            seal_invite(request, bytes.fromhex(self._target.key), self._target.address, wall)
        return bytes(request)

    def answered(self, response: Response) -> None:
        """Take the 2xx: the tag of the far end, and where its requests go to."""
        self._called = response.header("to") or self._called
        self._contact = response.contact.uri if response.contact else self._contact

    def ack(self) -> bytes:
        """Return the ACK of the 2xx."""
        return bytes(self._request("ACK", 1, self._contact, _new_branch()))

    def ack_refusal(self, response: Response) -> bytes:
        """Return the ACK of a final response that refuses the call (RFC 3261 section 17.1.1.3)."""
        request = self._request("ACK", 1, self._target.uri, self._invite_branch)
        request.replace("To", response.header("to") or self._called)
        return bytes(request)

    def bye(self) -> bytes:
        """Return the BYE."""
        return bytes(self._request("BYE", 2, self._contact, _new_branch()))

    def _request(
        self, method: str, number: int, uri: str, branch: str, more: list[tuple[str, str]] | None = None, body: bytes = b""
    ) -> Request:
        headers = [
            ("Via", f"SIP/2.0/UDP {self._local[0]}:{self._local[1]};branch={branch};rport"),
            ("Max-Forwards", "70"),
            ("From", self._caller),
            ("To", self._called),
            ("Call-ID", self.call_id),
            ("CSeq", f"{number} {method}"),
        ]
        return Request.build(method, uri, [*headers, *(more or [])], body)

    def _facts(self, wall: float) -> CallFacts:
        return CallFacts(
            call_id=f"c-{uuid.uuid4().hex[:8]}-{uuid.uuid4()}",
            application_id=self._target.application_id,
            account_id=ACCOUNT,
            sip_call_id=self.call_id,
            from_uri="",
            to_uri="",
            source_ip=self._local[0],
            source_port=self._local[1],
            country="US",
            started_at=wall,
        )


def offer(address: Address, crypto: Crypto | None) -> bytes:
    """Return a telephone's description of its audio: µ-law and telephone events, encrypted if there is a key."""
    host, port = address
    profile = "RTP/SAVP" if crypto else "RTP/AVP"
    lines = ["v=0", f"o=- 1 1 IN IP4 {host}", "s=-", f"c=IN IP4 {host}", "t=0 0", f"m=audio {port} {profile} 0 101"]
    lines += ["a=rtpmap:0 PCMU/8000", "a=rtpmap:101 telephone-event/8000", "a=fmtp:101 0-15"]
    lines += [f"a=crypto:{bytes(crypto).decode()}"] if crypto else []
    return "\r\n".join([*lines, "a=ptime:20", "a=sendrecv", ""]).encode()


def _new_branch() -> str:
    return f"z9hG4bK{uuid.uuid4().hex}"
