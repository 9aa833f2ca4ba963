"""The rules for where an application's webhooks go, and for how long their answers are waited for."""

from __future__ import annotations

from urllib.parse import urlsplit

MIN_TIMEOUT, MAX_TIMEOUT = 1, 25


def check_url(url: str) -> None:
    """Raise ValueError unless a text is an absolute URL whose scheme is http or https."""
    try:
        parts = urlsplit(url)
        valid = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not valid or any(character.isspace() or ord(character) < 32 for character in url):
        raise ValueError("Must be an absolute URL; only http and https are allowed.")


def check_timeout(seconds: float) -> None:
    """Raise ValueError unless answers are waited for within the bounds; what is no number is not."""
    if not MIN_TIMEOUT <= seconds <= MAX_TIMEOUT:
        raise ValueError(f"Must be within {MIN_TIMEOUT}-{MAX_TIMEOUT} seconds.")
