"""The SIP grammar: messages and header values as pure data (RFC 3261 sections 7, 20 and 25)."""

from sipproxy.sip.cseq import CSeq
from sipproxy.sip.digest import Challenge, Credentials
from sipproxy.sip.errors import PeerError, UsageError
from sipproxy.sip.message import BadRequestError, Message, Request, Response
from sipproxy.sip.nameaddr import NameAddr
from sipproxy.sip.parser import is_keepalive, parse_message
from sipproxy.sip.uri import SipUri
from sipproxy.sip.via import Via

__all__ = [
    "BadRequestError",
    "CSeq",
    "Challenge",
    "Credentials",
    "Message",
    "NameAddr",
    "PeerError",
    "Request",
    "Response",
    "SipUri",
    "UsageError",
    "Via",
    "is_keepalive",
    "parse_message",
]
