"""Resolve the URLs in a document against the document's own URL."""

from __future__ import annotations

from dataclasses import replace

from callflow.bxml import Webhook
from voiceapps.rules.http.target import joined


def resolve(webhook: Webhook, base_url: str) -> Webhook:
    """Return a webhook, and its fallback, with absolute URLs."""
    fallback = webhook.fallback and resolve(webhook.fallback, base_url)
    return replace(webhook, url=joined(base_url, webhook.url), fallback=fallback)
