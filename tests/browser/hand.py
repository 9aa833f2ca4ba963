"""An operator's hand: every press of a button, a link or a row goes through it, and is counted."""

from __future__ import annotations

from playwright.sync_api import Locator, Page, expect

MAX_TABS = 60


class Hand:
    """Works on one task, from the overview; fails when it has pressed more often than the task allows."""

    def __init__(self, page: Page, task: int, most: int) -> None:
        self.page = page
        self.clicks = 0
        self._task = task
        self._most = most

    def click(self, what: Locator) -> None:
        """Press something."""
        self.clicks += 1
        assert self.clicks <= self._most, f"Task {self._task} takes {self.clicks} clicks, and {self._most} at most are allowed."
        what.click()

    def find(self, text: str, hit: str) -> None:
        """Search by the keyboard alone, and open what was found."""
        self.page.keyboard.press("Control+k")
        field = self.page.get_by_role("searchbox", name="Search")
        field.fill(text)
        for _ in range(MAX_TABS):
            chosen = self.page.locator("#command-results-list li.sipuri-chosen")
            expect(chosen).to_have_count(1)
            if hit in chosen.inner_text():
                field.press("Enter")
                return
            field.press("ArrowDown")
        raise AssertionError(f"{hit} is not found by {text}.")

    def fill(self, field: Locator, text: str) -> None:
        """Go to a field by the tabulator, and type."""
        for _ in range(MAX_TABS):
            if field.evaluate("field => field === document.activeElement"):
                self.page.keyboard.press("Control+a")
                self.page.keyboard.type(text)
                return
            self.page.keyboard.press("Tab")
        raise AssertionError(f"No tabulator leads to {field}.")
