"""Values of the shared cache as JSON.

Django's own form is pickle, and reading that runs whatever it says: whoever could write to Redis would run code in the web role.
"""

from __future__ import annotations

import json
from typing import Any


class JsonValues:
    """What `django.core.cache.backends.redis` writes and reads values by; whole numbers stay plain, so that Redis can count."""

    def dumps(self, value: Any) -> int | bytes:
        """Return a value as it is stored; raises TypeError for what JSON does not have."""
        return value if type(value) is int else json.dumps(value).encode()

    def loads(self, data: bytes) -> Any:
        """Return a stored value; raises ValueError for what is no JSON."""
        return json.loads(data)
