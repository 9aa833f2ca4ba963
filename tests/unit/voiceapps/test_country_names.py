"""The names of the countries that are chosen from."""

from __future__ import annotations

from collections import Counter

from voiceapps.rules.diagnosis.countries import CONTINENTS, GROUP_NAMES
from voiceapps.rules.regions import COUNTRIES, GROUPS


def test_each_region_of_the_rule_has_one_name_and_no_other_has_one() -> None:
    codes = Counter(code for countries in CONTINENTS.values() for code in countries)
    assert codes == Counter(COUNTRIES)
    assert GROUP_NAMES.keys() == GROUPS.keys()


def test_the_names_are_sorted_and_differ() -> None:
    names = [name for countries in CONTINENTS.values() for name in countries.values()]
    assert len(set(names)) == len(names)
    assert all(name == name.strip() and len(name) > 3 for name in names)
