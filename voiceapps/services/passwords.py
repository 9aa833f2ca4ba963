"""Random passwords and client secrets, which are shown once."""

from __future__ import annotations

import secrets
import string

# Letters and digits survive shells, URLs and the configuration files of softphones.
_ALPHABET = string.ascii_letters + string.digits
LENGTH = 32


def make_password() -> str:
    """Return 190 random bits as text."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(LENGTH))
