"""Reports as lines: what is read is what was written."""

from __future__ import annotations

from dataclasses import fields
from typing import get_args

import pytest
from cryptography.fernet import Fernet
from hypothesis import given, settings
from hypothesis import strategies as st

from voiceapps.daemon.report_lines import from_line, to_line
from voiceapps.rules.reports import CallFacts, LadderMessage, Report, StatusEventQueued, TranscriptionWanted

CIPHER = Fernet(Fernet.generate_key())
CALL = CallFacts("c-1", "app", "9900000", "a@b", "sip:a@b", "sip:c@d", "203.0.113.9", 5060, None, 1.5)
EVENT = StatusEventQueued(CALL, "gather", 1.0, "https://a.example/", "POST", "user", "pass-word", {"eventType": "gather", "n": [1, None]})
WANTED = TranscriptionWanted(CALL, "r-1", "t-1", 1.0, "https://a.example/", "POST", "user", "pass-word", "")
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


def strategy_of(kind: type) -> st.SearchStrategy[Report]:
    """Return reports of a kind with any values in their fields, but with the body of a webhook as JSON has it."""
    given_ones = {"body": st.dictionaries(texts, st.none() | texts | st.integers(-(2**53), 2**53), max_size=3)}
    finite = st.floats(allow_nan=False, allow_infinity=False)
    st.register_type_strategy(float, finite)
    st.register_type_strategy(str, texts)
    st.register_type_strategy(int, st.integers(-(2**53), 2**53))
    return st.builds(kind, **{name: made for name, made in given_ones.items() if name in {field.name for field in fields(kind)}})


@pytest.mark.parametrize("kind", get_args(Report), ids=lambda kind: kind.__name__)
def test_a_line_holds_the_whole_report(kind: type) -> None:
    @settings(max_examples=30, deadline=None)
    @given(strategy_of(kind), st.integers(1, 2**40))
    def check(report: Report, number: int) -> None:
        line = to_line(number, report, CIPHER)
        assert line.count(b"\n") == 1
        assert line.endswith(b"\n")
        assert from_line(line, CIPHER) == (number, report)

    check()


@pytest.mark.parametrize("report", [EVENT, WANTED], ids=lambda report: type(report).__name__)
def test_a_password_is_not_on_the_disk_in_clear(report: Report) -> None:
    line = to_line(1, report, CIPHER)
    assert b"pass-word" not in line
    assert b"a.example" not in line
    assert from_line(line, CIPHER) == (1, report)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"[1]\n",
        b'[1,"Unheard",{}]\n',
        b'[1,"CallEnded",{}]\n',
        b'[1,"LadderMessage",{"call_id":1}]\n',
        to_line(1, EVENT, CIPHER)[:-20] + b"\n",
        to_line(1, EVENT, Fernet(Fernet.generate_key())),
    ],
)
def test_what_is_no_line_of_ours_is_a_value_error(line: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        from_line(line, CIPHER)


def test_what_is_no_unicode_is_a_value_error() -> None:
    with pytest.raises(ValueError, match=r"."):
        to_line(1, LadderMessage("c-1", 1.0, "caller", "a:1", "b:2", "\udcff", ""), CIPHER)
