"""The bench of the console asks every page: a new one is asked, or says why it is not."""

from __future__ import annotations

from string import Formatter
from uuid import UUID

from django.urls import resolve

from bench.console.questions import RECORDS, UNASKED, questions
from tests.unit.voiceapps.test_console_matrix import PAGES, SEEN

SINGLE = ("_change", "_add", "_delete", "_history")
"""The theme's pages of one record."""


def asked() -> set[str]:
    names = {name for question in questions() for _, name, _, _ in Formatter().parse(question.path) if name}
    dummies = dict.fromkeys(names, str(UUID(int=1)))
    return {resolve(question.url(dummies).partition("?")[0]).view_name for question in questions()}


def test_every_page_that_answers_get_is_asked() -> None:
    records = {f"admin:{name}{kind}" for name in SEEN for kind in SINGLE}
    pages = {name for name, page in PAGES.items() if page.method == "get"} - records
    assert pages - asked() == UNASKED.keys() - records
    assert UNASKED.keys() & asked() == set()


def test_no_two_questions_share_a_name() -> None:
    names = [question.name for question in questions()]
    assert sorted(set(names)) == sorted(names)
    assert len(RECORDS) == len({path for path, *_ in RECORDS.values()})
