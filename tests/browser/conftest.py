"""What the browser's tests share: a web role for each module, and an operator who is logged in."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser.operator import Watch, chromium, close, session
from tests.browser.seeds import store_call
from tests.support.fleet import Application, Fleet


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    fleet = Fleet(tmp_path_factory.mktemp("web"), ("web",))
    fleet.start()
    yield fleet
    fleet.stop()


@pytest.fixture(scope="module")
def application(web: Fleet) -> Application:
    return web.application()


@pytest.fixture(scope="module")
def call_id(web: Fleet, application: Application) -> str:
    return store_call(web, application)


@pytest.fixture(scope="module")
def hostile(web: Fleet, application: Application, operator: BrowserContext) -> dict[str, str]:
    """The keys of one of everything, with the worst that strangers can send in it; the texts of its call's messages are open."""
    code = f"from tests.browser.hostile import fill\nresult = fill({application.application_id!r})"
    keys: dict[str, str] = web.python(code)
    page = operator.new_page()
    page.goto(f"{web.http}/console/calls/{keys['call']}/?tab=ladder")
    button = page.get_by_role("button", name="Show the text of the messages")
    button.click()
    expect(button).to_have_count(0)
    close(page)
    return keys


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def operator(browser: Browser, web: Fleet) -> BrowserContext:
    """A session of the installation's admin."""
    return session(browser, web)


@pytest.fixture(scope="module")
def watch(operator: BrowserContext, web: Fleet) -> Watch:
    return Watch(operator, web)


@pytest.fixture
def page(operator: BrowserContext, watch: Watch) -> Iterator[Page]:
    """A page that loads nothing from elsewhere, breaks no policy and raises no script error."""
    page = operator.new_page()
    yield page
    close(page)
    watch.expect_nothing()


@pytest.fixture(scope="module")
def _tab(operator: BrowserContext, watch: Watch) -> Iterator[Page]:
    page = operator.new_page()
    yield page
    close(page)


@pytest.fixture
def tab(_tab: Page, watch: Watch) -> Iterator[Page]:
    """A page as `page` is, but the same one for all tests of a module: to open one takes as long as to look at what it shows."""
    yield _tab
    watch.expect_nothing()
