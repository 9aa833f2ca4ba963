"""The hash of API clients' secrets, which is fast.

A client secret is random and at least 24 characters long, so a slow hash would protect nothing and cost a third of a
second for each token request. It is keyed with the installation's key: a stolen table is useless without it.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

from django.conf import settings
from django.contrib.auth.hashers import BasePasswordHasher
from django.utils.crypto import constant_time_compare


class ClientSecretHasher(BasePasswordHasher):
    """A hasher that stores `sipuri_hmac$<salt>$<HMAC-SHA-256>`."""

    algorithm = "sipuri_hmac"

    def encode(self, password: str, salt: str) -> str:
        """Return the stored form of a secret."""
        key = hashlib.sha256(f"client-secret:{settings.SECRET_KEY}".encode()).digest()
        digest = hmac.new(key, f"{salt}:{password}".encode(), hashlib.sha256).hexdigest()
        return f"{self.algorithm}${salt}${digest}"

    def decode(self, encoded: str) -> dict[str, Any]:
        """Return the parts of a stored form."""
        algorithm, salt, digest = encoded.split("$", 2)
        return {"algorithm": algorithm, "salt": salt, "hash": digest}

    def verify(self, password: str, encoded: str) -> bool:
        """Return whether a secret has this stored form, compared in constant time."""
        return constant_time_compare(encoded, self.encode(password, self.decode(encoded)["salt"]))

    def safe_summary(self, encoded: str) -> dict[Any, Any]:
        """Return the algorithm only, no part of the hash."""
        return {"algorithm": self.decode(encoded)["algorithm"]}

    def harden_runtime(self, password: str, encoded: str) -> None:
        """Do nothing: there is no work factor."""
