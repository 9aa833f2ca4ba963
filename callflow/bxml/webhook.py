"""Where the result of a verb goes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Webhook:
    """One URL with its method and credentials, and a fallback for when it does not answer.

    Credentials belong to this URL alone: the fallback has its own. The URL is as written; it may be relative to that of
    its document.
    """

    url: str
    method: str = "POST"
    username: str = ""
    password: str = ""
    fallback: Webhook | None = None
