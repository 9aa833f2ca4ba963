"""The country of a source address.

The built-in data are those of the registries: the country that an address block was assigned to, which is not always where its user is.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

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
