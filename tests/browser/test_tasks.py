"""The ten tasks of an operator, on a system with real calls: each begins on the overview, finds its answer on a page, and counts clicks."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from tests.browser.hand import Hand
from tests.browser.operator import Watch, chromium, close, session, snap
from tests.browser.task_system import (
    ATTACKER,
    CLINIC,
    CLINIC_OLD,
    DENTIST,
    HOTEL,
    HOTEL_MEDIA,
    OPERATOR,
    PASSWORD,
    PROXIES,
    TaskSystem,
    task_system,
)
from tests.support.fleet import Application, until

SOON = 20_000
"""Milliseconds: what daemons write, and figures that are counted, come within seconds."""
Begin = Callable[[int, int], Hand]


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TaskSystem]:
    with task_system(tmp_path_factory.mktemp("tasks")) as system:
        yield system


@pytest.fixture(scope="module")
def browser(system: TaskSystem) -> Iterator[Browser]:
    """A browser in the system's network."""
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def context(browser: Browser, system: TaskSystem) -> BrowserContext:
    """A session of somebody with the role of an operator."""
    return session(browser, system.fleet, OPERATOR, PASSWORD)


@pytest.fixture(scope="module")
def watched(context: BrowserContext, system: TaskSystem) -> Watch:
    return Watch(context, system.fleet)


@pytest.fixture
def begin(context: BrowserContext, watched: Watch, system: TaskSystem) -> Iterator[Begin]:
    """Begins a task on the overview."""
    page = context.new_page()

    def on_overview(task: int, most: int) -> Hand:
        page.goto(f"{system.fleet.http}/console/")
        return Hand(page, task, most)

    yield on_overview
    close(page)
    watched.expect_nothing()


def side_bar(page: Page, name: str) -> Locator:
    # The name of an icon stands before it.
    return page.get_by_role("link", name=re.compile(rf" {name}$"))


def test_1_calls_fail(begin: Begin, system: TaskSystem) -> None:
    hand = begin(1, 3)
    page = hand.page
    hand.click(page.locator(".sipuri-tile", has_text="Refused").get_by_role("link"))
    group = page.locator("[data-refusal]", has_text="Riverside Clinic")
    for text in ("The source address is not on the list", "3 ×", CLINIC, f"{CLINIC_OLD}/32"):
        expect(group).to_contain_text(text)
    snap(page, "refused")
    hand.click(group.get_by_role("button", name=f"Allow {CLINIC}/32"))
    expect(page.get_by_text(f"Riverside Clinic now takes calls from {CLINIC}/32")).to_be_visible()
    clinic = system.applications["Riverside Clinic"]
    until(lambda: system.phones.attempt(CLINIC, "+15550177", clinic) == 200, seconds=20, what="a call that gets in", every=0.5)


def test_2_there_is_no_audio(begin: Begin, system: TaskSystem) -> None:
    hand = begin(2, 2)
    page = hand.page
    hand.click(page.get_by_role("link", name=re.compile("calls of the last hour to Harbour Hotel a side was not heard")))
    row = page.get_by_role("row", name=re.compile("the caller's audio never arrived")).first
    hand.click(row.get_by_role("link"))
    verdict = page.get_by_role("region", name="Verdict")
    expect(verdict.get_by_role("heading", name="Answered, but the caller's audio never arrived")).to_be_visible()
    assert "sipuri-bad" in (verdict.get_attribute("class") or "")
    expect(verdict).to_contain_text(re.compile(rf"{HOTEL}:\d+.*{HOTEL_MEDIA}:\d+"))
    expect(page.get_by_text("sent 0 packets (nothing)")).to_be_visible()
    snap(page, "call")


