"""The country of a source address.

The built-in data are those of the registries: the country that an address block was assigned to, which is not always where its user is.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import lru_cache
from importlib import metadata
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import iptocc
import maxminddb


class CountryLookup:
    """A lookup in the operator's named networks first, then in the operator's database or the built-in one."""

    def __init__(self, database: str, overrides: tuple[tuple[IPv4Network, str], ...]) -> None:
        self._overrides = overrides
        self._reader = maxminddb.open_database(database) if database else None

    def country_of(self, address: str) -> str | None:
        """Return the ISO 3166 alpha-2 code of an IPv4 address, None if it is unknown."""
        ip = IPv4Address(address)
        for network, named in self._overrides:
            if ip in network:
                return named
        if self._reader is None:
            return iptocc.country_code(address)
        record = self._reader.get(address)
        country = record.get("country") if isinstance(record, dict) else None
        code = country.get("iso_code") if isinstance(country, dict) else None
        return code if isinstance(code, str) else None


def country_data_time(database: str) -> datetime | None:
    """Return when the operator's database, or else the built-in one, was made; None if that cannot be told."""
    if not database:
        return _built_in_time()
    try:
        return _database_time(database, Path(database).stat().st_mtime_ns)
    except (OSError, maxminddb.InvalidDatabaseError):
        return None


@lru_cache(maxsize=2)
def _database_time(database: str, _changed_at: int) -> datetime:
    with maxminddb.open_database(database) as reader:
        return datetime.fromtimestamp(reader.metadata().build_epoch, UTC)


@lru_cache(maxsize=1)
def _built_in_time() -> datetime | None:
    """Return when the package was built, and the data of that day into it: its list of parts says so, and nothing else does."""
    for path in metadata.files("iptocc") or ():
        if path.name.endswith(".cyclonedx.json"):
            made = json.loads(path.read_text("utf-8")).get("metadata", {}).get("timestamp", "")
            return datetime.fromisoformat(made) if made else None
    return None
