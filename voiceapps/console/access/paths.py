"""Which requests are for the console's pages."""

from __future__ import annotations

from django.http import HttpRequest

PAGES = "/console/"
"""What the paths of the console begin with."""


def is_page(request: HttpRequest) -> bool:
    """Return whether a person asks, and not a program."""
    return request.path.startswith(PAGES)