def test_3_our_webhook_was_down(begin: Begin, system: TaskSystem) -> None:
    system.wait_between_tries()
    hand = begin(3, 3)
    page = hand.page
    hand.click(page.locator(".sipuri-tile", has_text="Webhooks").get_by_role("link"))
    hand.click(page.get_by_role("row", name="Northgate Taxi").get_by_role("link", name="call").first)
    asked, fallback, told = (page.locator(".sipuri-webhook").nth(place) for place in range(3))
    for attempt, texts in (
        (asked, ("initiate", f"{system.taxi.url}/taxi", "its fallback was asked", "(empty)")),
        (fallback, ("initiate", f"{system.backend.url}/hotel", "asked as the fallback", "<SpeakSentence>")),
        (told, ("disconnect", f"{system.taxi.url}/taxi/status")),
    ):
        expect(attempt).to_contain_text(re.compile(r"200 in \d+ ms" if attempt is fallback else r"500 in \d+ ms"))
        for text in texts:
            expect(attempt).to_contain_text(text)
    snap(page, "webhooks")
    before = len(system.taxi.of("disconnect"))
    system.taxi.documents["/taxi/status"] = 204
    hand.click(page.get_by_role("button", name="Try disconnect now"))
    expect(page.get_by_text("The webhook is tried now.")).to_be_visible()
    system.taxi.wait("disconnect", before + 1)


def test_4_is_it_healthy(begin: Begin, system: TaskSystem) -> None:
    page = begin(4, 0).page

    def tile(title: str) -> Locator:
        return page.locator(".sipuri-tile", has=page.get_by_text(title, exact=True))

    for title, figure in {
        "Live calls": r"[1-9]\d*",
        "Calls a minute": r"\d+\.\d",
        "Answered (ASR)": r"\d+ %",
        "Average talk (ACD)": r"\d+ (s|min)",
        "Refused": r"[1-9]\d*",
        "Webhooks, 95 %": r"\d+ (ms|s)",
        "Nodes": r"7 up",
        "Media ports": r"\d+ %",
    }.items():
        expect(tile(title).locator("dd").first).to_have_text(re.compile(figure), timeout=SOON)
    expect(page.get_by_text("The source address is not on the list").first).to_be_visible()
    expect(page.get_by_text("Nobody has the SIP URI that was called").first).to_be_visible()
    snap(page, "overview")


def test_5_who_attacks_us(begin: Begin) -> None:
    hand = begin(5, 2)
    page = hand.page
    hand.find("Security", "Security")
    row = page.get_by_role("row", name=ATTACKER).first
    expect(row).to_contain_text("scanner")
    expect(row).to_contain_text(re.compile(r"\d+ × unknown application, \d+ × digest wrong"))
    hand.click(row.get_by_role("button", name=f"Ban {ATTACKER}"))
    expect(page.get_by_text(f"{ATTACKER} is banned for 60 minutes")).to_be_visible()
    hand.click(page.get_by_role("button", name=f"Lift the ban of {ATTACKER}"))
    expect(page.get_by_text(f"The ban of {ATTACKER} is lifted")).to_be_visible()


def test_6_set_up_a_customer(begin: Begin, system: TaskSystem) -> None:
    hand = begin(6, 6)
    page = hand.page
    hand.click(side_bar(page, "Applications"))
    hand.click(page.get_by_role("link", name="New application"))
    hand.fill(page.get_by_label("Account"), "9900000")
    hand.fill(page.get_by_label("Name", exact=True), "Lakeside Pharmacy")
    hand.fill(page.get_by_label("Callback URL for new calls"), f"{system.backend.url}/hotel")
    hand.click(page.get_by_role("button", name="Make it"))
    password = page.locator(".sipuri-secret").inner_text()
    snap(page, "app")
    uri = page.get_by_text(re.compile(r"^sip:\S+@sip\.voice\.example$")).first.inner_text()
    hand.click(page.get_by_role("button", name="I stored it: place a test call"))
    expect(page.get_by_role("heading", name=re.compile("answered", re.IGNORECASE))).to_be_visible(timeout=40_000)
    assert password not in page.content()
    heard = page.get_by_label("What the phone heard").get_attribute("src")
    audio = page.request.get(f"{system.fleet.http}{heard}").body()
    assert len(set(audio[44:])) > 100
    application_id = page.get_by_role("link", name="Lakeside Pharmacy").get_attribute("href") or ""
    made = Application(application_id.split("/")[3], uri, password)
    assert system.phones.attempt(HOTEL, "+15550199", made) == 200


