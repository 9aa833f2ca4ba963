"""The page of an application, in Chromium against the real web role."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.browser.operator import expect_to_fit, snap
from tests.browser.seeds import EVIL
from tests.support.fleet import Application, Fleet


def test_a_new_password_is_asked_for_and_shown_once(page: Page, web: Fleet, application: Application) -> None:
    page.goto(f"{web.http}/console/apps/")
    page.get_by_role("row", name=application.sip_uri).get_by_role("link").first.click()
    expect(page.get_by_text(application.sip_uri).first).to_be_visible()
    expect_to_fit(page)
    snap(page, "app-settings")
    page.get_by_role("link", name="Rotate the password").click()
    expect(page.get_by_text("A password that was handed out before fails at once")).to_be_visible()
    snap(page, "app-rotate")
    page.get_by_role("button", name="Make the new password").click()
    password = page.locator(".sipuri-secret").inner_text()
    assert re.fullmatch(r"[\w-]{32}", password)
    assert password != application.password
    expect_to_fit(page)
    snap(page, "app-password")
    page.reload()
    assert password not in page.content()
    page.get_by_role("link", name="Back to the application").click()
    expect(page.get_by_role("button", name="Save", exact=True)).to_be_visible()


def test_an_application_is_disabled_and_enabled_while_ranges_are_checked(page: Page, web: Fleet, application: Application) -> None:
    page.goto(f"{web.http}/console/apps/{application.application_id}/")
    page.get_by_role("link", name="Disable the SIP URI").click()
    page.get_by_role("button", name="Disable it").click()
    expect(page.get_by_text("disabled", exact=True).first).to_be_visible()
    page.get_by_label("Take calls at a SIP URI").check()
    ranges = page.get_by_label("Source ranges")
    ranges.press_sequentially("10.0.0.0/8\n203.0.113.0/24")
    # While one types, nothing was sent.
    expect(page.locator(".sipuri-ranges").first).to_contain_text("'10.0.0.0/8': Overlaps 10.0.0.0/8: RFC 1918 private range.")
    expect(ranges).to_have_attribute("aria-invalid", "true")
    snap(page, "app-ranges")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Nothing is saved yet")).to_be_visible()
    expect(ranges).to_have_value("10.0.0.0/8\n203.0.113.0/24")
    ranges.fill("203.0.113.0/24")
    expect(page.locator(".sipuri-ranges").first).to_contain_text("1 range, each as it should be.")
    page.get_by_text("Americas").click()
    page.get_by_label("United States").check()
    page.get_by_label("European Union").check()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator(".sipuri-secret")).to_have_text(re.compile(r"^[\w-]{32}$"))
    page.get_by_role("link", name="I stored it").click()
    data = web.api("GET", f"/v2/accounts/9900000/voice-applications/{application.application_id}")["data"]
    assert data["allowedSourceIps"] == ["203.0.113.0/24"]
    assert sorted(data["allowedRegions"]) == ["EU", "US"]
    assert data["sipUri"] != application.sip_uri


def test_a_customer_gets_texts_to_paste(page: Page, web: Fleet, application: Application) -> None:
    page.goto(f"{web.http}/console/apps/{application.application_id}/")
    page.get_by_role("link", name="Set up a client").click()
    page.get_by_role("button", name="Copy for baresip").click()
    expect(page.get_by_role("button", name=re.compile("Copied|Selected"))).to_be_visible()
    expect_to_fit(page)
    snap(page, "app-setup")


def test_the_second_of_two_operators_is_told_what_the_first_changed(page: Page, web: Fleet, application: Application) -> None:
    page.goto(f"{web.http}/console/apps/{application.application_id}/")
    page.get_by_label("Name", exact=True).fill("Renamed by the second")
    path = f"/v2/accounts/9900000/voice-applications/{application.application_id}"
    web.api("PATCH", path, {"applicationName": EVIL, "maskDigits": True})
    page.get_by_role("button", name="Save", exact=True).click()
    told = page.get_by_role("alert")
    expect(told.get_by_role("row", name="Name")).to_contain_text(f"{EVIL}Renamed by the secondyours replaces theirs")
    expect(told.get_by_role("row", name="Mask digits in what is stored")).to_contain_text("theirs stays")
    expect_to_fit(page)
    snap(page, "app-meanwhile")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("The changes are saved.")).to_be_visible()
    data = web.api("GET", path)["data"]
    assert (data["applicationName"], data["maskDigits"]) == ("Renamed by the second", True)
    page.get_by_role("link", name="Change log").click()
    expect(page.get_by_text("operator admin").first).to_be_visible()
    expect_to_fit(page)
    snap(page, "app-log")
    assert page.title() != "owned"


def test_a_callback_is_tested_and_a_customer_is_set_up(page: Page, web: Fleet, application: Application) -> None:
    page.goto(f"{web.http}/console/apps/{application.application_id}/?tab=trials")
    page.get_by_role("button", name="Test the callback").click()
    expect(page.get_by_role("heading", name=re.compile("The callback:"))).to_be_visible()
    expect_to_fit(page)
    snap(page, "app-trials")
    page.goto(f"{web.http}/console/apps/")
    page.get_by_role("link", name="New application").click()
    page.get_by_label("Account").fill("9900000")
    page.get_by_label("Name", exact=True).fill("Set up")
    page.get_by_label("Callback URL for new calls").fill("javascript:alert(1)")
    page.get_by_role("button", name="Make it").click()
    expect(page.get_by_text("Must be an absolute URL; only http and https are allowed.")).to_be_visible()
    expect_to_fit(page)
    snap(page, "app-new")
    page.get_by_label("Callback URL for new calls").fill("https://backend.example/initiate")
    page.get_by_role("button", name="Make it").click()
    expect(page.locator(".sipuri-secret")).to_have_text(re.compile(r"^[\w-]{32}$"))
    page.get_by_role("link", name="I stored it").click()
    page.get_by_role("link", name="Delete the application").click()
    page.get_by_role("button", name="Delete it").click()
    expect(page.get_by_text("Set up is deleted.")).to_be_visible()
    snap(page, "apps")
