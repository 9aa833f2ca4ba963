from __future__ import annotations

from callflow.audio.digit_method import DigitMethod, DigitMethodChoice


def test_the_first_method_that_works_is_kept_until_media_is_negotiated_again() -> None:
    choice = DigitMethodChoice()
    assert [choice.admits(method) for method in (DigitMethod.INFO, DigitMethod.EVENT, DigitMethod.INFO)] == [True, False, True]
    choice.reset()
    assert [choice.admits(method) for method in (DigitMethod.EVENT, DigitMethod.INFO, DigitMethod.EVENT)] == [True, False, True]