def test_7_rotate_a_password(begin: Begin, system: TaskSystem) -> None:
    hand = begin(7, 3)
    page = hand.page
    hand.find("Old Town", "Old Town Dental")
    hand.click(page.get_by_role("link", name="Rotate the password"))
    impact = page.locator(".sipuri-facts")
    expect(impact).to_contain_text("1: they go on")
    expect(impact).to_contain_text(re.compile(r"\d+ \(\d+ calls, \d+ refused\)"))
    hand.click(page.get_by_role("button", name="Make the new password"))
    dentist = system.applications["Old Town Dental"]
    rotated = Application(dentist.application_id, dentist.sip_uri, page.locator(".sipuri-secret").inner_text())
    until(lambda: system.phones.attempt(DENTIST, "+15550143", dentist) != 200, seconds=20, what="the old password fails", every=0.5)
    assert system.phones.attempt(DENTIST, "+15550143", rotated) == 200


def test_7_disable_a_customer(begin: Begin, system: TaskSystem) -> None:
    hand = begin(7, 3)
    page = hand.page
    hand.find("Northgate", "Northgate Taxi")
    hand.click(page.get_by_role("link", name="Disable the SIP URI"))
    expect(page.locator(".sipuri-facts")).to_contain_text(re.compile(r"Calls that are up\s*0"))
    hand.click(page.get_by_role("button", name="Disable it"))
    expect(page.get_by_text("Northgate Taxi takes no SIP calls any more.")).to_be_visible()
    assert not system.now("Northgate Taxi")["inboundSipCallsEnabled"]


def test_8_take_node_2_out(begin: Begin, system: TaskSystem) -> None:
    hand = begin(8, 3)
    page = hand.page
    hand.click(page.locator(".sipuri-tile", has_text="Nodes").get_by_role("link"))
    node = page.get_by_role("row", name="sipproxy-edge-2")
    names = page.locator(".sipuri-facts")
    expect(names).to_contain_text(PROXIES[1][0], timeout=SOON)
    hand.click(node.get_by_role("button", name="Drain sipproxy-edge-2"))
    expect(node).to_contain_text("draining", timeout=SOON)
    expect(names).not_to_contain_text(PROXIES[1][0], timeout=SOON)
    load = node.locator("[data-label=Load]")
    expect(load).to_have_text("1")
    snap(page, "nodes")
    system.phones.hang_up(system.held)
    expect(load).to_have_text("0", timeout=SOON)


def test_9_what_changed(browser: Browser, system: TaskSystem) -> None:
    """Who may read the audit trail is an admin."""
    context = session(browser, system.fleet)
    page = context.new_page()
    page.goto(f"{system.fleet.http}/console/")
    hand = Hand(page, 9, 1)
    hand.click(side_bar(page, "Audit"))
    entry = page.locator(".sipuri-entries li", has_text="Riverside Clinic").first
    for text in ("operator olga", "application.update", f"{CLINIC_OLD}/32", f"{CLINIC}/32", "UTC"):
        expect(entry).to_contain_text(text)
    context.close()


def test_10_finance_wants_the_calls(begin: Begin) -> None:
    hand = begin(10, 2)
    page = hand.page
    hand.find("+15550120", "All calls from number")
    with page.expect_download() as download:
        hand.click(page.get_by_role("button", name="CSV"))
    rows = list(csv.DictReader(Path(download.value.path()).read_text(encoding="utf-8").splitlines()))
    assert {row["number"].lstrip("'+") for row in rows} == {"15550120"}
    # The newest one is real.
    assert (rows[0]["sourceIp"], rows[0]["verdict"], rows[0]["endReason"]) == (HOTEL, "heard", "application_hangup")
    assert float(rows[0]["talkSeconds"]) > 3
