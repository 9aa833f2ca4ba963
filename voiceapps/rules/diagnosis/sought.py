"""What a text that somebody searches for may be: an id, an address, a number, a name. Each is looked up by its index."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote
from uuid import UUID

from voiceapps.rules.cidr import parse_address
from voiceapps.rules.diagnosis.numbers import digits_of, number_of
from voiceapps.rules.whole_numbers import is_digits

MIN_SOUGHT, MAX_SOUGHT = 2, 512
"""Characters of a text that is looked for; a SIP Call-ID has no more."""
MAX_NAME = 100
"""Characters of a part of a name."""
_PORT = re.compile(r":[0-9]{1,5}$")
_QUAD = re.compile(r"[0-9]+(?:\.[0-9]+){3}(?:[:/][0-9]*)?")
"""What looks like an address, or a range, is no number with dots."""
_USER = re.compile(r"(?:[^<]*<)?(?:sips?:)?([^@;:<>\s]+)[^@\s]*@\S+", re.IGNORECASE)
"""Of a SIP URI: with its brackets, without its scheme, with a password or parameters."""
_CALL = re.compile(r"c-[0-9a-f-]{45}")


@dataclass(frozen=True, slots=True)
class Sought:
    """All that a text may be; what it cannot be is empty."""

    text: str
    call_id: str = ""
    sip_call_id: str = ""
    uuid: UUID | None = None
    """Of an application, its SIP URI or a webhook."""
    address: str = ""
    number: str = ""
    """Its digits."""
    account_id: str = ""
    name: str = ""
    """A part of a name."""


def read(text: str) -> Sought | None:
    """Return what a text may be, None if it is too short, too long, or holds what nothing that is stored holds."""
    text = text.strip()
    if not MIN_SOUGHT <= len(text) <= MAX_SOUGHT or "\0" in text:
        return None
    if _CALL.fullmatch(text):
        return Sought(text, call_id=text)
    address = _address(text)
    if address:
        return Sought(text, address=address)
    uuid = _uuid(_user(text) or text)
    return Sought(
        text,
        sip_call_id=text,
        uuid=uuid,
        number=_number(text),
        account_id=text if is_digits(text) and len(text) <= 16 else "",
        name=text if uuid is None and len(text) <= MAX_NAME else "",
    )


def _address(text: str) -> str:
    try:
        return parse_address(_PORT.sub("", text))
    except ValueError:
        return ""


def _user(text: str) -> str:
    found = _USER.fullmatch(text)
    return unquote(found[1]) if found else ""


def _number(text: str) -> str:
    """Return the number of a URI, in brackets or without, or the text as a number. (`4917012@host` may as well be a SIP Call-ID.)"""
    uri = text[text.find("<") + 1 :].partition(">")[0]
    return "" if _QUAD.fullmatch(text) else number_of(uri) or digits_of(text)


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text) if len(text) == 36 else None
    except ValueError:
        return None
