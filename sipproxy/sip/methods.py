"""The methods that this product serves, as one table: from it come each `Allow` and each look at what a method may do."""

from __future__ import annotations

from enum import Flag, auto


class Use(Flag):
    """What a method may do."""

    DIALOG = auto()
    """It may come in a dialog."""
    OFFER = auto()
    """Its body may be an offer (RFC 3261 section 13.2.1, RFC 3262 section 5, RFC 3311 section 5.1)."""
    TARGET = auto()
    """Its 2xx moves the remote target of a dialog (RFC 3261 section 12.2, RFC 3311 section 5.1)."""


METHODS: dict[str, Use] = {
    "INVITE": Use.DIALOG | Use.OFFER | Use.TARGET,
    "ACK": Use.DIALOG,
    "CANCEL": Use(0),  # It belongs to the INVITE that it cancels, not to a dialog.
    "BYE": Use.DIALOG,
    "OPTIONS": Use.DIALOG,
    "PRACK": Use.DIALOG | Use.OFFER,
    "UPDATE": Use.DIALOG | Use.OFFER | Use.TARGET,
    "INFO": Use.DIALOG,
    "NOTIFY": Use.DIALOG,
}
ALLOW = ", ".join(METHODS)
"""What `Allow` says to a peer, outside and inside (RFC 3261 section 20.5). REFER is not in it: the call flow sends it, and takes none."""


def methods_for(use: Use) -> frozenset[str]:
    """Return the methods that may do all of this."""
    return frozenset(method for method, uses in METHODS.items() if use in uses)
