"""What our own phone is told to do in a call that it places, and what is said of the outcome."""

from __future__ import annotations

import pytest

from voiceapps.rules.diagnosis.verdicts import Level
from voiceapps.rules.trials.placed_call import MAX_GROUPS, MAX_SECONDS, Dialling, DiallingError, Outcome, SipLine

ANSWERED = Outcome("203.0.113.5:6160", "203.0.113.6:41000", 200, "OK", 0.25, 4.0, "remote", 0.5, 200, 1, (SipLine(0.0, "out", "INVITE"),))


def test_digits_are_pressed_in_groups() -> None:
    assert Dialling.parse({"digits": " 1  4711# a*", "seconds": "9"}) == Dialling(("1", "4711#", "A*"), 9)
    assert Dialling.parse({}) == Dialling((), 30)


@pytest.mark.parametrize(
    ("form", "field"),
    [
        ({"digits": "1 x"}, "Digits"),
        ({"digits": "1" * 51}, "Digits"),
        ({"digits": "1 " * (MAX_GROUPS + 1)}, "Digits"),
        ({"seconds": "0"}, "Seconds"),
        ({"seconds": str(MAX_SECONDS + 1)}, "Seconds"),
        ({"seconds": "1.5"}, "Seconds"),
        ({"seconds": "٣"}, "Seconds"),
        ({"seconds": "1" * 5000}, "Seconds"),
    ],
)
def test_what_breaks_a_rule_names_its_field(form: dict[str, str], field: str) -> None:
    with pytest.raises(DiallingError, match=field):
        Dialling.parse(form)


def test_what_the_form_says_is_read_again() -> None:
    dialling = Dialling(("12", "#"), 5)
    assert Dialling.parse(dialling.as_form()) == dialling


def test_an_outcome_is_kept_without_its_audio() -> None:
    kept = ANSWERED.dump()
    assert Outcome.load(kept) == ANSWERED
    assert Outcome.load(kept, b"\xff").heard == b"\xff"


@pytest.mark.parametrize(
    ("changes", "level", "title"),
    [
        ({}, Level.GOOD, "was heard"),
        ({"first_sound": None}, Level.DOUBTFUL, "only silence"),
        ({"first_sound": None, "packets": 0}, Level.BAD, "no audio came"),
        ({"answered_after": None, "status": 403, "reason": "Forbidden"}, Level.BAD, "403 Forbidden"),
        ({"answered_after": None, "status": 599, "reason": "Odd"}, Level.BAD, "599 Odd"),
        ({"problem": "No SIP proxy answered."}, Level.BAD, "could not be placed"),
    ],
)
def test_an_answer_alone_is_not_good(changes: dict[str, object], level: Level, title: str) -> None:
    finding = Outcome(**{name: changes.get(name, getattr(ANSWERED, name)) for name in Outcome.__slots__}).finding  # type: ignore[arg-type]  # its own fields
    assert finding.level is level
    assert title in finding.title
    assert bool(finding.hint) == (level is not Level.GOOD)
