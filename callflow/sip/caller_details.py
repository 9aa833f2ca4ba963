"""Read what the first INVITE says of the caller beyond its addresses. What cannot be read is left out: it never fails a call."""

from __future__ import annotations

import json
import re
from base64 import urlsafe_b64decode

from callflow.sip.call_header import printable
from sipproxy.sip import NameAddr, PeerError, Request
from sipproxy.sip.grammar import param, parse_params, unquote
from voiceapps.rules.webhook_bodies import CallerDetails

HEADERS_NAME = "P-Sipuri-Headers"
MAX_SIP_HEADERS = 32
MAX_UUI = 256
"""Characters of user-to-user information, its encoding included; longer ones are left out."""
_ENCODINGS = ("hex", "base64", "jwt")
_NUMBER = re.compile(r"(?:sips?|tel):(\+?[0-9*#().-]{2,32})(?=[@;]|$).*", re.ASCII | re.IGNORECASE | re.DOTALL)


def read_caller_details(invite: Request) -> CallerDetails:
    """Return what an INVITE from our proxy says of its caller."""
    return CallerDetails(_read_diversion(invite), _read_uui(invite), _read_sip_headers(invite))


def _read_diversion(invite: Request) -> dict[str, str]:
    """Return the topmost, which is the last, diversion; a telephone number stands for its URI."""
    try:
        last = next(iter(invite.values("diversion")), None)
        address = NameAddr.parse(last) if last else None
    except PeerError:
        return {}
    if address is None:
        return {}
    number = _NUMBER.fullmatch(address.uri)
    parameters = {name.lower(): printable(unquote(value or "")) for name, value in address.params}
    return {**parameters, "origTo": number[1] if number else printable(address.uri)}


def _read_uui(invite: Request) -> str:
    """Return the user-to-user information; hexadecimal is the encoding of one that names none (RFC 7433 section 4.1)."""
    value, _, rest = (invite.header("user-to-user") or "").partition(";")
    try:
        encoding = (param(parse_params(rest.strip()), "encoding") or "hex").lower()
    except PeerError:
        return ""
    text = f"{value.strip()};encoding={encoding}"
    good = value.strip() and encoding in _ENCODINGS and text.isascii() and text.isprintable() and len(text) <= MAX_UUI
    return text if good else ""


def _read_sip_headers(invite: Request) -> dict[str, str]:
    """Return the headers that the proxy hands on as data, where the application asks for them."""
    text = invite.header(HEADERS_NAME) or ""
    try:
        found = json.loads(urlsafe_b64decode(text + "=" * (-len(text) % 4))) if text else {}
    except (ValueError, RecursionError):
        return {}
    pairs = list(found.items()) if isinstance(found, dict) else []
    return {_clean(name): _clean(value) for name, value in pairs[:MAX_SIP_HEADERS] if isinstance(value, str)}


def _clean(text: str) -> str:
    """Return a text of JSON, which may hold halves of characters, as a text that can be stored."""
    return printable(text.encode("utf-8", "replace").decode())
