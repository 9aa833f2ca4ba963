"""The certificate that proxies show to callers by TLS."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from pathlib import Path

from cryptography import x509


def certificate_end(path: str) -> datetime | None:
    """Return until when the first certificate of a PEM file is valid; None if it cannot be read, or is none."""
    try:
        return _end(path, Path(path).stat().st_mtime_ns)
    except (OSError, ValueError):
        return None


@lru_cache(maxsize=2)
def _end(path: str, _changed_at: int) -> datetime:
    return x509.load_pem_x509_certificate(Path(path).read_bytes()).not_valid_after_utc
