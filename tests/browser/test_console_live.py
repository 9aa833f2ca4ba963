"""The parts of the console that live, in Chromium: they follow, stand still when told to, and say which of it they do."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.browser.operator import expect_to_fit, log_in
from tests.support.fleet import Application, Fleet

CALL = """
import time
from voiceapps.rules.reports import *
from voiceapps.services.reports import write_reports
call = CallFacts("c-{number:08x}-00000000-0000-4000-8000-000000000001", {app!r}, "9900000", "abc", "sip:+4930123456{number}@trunk.example",
    "sip:x@y", "203.0.113.9", 5060, "US", time.time())
write_reports([CallAdmitted(call, "proxy")])
result = call.call_id
"""

SIMULATE = """
from voiceapps.models import VoiceApplication
from voiceapps.rules.trials.call_simulation import Script
from voiceapps.services.audit import Actor
from voiceapps.services.trials import simulations
row = VoiceApplication.objects.get(pk={app!r})
result = str(simulations.order(row, Script.parse({{}}), actor=Actor("test")).pk)
"""
SIMULATED = """
from voiceapps.rules.trials.call_simulation import SimulatedCall
from voiceapps.services.trials import simulations
result = [simulations.store(one.simulation_id, SimulatedCall((), None)) for one in simulations.claim(9)]
"""


def place(web: Fleet, application: Application, number: int) -> str:
    call_id: str = web.python(CALL.format(number=number, app=application.application_id))
    return call_id


def polls(page: Page) -> list[dict[str, str]]:
    """Return the headers of the polls of a page, to which later ones are added."""
    seen: list[dict[str, str]] = []
    page.on("request", lambda request: seen.append(request.headers) if "live=1" in request.url else None)
    return seen


def test_the_overview_follows(page: Page, web: Fleet, application: Application) -> None:
    page.goto(f"{web.http}/console/")
    tile = page.locator(".sipuri-tile", has_text="Live calls")
    expect(tile).to_contain_text("0")
    expect(page.get_by_role("status")).to_contain_text("Live")
    place(web, application, 1)
    expect(tile).to_contain_text("1", timeout=10_000)


def test_what_has_not_changed_is_not_sent_again(page: Page, web: Fleet) -> None:
    with page.expect_response(lambda answer: "live=1" in answer.url and answer.status == 304, timeout=15_000) as answer:
        page.goto(f"{web.http}/console/live/")
    headers = answer.value.request.headers
    assert headers["hx-request"] == "true"
    assert headers["if-none-match"]


def test_a_paused_page_asks_for_nothing_until_it_goes_on(page: Page, web: Fleet, application: Application) -> None:
    page.goto(f"{web.http}/console/live/")
    with page.expect_response(lambda answer: "live=1" in answer.url):
        pass
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("status")).to_contain_text("Paused")
    seen = polls(page)
    call_id = place(web, application, 2)
    # Longer than any poll waits.
    page.clock.install()
    page.clock.run_for(10_000)
    assert seen == []
    expect(page.locator(f"[id='call-{call_id}']")).to_have_count(0)
    page.get_by_role("button", name="Go on").click()
    expect(page.locator(f"[id='call-{call_id}']")).to_be_visible(timeout=10_000)
    expect(page.get_by_role("status")).to_contain_text("Live")


def test_a_hidden_page_is_paused(page: Page, web: Fleet) -> None:
    page.goto(f"{web.http}/console/live/")
    hide = (
        "Object.defineProperty(document, 'hidden', {value: %s, configurable: true}); document.dispatchEvent(new Event('visibilitychange'))"
    )
    page.evaluate(hide % "true")
    expect(page.get_by_role("status")).to_contain_text("Paused while the page is hidden")
    with page.expect_response(lambda answer: "live=1" in answer.url):
        page.evaluate(hide % "false")
    expect(page.get_by_role("status")).to_contain_text("Live")


def test_a_server_that_does_not_answer_is_noticed(page: Page, web: Fleet) -> None:
    page.goto(f"{web.http}/console/live/")

    def drop(route: Route) -> None:
        route.abort()

    page.route("**/*live=1*", drop)
    expect(page.get_by_role("status")).to_contain_text("No answer: trying again", timeout=10_000)


def test_what_has_ended_is_not_asked_for_any_more(page: Page, web: Fleet, application: Application) -> None:
    number = web.python(SIMULATE.format(app=application.application_id))
    page.goto(f"{web.http}/console/voiceapps/callsimulation/{number}/change/")
    expect(page.get_by_role("status")).to_contain_text("Live")
    web.python(SIMULATED)
    expect(page.get_by_role("status")).to_contain_text("Nothing changes here any more", timeout=10_000)
    expect(page.locator("[data-live-part]")).to_contain_text("ended well")
    expect(page.get_by_role("button", name="Pause")).to_be_hidden()
    seen = polls(page)
    page.clock.install()
    page.clock.run_for(10_000)
    assert seen == []


def test_who_is_logged_out_is_told_to_load_the_page(page: Page, web: Fleet) -> None:
    page.goto(f"{web.http}/console/live/")
    cookies = page.context.cookies()
    page.context.clear_cookies()
    expect(page.get_by_role("status")).to_contain_text("Load the page again", timeout=10_000)
    expect(page.locator("input[name=password]")).to_have_count(0)
    page.context.add_cookies(cookies)  # type: ignore[arg-type]  # what it gives is what it takes


def test_the_keyboard_stays_where_it_is(page: Page, web: Fleet, application: Application) -> None:
    call_id = place(web, application, 3)
    page.goto(f"{web.http}/console/live/")
    link = page.locator(f"[id='end-{call_id}']")
    link.focus()
    other = place(web, application, 4)
    expect(page.locator(f"[id='end-{other}']")).to_be_visible(timeout=10_000)
    expect(link).to_be_focused()


@pytest.mark.parametrize("path", ["/console/", "/console/live/"])
def test_no_width_is_too_narrow(page: Page, web: Fleet, application: Application, path: str) -> None:
    place(web, application, 5)
    page.goto(f"{web.http}{path}")
    expect_to_fit(page)


def test_times_follow_the_zone_of_the_browser(browser: Browser, web: Fleet) -> None:
    with browser.new_context(timezone_id="Asia/Tokyo") as context:
        mine = context.new_page()
        log_in(mine, web)
        expect(mine.locator("[data-live-since]")).to_contain_text("UTC")
        mine.get_by_role("link", name="Times in UTC: change the zone").click()
        mine.get_by_role("button", name="The browser's: Asia/Tokyo").click()
        expect(mine).to_have_url(f"{web.http}/console/")
        with mine.expect_response(lambda answer: "live=1" in answer.url):
            pass
        # As the script writes it, beside the date that the server wrote first.
        expect(mine.locator("[data-live-since]")).to_have_text(re.compile(r"^as of \d\d:\d\d:\d\d \+09:00$"))
        mine.goto(f"{web.http}/console/zone/")
        mine.get_by_label("Another one").fill("Berlin")
        mine.get_by_role("button", name="Show times so").click()
        expect(mine.get_by_text("Write one as Europe/Berlin.")).to_be_visible()
        expect(mine.get_by_role("heading", name="Times are shown in Asia/Tokyo")).to_be_visible()
