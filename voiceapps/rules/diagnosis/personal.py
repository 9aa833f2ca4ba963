"""Numbers and addresses of callers, shortened for those who may not see them: enough is left to tell callers apart, not to reach them."""

from __future__ import annotations

import re

HIDDEN = "…"
HIDDEN_DIGITS = 4

_ADDRESS = re.compile(r"(?<![\d.])(\d{1,3}\.\d{1,3}\.\d{1,3})\.\d{1,3}(?![\d.])", re.ASCII)
_DIGITS = re.compile(r"(?:(?<=sip:)|(?<=sips:)|(?<=tel:)|(?<![\w.:/-]))\+?\d{5,}(?![\w:-])", re.ASCII)
"""Of ids, times and ports nothing stands alone like that."""
_URIS = frozenset({"from", "to", "origTo"})
_SAID = frozenset({"digit", "digits", "terminatingDigit", "transcript", "uui"})
_USER = re.compile(r"\s*(sips?:|tel:)?([^@;?]*)(?:@([^;?\s>]*))?", re.IGNORECASE)


def short_address(address: str) -> str:
    """Return the network of an IPv4 address, as in `203.0.113.0/24`; of any other text, nothing that could be one."""
    network = _ADDRESS.fullmatch(address)
    return f"{network[1]}.0/24" if network else HIDDEN


def short_number(number: str) -> str:
    """Return a number without its last digits; of a short one nothing is left."""
    return number[:-HIDDEN_DIGITS] + HIDDEN


def short_uri(uri: str) -> str:
    """Return a URI whose user is cut like a number, whose addresses are networks, and whose parameters are gone."""
    found = _USER.match(uri)
    if found is None or (found[1] or "").lower() not in ("sip:", "sips:", "tel:"):
        return HIDDEN
    if found[3] is None and found[1].lower() != "tel:" and "." in found[2]:
        return f"{found[1]}{short_text(found[2])}"
    user = found[2].partition(":")[0]
    return f"{found[1]}{short_number(user)}" + ("" if found[3] is None else f"@{short_text(found[3])}")


def short_text(text: str) -> str:
    """Return a text in which each IPv4 address is its network."""
    return _ADDRESS.sub(r"\1.0/24", text)


def short_numbers(text: str) -> str:
    """Return a text in which each address is its network, and each row of digits that may be a number is cut like one."""
    return _DIGITS.sub(lambda found: short_number(found[0]), short_text(text))


def short_body(body: object, name: str = "") -> object:
    """Return the body of a webhook without what leads to its caller, and without what the caller pressed and said."""
    if isinstance(body, dict):
        return {key: short_body(value, key) for key, value in body.items()}
    if isinstance(body, list):
        return [short_body(value, name) for value in body]
    if not isinstance(body, str) or name == "accountId":
        return body
    if name in _SAID:
        return HIDDEN if body else body
    return short_uri(body) if name in _URIS else short_numbers(body)
