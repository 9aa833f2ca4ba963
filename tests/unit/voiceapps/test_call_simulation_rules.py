"""What the script of a simulated call may hold."""

from __future__ import annotations

import pytest

from voiceapps.rules.trials.call_simulation import MAX_TURNS, Script, ScriptError


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ([], "script: Must be an object."),
        ({"to": "x"}, "script: There is no 'to'; it may have from, hangUpAt, turns."),
        ({"from": 7}, "from: Must be a string of at most 1024 characters."),
        ({"turns": {}}, "turns: Must be an array of at most 100."),
        ({"turns": [{}] * (MAX_TURNS + 1)}, "turns: Must be an array of at most 100."),
        ({"turns": [{}, "1"]}, "turns[1]: Must be an object."),
        ({"turns": [{"digits": "1x"}]}, "turns[0].digits: May hold at most 50 of 0-9, A-D, * and #."),
        ({"turns": [{"seconds": True}]}, "turns[0].seconds: Must be a number of seconds from 0 to 600."),
        ({"turns": [{"seconds": float("nan")}]}, "turns[0].seconds: Must be a number of seconds from 0 to 600."),
        ({"hangUpAt": -1}, "hangUpAt: Must be a number of seconds from 0 to 36000."),
    ],
)
def test_scripts_that_break_a_rule(data: object, sentence: str) -> None:
    with pytest.raises(ScriptError) as caught:
        Script.parse(data)
    assert str(caught.value) == sentence
