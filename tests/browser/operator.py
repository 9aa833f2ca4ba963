"""An operator's browser: Chromium, a log-in, and a watch for what pages of the console must not do."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Request, expect, sync_playwright

from tests.support.fleet import Fleet

CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WIDTHS = (390, 768, 1280, 1920)
HEIGHT = 900
USUAL = 1280
PASSWORD = "operator"  # noqa: S105  # as the fleet makes its operator
THEMES = ("light", "dark")
SCRIPTS = Path(__file__).parents[1] / "data" / "browser"
_TELL = """
document.addEventListener("securitypolicyviolation", event => {
  if (location.pathname.startsWith("/console/")) tellViolation(`${location.pathname}: ${event.violatedDirective} ${event.blockedURI}`);
});
"""


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start Debian's Chromium."""
    if not Path(CHROMIUM).exists():
        pytest.fail("This test needs Debian's chromium: apt-get install --no-install-recommends chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=SCRIPTS / "chromium.sh", args=FLAGS)
        yield browser
        browser.close()


def session(browser: Browser, web: Fleet, name: str = "admin", password: str = PASSWORD) -> BrowserContext:
    """Return a session of its own in which an operator is logged in."""
    context = browser.new_context(viewport={"width": USUAL, "height": HEIGHT})
    page = context.new_page()
    log_in(page, web, name, password)
    close(page)
    return context


def close(page: Page) -> None:
    """Close a page that is loaded: Chromium has been seen never to tell that one is closed which it was still loading."""
    page.wait_for_load_state()
    page.close()


def log_in(page: Page, web: Fleet, name: str = "admin", password: str = PASSWORD) -> None:
    """Give name and password, and wait for what follows: the overview, or the second factor."""
    page.goto(f"{web.http}/console/")
    page.fill("input[name=username]", name)
    page.fill("input[name=password]", password)
    page.click("button[type=submit]")
    expect(page.locator("input[name=password]")).to_have_count(0)


class Watch:
    """Notes errors of scripts, requests to other hosts and breaches of the policy, in all pages of a session that are opened later."""

    def __init__(self, context: BrowserContext, web: Fleet) -> None:
        self.violations: list[str] = []
        """What broke the policy of one of the console's pages, as the browser reports it."""
        self._errors: list[str] = []
        self._left: list[str] = []
        self._blocked: set[str] = set()
        self._home = f"{web.http}/"
        context.expose_function("tellViolation", self._note_violation)
        context.add_init_script(_TELL)
        context.on("weberror", lambda error: self._errors.append(str(error.error)))
        context.on("request", self._note_request)
        context.on("requestfailed", self._note_failure)

    def expect_nothing(self) -> None:
        """Fail if anything was noted since the last time that this was asked."""
        left = [url for url in self._left if url not in self._blocked]
        noted = {"errors": [*self._errors], "left the host": left, "broke the policy": [*self.violations]}
        for seen in (self._errors, self._left, self.violations):
            seen.clear()
        assert not any(noted.values()), noted

    def _note_violation(self, text: str) -> None:
        self.violations.append(text)

    def _note_request(self, request: Request) -> None:
        if not request.url.startswith((self._home, "data:", "blob:")):
            self._left.append(request.url)

    def _note_failure(self, request: Request) -> None:
        """Note what the policy held back: it never left."""
        if request.failure == "csp":
            self._blocked.add(request.url)


@cache
def script(name: str) -> str:
    """Return a function for `Page.evaluate`, from `tests/data/browser/`."""
    return (SCRIPTS / f"{name}.js").read_text(encoding="utf-8").partition("\n")[2]


def expect_to_fit(page: Page, widths: tuple[int, ...] = WIDTHS) -> None:
    """Nothing is wider than the screen, whatever that is."""
    for width in widths:
        page.set_viewport_size({"width": width, "height": HEIGHT})
        assert page.evaluate("document.documentElement.scrollWidth") <= width, (page.url, width)
    page.set_viewport_size({"width": USUAL, "height": HEIGHT})


def put_on(page: Page, theme: str) -> None:
    """Show a page light or dark."""
    page.evaluate("theme => document.documentElement.classList.toggle('dark', theme === 'dark')", theme)


def snap(page: Page, name: str) -> None:
    """Keep pictures where SIPURI_SCREENSHOTS says: light and dark, wide and narrow."""
    directory = os.environ.get("SIPURI_SCREENSHOTS")
    if not directory:
        return
    for width in (USUAL, 390):
        page.set_viewport_size({"width": width, "height": HEIGHT})
        for theme in THEMES:
            put_on(page, theme)
            page.screenshot(path=f"{directory}/{name}-{width}-{theme}.png", full_page=True)
    put_on(page, "light")
    page.set_viewport_size({"width": USUAL, "height": HEIGHT})
