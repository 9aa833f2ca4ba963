from __future__ import annotations

from ipaddress import IPv4Network

from voiceapps.daemon.geo import CountryLookup


def test_the_operators_networks_take_precedence() -> None:
    lookup = CountryLookup("", ((IPv4Network("10.1.0.0/16"), "DE"), (IPv4Network("10.0.0.0/8"), "US")))
    assert lookup.country_of("10.1.2.3") == "DE"
    assert lookup.country_of("10.2.2.3") == "US"
    assert lookup.country_of("192.168.0.1") is None


def test_the_built_in_registry_knows_public_addresses() -> None:
    assert CountryLookup("", ()).country_of("8.8.8.8") == "US"
