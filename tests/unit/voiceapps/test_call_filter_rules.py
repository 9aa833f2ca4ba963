"""The filter of calls: a link that is read, told what is wrong with it, and written again as it was."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiceapps.rules.diagnosis.call_filters import DEFAULT_SPAN, FIELDS, MAX_SPAN, AskedCalls, CallFilter, read
from voiceapps.rules.diagnosis.filter_fields import MAX_TYPED, Place, says_zones
from voiceapps.rules.diagnosis.verdicts import Level, VerdictCode

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
APP = "15f99d57-f823-4718-80cc-5d95d5b83e59"
OURS = "c-00000001-00000000-0000-4000-8000-000000000000"


def asked(**query: str) -> CallFilter:
    found = read(query, NOW)
    assert found.found is not None, found.errors
    return found.found


@pytest.mark.parametrize(
    ("query", "meaning"),
    [
        ({"app": APP}, {"application_id": UUID(APP)}),
        ({"account": "9900000"}, {"account_id": "9900000"}),
        ({"number": "49170*"}, {"prefix": "49170"}),
        ({"number": "+49 170*"}, {"prefix": "49170"}),
        ({"number": "4*"}, {"prefix": "4"}),
        ({"verdict": "no_audio"}, {"codes": (VerdictCode.NO_AUDIO,)}),
        ({"verdict": " cancelled "}, {"codes": (VerdictCode.CANCELLED,)}),
        ({"colour": "blue", "app": ""}, {}),
    ],
)
def test_each_field_is_read(query: dict[str, str], meaning: dict[str, object]) -> None:
    assert asked(**query) == replace(CallFilter(since=NOW - DEFAULT_SPAN), **meaning)  # type: ignore[arg-type]  # the fields named


@pytest.mark.parametrize(
    ("query", "meaning"),
    [
        ({"ip": "203.0.113.9"}, {"source_ip": "203.0.113.9"}),
        ({"number": "+1 (415) 555-0100"}, {"number": "14155550100"}),
        ({"number": "tel:+1-415-555-0100;ext=1"}, {"number": "14155550100"}),
        ({"id": OURS}, {"call_id": OURS}),
        ({"id": "c-abc@198.51.100.7"}, {"sip_call_id": "c-abc@198.51.100.7"}),
    ],
)
def test_an_exact_key_needs_no_span(query: dict[str, str], meaning: dict[str, object]) -> None:
    assert asked(**query) == replace(CallFilter(), **meaning)  # type: ignore[arg-type]  # likewise
    assert asked(**query, since="2020-01-01", until="2026-01-01").has_exact_key


@pytest.mark.parametrize("level", ["bad", "doubtful", "good"])
def test_a_level_is_all_of_its_verdicts(level: str) -> None:
    assert set(asked(verdict=level).codes) == {code for code in VerdictCode if code.level == Level(level)}


@pytest.mark.parametrize(
    ("text", "when"),
    [
        ("15m", NOW - timedelta(minutes=15)),
        ("24h", NOW - timedelta(hours=24)),
        ("7d", NOW - timedelta(days=7)),
        ("2026-11-29", datetime(2026, 11, 29, tzinfo=UTC)),
        ("2026-11-29T10:05", datetime(2026, 11, 29, 10, 5, tzinfo=UTC)),
        ("2026-11-29 10:05:06", datetime(2026, 11, 29, 10, 5, 6, tzinfo=UTC)),
        ("2026-11-29T10:05:00+02:00", datetime(2026, 11, 29, 8, 5, tzinfo=UTC)),
        ("2026-11-29T10:05:00 02:00", datetime(2026, 11, 29, 8, 5, tzinfo=UTC)),
        ("2026-11-29T10:05:00Z", datetime(2026, 11, 29, 10, 5, tzinfo=UTC)),
        ("2026-11-29 10:05:00 UTC", datetime(2026, 11, 29, 10, 5, tzinfo=UTC)),
        ("2026-11-29 10:05:00 +01:00", datetime(2026, 11, 29, 9, 5, tzinfo=UTC)),
    ],
)
def test_times_are_points_or_so_long_ago(text: str, when: datetime) -> None:
    assert asked(since=text).since == when


def test_a_time_without_a_zone_is_meant_in_the_one_that_is_shown() -> None:
    query = {"since": "2026-11-29T10:05", "until": "2026-11-29 11:00:00 UTC"}
    here = read(query, NOW.astimezone(ZoneInfo("Europe/Berlin")))
    assert here.found is not None
    assert here.found.since == datetime(2026, 11, 29, 9, 5, tzinfo=UTC)
    assert here.given == {"since": "2026-11-29T10:05:00+01:00", "until": "2026-11-29 11:00:00 UTC"}
    assert read(dict(parse_qsl(here.query())), NOW) == here
    assert read(query, NOW).given["since"] == "2026-11-29T10:05:00Z"
    assert (says_zones(query, here), says_zones(here.given, here), says_zones({}, read({}, NOW))) == (False, True, True)


def test_until_alone_moves_the_span() -> None:
    assert asked(until="7d") == CallFilter(since=NOW - timedelta(days=8), until=NOW - timedelta(days=7))


@pytest.mark.parametrize(
    ("query", "field", "part"),
    [
        ({"app": "x"}, "app", "application's id"),
        ({"account": "99a"}, "account", "digits"),
        ({"account": "9" * 17}, "account", "16"),
        ({"ip": "203.0.113"}, "ip", "IPv4"),
        ({"ip": "203.0.113.0/24"}, "ip", "prefix length"),
        ({"ip": "::1"}, "ip", "IPv6"),
        ({"number": "bob"}, "number", "49170*"),
        ({"number": "12"}, "number", "3 to 32"),
        ({"number": "*"}, "number", "asterisk"),
        ({"number": "4*9*"}, "number", "asterisk"),
        ({"verdict": "going_on"}, "verdict", "no such"),
        ({"verdict": "worse"}, "verdict", "no such"),
        ({"since": "yesterday"}, "since", "15m"),
        ({"since": "0001-01-01T00:00:00+14:00"}, "since", "15m"),
        ({"until": "2026-13-01"}, "until", "15m"),
        ({"since": "1h", "until": "2h"}, "since", "before"),
        ({"until": "0001-01-01T00:00:00Z"}, "since", "before"),
        ({"since": "32d"}, "since", "31 days"),
        ({"since": "32d", "app": APP, "number": "49*", "verdict": "bad"}, "since", "31 days"),
        ({"id": "a\0b"}, "id", "such a character"),
        ({"id": "x" * (MAX_TYPED + 1)}, "id", "512"),
    ],
)
def test_what_is_wrong_is_told_by_its_field(query: dict[str, str], field: str, part: str) -> None:
    found = read(query, NOW)
    assert found.found is None
    assert part in found.errors[field]
    assert found.given == query


def test_each_bad_field_is_told_at_once() -> None:
    assert read({"app": "x", "ip": "y", "account": "9900000"}, NOW).errors.keys() == {"app", "ip"}


def test_the_longest_span_is_taken() -> None:
    assert asked(since="31d").since == NOW - MAX_SPAN


def test_a_filter_is_a_link() -> None:
    found = read({"number": " +49 170* ", "since": "7d", "page": "3"}, NOW)
    assert found.query() == "number=%2B49+170%2A&since=7d"
    assert found.query(verdict="bad", since="") == "number=%2B49+170%2A&verdict=bad"
    assert found.is_personal
    assert not read({"app": APP}, NOW).is_personal


@given(st.dictionaries(st.sampled_from(FIELDS), st.text()))
def test_whatever_is_typed_is_a_filter_or_an_error_and_stays_the_same(query: dict[str, str]) -> None:
    found = read(query, NOW)
    assert (found.found is None) == bool(found.errors)
    again = read(dict(parse_qsl(found.query())), NOW)
    assert again == AskedCalls(found.given, found.found, found.errors)


def test_a_place_is_read_as_it_is_written() -> None:
    place = Place(datetime(2026, 11, 30, 12, 0, 0, 123456, tzinfo=UTC), OURS)
    assert Place.parse(str(place)) == place


@pytest.mark.parametrize("text", ["", "1", ".", "x.c", "-1.c", "9" * 18 + ".c", "1.\0", "1.\u202e", "٣.c"])
def test_what_is_no_place_is_told(text: str) -> None:
    with pytest.raises(ValueError, match="Not a place"):
        Place.parse(text)
