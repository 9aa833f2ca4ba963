"""A text that is encrypted in the database, by MultiFernet with `SIPURI_FIELD_KEYS`: the first key writes, all of them read."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from cryptography.fernet import Fernet, MultiFernet
from django.conf import settings
from django.db import models

if TYPE_CHECKING:
    _Text = models.TextField[str, str]
else:  # the generic form exists in the stubs only
    _Text = models.TextField


class EncryptedTextField(_Text):
    """A text stored as a Fernet token; the empty text is stored as it is."""

    def get_prep_value(self, value: Any) -> Any:
        """Return the encrypted text."""
        return field_cipher().encrypt(str(value).encode()).decode() if value else ""

    def from_db_value(self, value: str | None, _expression: Any, _connection: Any) -> str:
        """Return the decrypted text."""
        return field_cipher().decrypt(value.encode()).decode() if value else ""


def field_cipher() -> MultiFernet:
    """Return what encrypts secrets at rest."""
    return _fernet(settings.SIPURI_FIELD_KEYS)


@lru_cache(maxsize=4)
def _fernet(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])
