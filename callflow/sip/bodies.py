"""What the body of a message is to us: a session description, nothing, or a reason to refuse the message."""

from __future__ import annotations

from callflow.sip.sdp_answer import RemoteSdp
from sipproxy.headers.call_headers import MediaSecurity
from sipproxy.sip import Message, PeerError
from sipproxy.sip.body import find_description, is_optional


def read_description(message: Message, security: MediaSecurity) -> RemoteSdp | None:
    """Return the session description of a message, None if it has none.

    Raises PeerError 400 for a body that cannot be taken apart, 415 for one without a description unless its sender can do without
    it (RFC 3261 section 8.2.3), and SdpError for a description that cannot be read.
    """
    try:
        found = find_description(message)
    except PeerError as error:
        raise PeerError(error.status, f"The body cannot be taken apart: {error.reason}.") from error
    if found is not None:
        return RemoteSdp.parse(found.of(message.body), security)
    if message.body and not is_optional(message):
        raise PeerError(415, "The body holds no session description.")
    return None
