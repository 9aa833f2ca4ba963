"""What the API may want of a call in the middle of its program."""

from __future__ import annotations

from dataclasses import dataclass

from callflow.bxml import Document, Webhook


@dataclass(frozen=True, slots=True)
class Redirection:
    """Leave the document, and ask this webhook for the next one."""

    webhook: Webhook
    """Its URLs are absolute."""
    tag: str | None
    """The call's new tag; None leaves it alone."""


@dataclass(frozen=True, slots=True)
class NewDocument:
    """Leave the document, and run this one."""

    document: Document


@dataclass(frozen=True, slots=True)
class Completion:
    """Hang up, or reject the call if it is not answered yet."""


Order = Redirection | NewDocument | Completion
