"""axe-core on every page of the console, light and dark, wide and narrow: nothing is found in our templates."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.operator import HEIGHT, THEMES, USUAL, put_on, script
from tests.browser.routes import routes
from tests.support import npm
from tests.support.fleet import Fleet

VERSION = "4.14.1"
NARROW = 390


@dataclass(frozen=True)
class Known:
    """A finding inside the theme."""

    rule: str
    selector: str
    reason: str


KNOWN = (Known("landmark-unique", ".simplebar-content-wrapper", "Each bar of a scrolled list is a region of the same name."),)
"""What is left to the theme; one that is not found any more fails, too."""


@pytest.fixture(scope="module")
def axe() -> str:
    path = npm.installed("axe-core", VERSION) / "node_modules" / "axe-core" / "axe.min.js"
    return path.read_text(encoding="utf-8")


def findings(page: Page, axe: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield what is found on the page that is open, with the way in which it is shown."""
    page.evaluate(axe)
    known = [[one.rule, one.selector] for one in KNOWN]
    for width in (USUAL, NARROW):
        page.set_viewport_size({"width": width, "height": HEIGHT})
        for theme in THEMES:
            put_on(page, theme)
            for found in page.evaluate(script("axe"), [known, theme == "dark"]):
                yield f"{width} {theme}", found
    page.set_viewport_size({"width": USUAL, "height": HEIGHT})


def seen_on(page: Page, axe: str, addresses: Iterable[str]) -> set[int]:
    """Return which known findings are on pages, and fail for any other."""
    seen, faults = set(), []
    for address in addresses:
        page.goto(address)
        for way, found in findings(page, axe):
            seen.add(found["known"])
            if found["known"] == -1:
                faults.append(f"{address[:80]} {way}: {found['rule']}: {found['html']} {found['why']}")
    assert not faults, "\n".join(faults)
    return seen


@pytest.mark.timeout(400)
def test_no_page_shuts_anybody_out(page: Page, web: Fleet, hostile: dict[str, str], axe: str) -> None:
    addresses = (web.http + path for path in (*(route.path for route in routes(hostile)), "/console/nothing/"))
    assert seen_on(page, axe, addresses) == set(range(len(KNOWN)))


def test_the_way_in_shuts_nobody_out(browser: Browser, web: Fleet, axe: str) -> None:
    with browser.new_context() as stranger:
        assert seen_on(stranger.new_page(), axe, [f"{web.http}/console/login/", f"{web.http}/console/second-factor/link/forged/"]) == set()
