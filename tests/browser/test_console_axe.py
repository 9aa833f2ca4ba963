"""axe-core on every page of the console, light and dark, wide and narrow: nothing is found in our templates."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.operator import HEIGHT, USUAL, put_on, script
from tests.browser.routes import ROUTES, Route
from tests.support import npm
from tests.support.fleet import Fleet

VERSION = "4.14.1"
NARROW = 390
NOWHERE = Route("a page that is not there", "nothing/")
WAYS = ((USUAL, "light"), (NARROW, "light"), (NARROW, "dark"))
"""How each page is looked at: colours are what a theme changes, and no width does."""


@dataclass(frozen=True)
class Known:
    """A finding inside the theme."""

    rule: str
    selector: str
    path: str
    """A page where it is."""
    reason: str


KNOWN = (Known("landmark-unique", ".simplebar-content-wrapper", "auth/user/", "Each bar of a scrolled list is a region of the same name."),)
"""What is left to the theme; one that is not found any more fails, too."""


@pytest.fixture(scope="module")
def axe() -> str:
    path = npm.installed("axe-core", VERSION) / "node_modules" / "axe-core" / "axe.min.js"
    return path.read_text(encoding="utf-8")


def findings(page: Page, axe: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield what is found on the page that is open, with the way in which it is shown."""
    page.evaluate(axe)
    known = [[one.rule, one.selector] for one in KNOWN]
    for width, theme in WAYS:
        page.set_viewport_size({"width": width, "height": HEIGHT})
        put_on(page, theme)
        for found in page.evaluate(script("axe"), [known, theme == "dark"]):
            yield f"{width} {theme}", found


def known_on(page: Page, axe: str, address: str) -> set[int]:
    """Return which known findings are on a page, and fail for any other."""
    page.goto(address)
    seen, faults = set(), []
    for way, found in findings(page, axe):
        seen.add(found["known"])
        if found["known"] == -1:
            faults.append(f"{way}: {found['rule']}: {found['html']} {found['why']}")
    assert not faults, "\n".join(faults)
    return seen


@pytest.mark.parametrize("route", (*ROUTES, NOWHERE), ids=str)
def test_no_page_shuts_anybody_out(tab: Page, web: Fleet, hostile: dict[str, str], axe: str, route: Route) -> None:
    known_on(tab, axe, web.http + route.at(hostile))


def test_what_is_known_is_still_there(tab: Page, web: Fleet, axe: str) -> None:
    for number, one in enumerate(KNOWN):
        assert number in known_on(tab, axe, f"{web.http}/console/{one.path}")


@pytest.mark.parametrize("path", ["login/", "second-factor/link/forged/"])
def test_the_way_in_shuts_nobody_out(browser: Browser, web: Fleet, axe: str, path: str) -> None:
    with browser.new_context() as stranger:
        assert known_on(stranger.new_page(), axe, f"{web.http}/console/{path}") == set()
