"""Enabling, rotation and disabling, for any sequence of changes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiceapps.rules.inbound_sip import InboundSip, InboundSipPatch, InvalidFields, apply
from voiceapps.rules.regions import COUNTRIES, GROUPS, allows, parse_region

RANGES = ("203.0.113.0/24", "198.51.100.42/32", "0.0.0.0/0", "8.8.8.0/24")
REFUSED = (
    "10.0.0.0/8",
    "192.168.1.5/24",
    "::1/128",
    "010.0.0.1/32",
    "::ffff:203.0.113.1/128",
    " 203.0.113.0/24",
    "٢٠٣.0.113.0/24",
    "1.2.3.4",
)

good_ranges = st.lists(st.sampled_from(RANGES), unique=True, max_size=4).map(tuple)
good_regions = st.lists(st.sampled_from(sorted(COUNTRIES | GROUPS.keys())), unique=True, max_size=4).map(tuple)
maybe_bool = st.none() | st.booleans()
good_patches = st.builds(
    InboundSipPatch, enabled=maybe_bool, password_auth=maybe_bool, source_ips=st.none() | good_ranges, regions=st.none() | good_regions
)


def states_along(patches: list[InboundSipPatch]) -> list[tuple[InboundSip, InboundSipPatch]]:
    """Return each state with the patch that is tried on it; a refused patch changes nothing."""
    state, seen = InboundSip(), []
    for patch in patches:
        seen.append((state, patch))
        try:
            state = apply(state, patch).after
        except InvalidFields:
            continue
    return seen


@given(st.lists(good_patches, max_size=8))
def test_an_enabled_application_always_has_a_mechanism(patches: list[InboundSipPatch]) -> None:
    for state, _ in states_along(patches):
        assert not state.enabled or state.password_auth or state.source_ips
        assert state.enabled or state == InboundSip()


@given(st.lists(good_patches, max_size=8))
def test_alias_and_password_follow_from_the_patch(patches: list[InboundSipPatch]) -> None:
    for before, patch in states_along(patches):
        try:
            transition = apply(before, patch)
        except InvalidFields:
            continue
        after = transition.after
        assert transition.new_password == (after.enabled and patch.password_auth is True)
        assert transition.new_alias == (after.enabled and not before.enabled)
        assert transition.drop_credential == (not after.password_auth)


@given(st.lists(good_patches, max_size=8))
def test_sent_lists_replace_and_unsent_settings_stay(patches: list[InboundSipPatch]) -> None:
    for before, patch in states_along(patches):
        try:
            after = apply(before, patch).after
        except InvalidFields:
            continue
        if after.enabled:
            assert after.source_ips == (before.source_ips if patch.source_ips is None else patch.source_ips)
            assert after.regions == (before.regions if patch.regions is None else patch.regions)


@given(good_ranges, st.sampled_from(REFUSED), good_ranges)
def test_one_bad_range_refuses_the_whole_change(before: tuple[str, ...], bad: str, after: tuple[str, ...]) -> None:
    with pytest.raises(InvalidFields) as caught:
        apply(InboundSip(), InboundSipPatch(enabled=True, password_auth=True, source_ips=(*before, bad, *(set(after) - set(before)))))
    assert caught.value.errors.keys() == {"allowedSourceIps"}
    assert repr(bad) in caught.value.errors["allowedSourceIps"]


@given(st.integers(0, 40))
def test_at_most_25_ranges(count: int) -> None:
    ranges = tuple(f"203.0.113.{number}/32" for number in range(count))
    patch = InboundSipPatch(enabled=True, password_auth=True, source_ips=ranges)
    if count <= 25:
        assert apply(InboundSip(), patch).after.source_ips == ranges
    else:
        with pytest.raises(InvalidFields, match="At most 25"):
            apply(InboundSip(), patch)


@given(st.text())
def test_any_text_is_a_region_or_a_value_error(text: str) -> None:
    try:
        assert parse_region(text) == text
    except ValueError as error:
        assert "ISO 3166" in str(error)


@given(good_regions, st.none() | st.sampled_from(sorted(COUNTRIES)))
def test_a_country_is_allowed_by_itself_or_its_group(regions: tuple[str, ...], country: str | None) -> None:
    named = country in regions or any(country in GROUPS.get(region, ()) for region in regions)
    assert allows(regions, country) == (not regions or named)
