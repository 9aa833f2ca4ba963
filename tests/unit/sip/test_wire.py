"""Our own wire files against their table: how each is read."""

from __future__ import annotations

import pytest

from sipproxy.sip import PeerError, parse_message
from tests.conformance.oracle import read_field
from tests.unit.sip.wire import DATA, OK, Verdict, sample, verdicts

ALL = verdicts()
READ = [verdict for verdict in ALL if verdict.parse == OK]
REFUSED = [verdict for verdict in ALL if verdict.parse != OK]


def name_of(verdict: Verdict) -> str:
    return verdict.file


def test_the_table_and_the_files_belong_together() -> None:
    assert [verdict.file for verdict in ALL] == sorted(path.name for path in DATA.glob("*.sip"))


@pytest.mark.parametrize("verdict", READ, ids=name_of)
def test_a_parsed_message_is_serialised_as_it_came(verdict: Verdict) -> None:
    data = sample(verdict.file)
    message = parse_message(data)
    clean = data if b"\r" in data else data.replace(b"\n", b"\r\n")
    head = clean.lstrip(b"\r\n").partition(b"\r\n\r\n")[0]
    assert bytes(message).partition(b"\r\n\r\n")[0] == head.replace(b" sip/2.0", b" SIP/2.0")
    assert message.body in data
    again = parse_message(bytes(message))
    assert bytes(again) == bytes(message)


@pytest.mark.parametrize("verdict", [verdict for verdict in READ if verdict.fields], ids=name_of)
def test_fields_are_read_as_the_table_says(verdict: Verdict) -> None:
    message = parse_message(sample(verdict.file))
    read = {title: "|".join(read_field(message, f"sip.{title}")) for title in verdict.fields}
    assert read == verdict.fields


@pytest.mark.parametrize("verdict", REFUSED, ids=name_of)
def test_what_is_refused_gets_its_status(verdict: Verdict) -> None:
    with pytest.raises(PeerError) as caught:
        parse_message(sample(verdict.file))
    assert str(caught.value.status) == verdict.parse


@pytest.mark.parametrize("verdict", [verdict for verdict in ALL if verdict.broken], ids=name_of)
def test_a_broken_twin_differs_in_one_place_and_is_refused(verdict: Verdict) -> None:
    good = next(other for other in ALL if other.file == verdict.file.replace("_broken", ""))
    one, two = sample(good.file), sample(verdict.file)
    start = next(index for index in range(min(len(one), len(two)) + 1) if one[: index + 1] != two[: index + 1])
    rest = (one[start:], two[start:])
    end = next(
        index for index in range(min(map(len, rest)) + 1) if rest[0][len(rest[0]) - index - 1 :] != rest[1][len(rest[1]) - index - 1 :]
    )
    assert max(map(len, rest)) - end <= 50
    assert (good.parse, good.answer) != (verdict.parse, verdict.answer)
    assert good.parse == OK
