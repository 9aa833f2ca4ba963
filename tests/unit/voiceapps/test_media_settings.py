"""The rules of an application's media settings, and the console's form that applies them."""

from __future__ import annotations

import pytest
from django.forms.models import model_to_dict

from tests.unit.voiceapps.builders import application
from voiceapps.console.applications import ApplicationForm
from voiceapps.rules.cidr import MAX_SOURCE_RANGES
from voiceapps.rules.media_settings import check_keepalive, check_media_sources


@pytest.mark.parametrize("seconds", [0, 10, 25, 300])
def test_a_pause_within_its_bounds_passes(seconds: int) -> None:
    check_keepalive(seconds)


@pytest.mark.parametrize("seconds", [-1, 1, 9, 301])
def test_a_pause_beyond_its_bounds_is_named(seconds: int) -> None:
    with pytest.raises(ValueError, match="10-300"):
        check_keepalive(seconds)


def test_ranges_pass() -> None:
    check_media_sources(("198.51.100.0/24", "203.0.113.9/32"))


@pytest.mark.parametrize(
    ("ranges", "rule"),
    [
        (("0.0.0.0/0",), "Too wide"),
        (("10.0.0.0/8",), "private"),
        (("203.0.113.9",), "/32"),
        (("203.0.113.0/24", "203.0.113.0/24"), "more than once"),
        (tuple(f"203.0.{n}.0/24" for n in range(MAX_SOURCE_RANGES + 1)), "At most 25"),
    ],
)
def test_a_bad_range_is_named_with_its_rule(ranges: tuple[str, ...], rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        check_media_sources(ranges)


def filled(**changes: object) -> ApplicationForm:
    row = application()
    values = {name: value for name, value in model_to_dict(row).items() if value is not None}
    return ApplicationForm({**values, "media_source_ips": "", **changes}, instance=row)


@pytest.mark.django_db
def test_the_form_takes_ranges_that_are_separated_by_blanks() -> None:
    form = filled(media_source_ips="198.51.100.0/24, 203.0.113.9/32", keepalive="0", media_timeout="60")
    assert form.is_valid(), form.errors
    settings = form.settings()
    assert settings["media_source_ips"] == ["198.51.100.0/24", "203.0.113.9/32"]
    assert (settings["keepalive"], settings["media_timeout"], settings["mask_digits"]) == (0, 60, False)
    masking = filled(mask_digits="on")
    assert masking.is_valid(), masking.errors
    assert masking.settings()["mask_digits"] is True


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("field", "value"), [("media_source_ips", "0.0.0.0/0"), ("keepalive", "5"), ("media_timeout", "9"), ("media_learning", "all")]
)
def test_the_form_refuses_what_the_api_refuses(field: str, value: str) -> None:
    form = filled(**{field: value})
    assert set(form.errors) == {field}
