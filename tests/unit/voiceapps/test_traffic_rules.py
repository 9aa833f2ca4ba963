"""The ratios of ITU-T E.411."""

from __future__ import annotations

from voiceapps.rules.diagnosis.traffic import Traffic, added


def test_calls_that_ring_are_not_decided() -> None:
    traffic = Traffic(calls=10, decided=8, answered=6, talked=4, talk_ms=120_000)
    assert traffic.answer_ratio == 0.75
    assert traffic.average_talk == 30.0


def test_without_calls_there_is_no_ratio() -> None:
    assert added([]) == Traffic()
    assert Traffic().answer_ratio is None
    assert Traffic(calls=3, decided=3).answer_ratio == 0.0
    assert Traffic(calls=3, decided=3, answered=1).average_talk is None


def test_parts_are_added() -> None:
    assert added([Traffic(1, 2, 3, 4, 5), Traffic(10, 20, 30, 40, 50)]) == Traffic(11, 22, 33, 44, 55)
