"""Say where a verb's result goes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Webhook:
    """One URL with its method and credentials, and what to try when it does not answer.

    Credentials belong to this URL alone; nothing is inherited (webhooks.md section 1). The URL is as
    written: it may be relative to the document that holds it.
    """

    url: str
    method: str = "POST"
    username: str = ""
    password: str = ""
    fallback: Webhook | None = None
