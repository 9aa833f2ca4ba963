"""The rules for what an application says of its callers' media and signs of life."""

from __future__ import annotations

from enum import StrEnum
from ipaddress import IPv4Network

from voiceapps.rules.cidr import EVERYWHERE, MAX_SOURCE_RANGES, parse_range
from voiceapps.rules.entries import entry_errors


class SecureMedia(StrEnum):
    """Whether an application's audio is encrypted on its way to the caller, by keys that came by TLS."""

    OFF = "off"
    OPTIONAL = "optional"
    REQUIRED = "required"


MIN_MEDIA_TIMEOUT, MAX_MEDIA_TIMEOUT = 10, 3_600
MIN_KEEPALIVE, MAX_KEEPALIVE = 10, 300


def check_media_sources(ranges: tuple[str, ...]) -> None:
    """Raise ValueError unless each entry is a public range from which an application's media may come."""
    errors = entry_errors(ranges, MAX_SOURCE_RANGES, parse_media_source)
    if errors:
        raise ValueError(" ".join(errors))


def check_keepalive(seconds: int) -> None:
    """Raise ValueError unless the pause between questions is 0, which asks none, or within its bounds."""
    if seconds and not MIN_KEEPALIVE <= seconds <= MAX_KEEPALIVE:
        raise ValueError(f"Must be 0 (never) or within {MIN_KEEPALIVE}-{MAX_KEEPALIVE} seconds.")


def parse_media_source(text: str) -> IPv4Network:
    """Return the range that a text denotes; raises ValueError with the rule that it breaks."""
    network = parse_range(text)
    if network == EVERYWHERE:
        # The relay sends first to an address in these ranges: everywhere would let a caller aim it at anybody.
        raise ValueError("Too wide: it would let callers aim the media at anybody.")
    return network
