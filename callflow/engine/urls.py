"""Resolve the URLs in a document against the document's own URL."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import urljoin

from callflow.bxml import Webhook


def resolve(webhook: Webhook, base_url: str) -> Webhook:
    """Return a webhook, and its fallback, with absolute URLs."""
    fallback = webhook.fallback and resolve(webhook.fallback, base_url)
    return replace(webhook, url=urljoin(base_url, webhook.url), fallback=fallback)
