"""Files that other programs read: nothing in a cell is computed, and each row is one."""

from __future__ import annotations

import csv
import io
import json

import pytest

from voiceapps.rules.diagnosis.tables import csv_lines, heading, json_lines


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", '=HYPERLINK("http://a.example")'])
def test_what_a_spreadsheet_would_compute_gets_an_apostrophe(text: str) -> None:
    ((cell,),) = csv.reader(io.StringIO(csv_lines([{"a": text}]), newline=""))
    assert cell == "'" + text


def test_other_values_stay_as_they_are() -> None:
    rows = [{"a": "sip:+1@x", "b": -1.5, "c": None, "d": 'quoted ", \r\n and more'}]
    assert list(csv.reader(io.StringIO(csv_lines(rows), newline=""))) == [["sip:+1@x", "-1.5", "", 'quoted ", \r\n and more']]
    assert heading(["a", "b"]) == "a,b\r\n"
    assert csv_lines([]) == json_lines([]) == ""


def test_json_is_one_object_a_line_in_ascii() -> None:
    text = json_lines([{"a": "=1\n\u202e"}, {"a": None}])
    assert text.isascii()
    assert [json.loads(line) for line in text.splitlines()] == [{"a": "=1\n\u202e"}, {"a": None}]
