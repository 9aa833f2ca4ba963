"""Every page of the console, with the worst that strangers can send: nothing widens, hides, runs or leaves, and the page still answers."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.hostile import WORST
from tests.browser.operator import HEIGHT, WIDTHS, expect_to_fit, script
from tests.browser.routes import ALIKE, NO_PAGES, ROUTES, Route
from tests.support.fleet import Fleet
from tests.unit.voiceapps.test_console_matrix import PAGES


def test_each_page_has_a_route() -> None:
    pages = {name for name, page in PAGES.items() if page.method == "get" and page.answers == 200 and not page.nobody}
    assert pages - {route.name for route in ROUTES} - ALIKE.keys() - NO_PAGES == set()


@pytest.mark.parametrize("route", ROUTES, ids=str)
def test_hostile_text_stays_in_its_place(tab: Page, web: Fleet, hostile: dict[str, str], route: Route) -> None:
    answer = tab.goto(web.http + route.at(hostile))
    assert answer
    assert answer.status == 200
    found: list[str] = tab.evaluate(script("read"))
    for width in WIDTHS:
        tab.set_viewport_size({"width": width, "height": HEIGHT})
        found += [f"at {width}: {fault}" for fault in tab.evaluate(script("look"), [route.says, width])]
    assert not found, "\n".join(found)


def test_the_palette_shows_hostile_text_in_its_place(page: Page, web: Fleet, hostile: dict[str, str]) -> None:
    page.goto(f"{web.http}/console/")
    page.keyboard.press("Control+k")
    for sought, says in (("203.0.113.9", "Refused attempts from"), ("onerror", "application of account")):
        page.get_by_role("searchbox", name="Search").fill(sought)
        expect(page.get_by_text(says).first).to_be_visible()
        assert page.evaluate(script("read")) == []
        expect_to_fit(page)


def test_what_is_typed_comes_back_in_its_place(page: Page, web: Fleet, hostile: dict[str, str]) -> None:
    def expect_in_place(says: str) -> None:
        expect(page.get_by_text(says).first).to_be_visible()
        assert page.evaluate(script("read")) == []
        expect_to_fit(page)

    page.goto(f"{web.http}/console/bench/")
    page.get_by_label("Document", exact=True).fill(f"<Response>{WORST}</Response>")
    page.locator("#bxml").get_by_role("button", name="Check").click()
    expect_in_place("A call would not run it")
    page.goto(f"{web.http}/console/security/")
    page.get_by_label("Source address").fill(WORST[:200])
    page.get_by_role("button", name="Ban", exact=True).click()
    expect_in_place("Write an IPv4 address")
    page.goto(f"{web.http}/console/apps/{hostile['application']}/?tab=settings")
    page.get_by_label("Callback URL for new calls").fill(WORST)
    page.get_by_role("button", name="Save", exact=True).click()
    expect_in_place("Nothing is saved yet")
    page.goto(f"{web.http}/console/calls/")
    page.get_by_label("Keep this filter as").fill(WORST[:70])
    page.get_by_role("button", name="Keep").click()
    expect_in_place("A name has 1 to 60 characters.")
