"""The console as an operator sees it, in Chromium against the real web role."""

from __future__ import annotations

import base64
import re

import pytest
from django_otp.oath import totp
from playwright.sync_api import Browser, Page, expect

from tests.browser.operator import HEIGHT, Watch, expect_to_fit, log_in, snap
from tests.browser.seeds import EVIL
from tests.support.fleet import Fleet

PASSWORD = "a-rather-long-password-4711"
OTHER_PAGES = (
    "/console/",
    "/console/auth/user/",
    "/console/auth/user/add/",
    "/console/auth/user/1/change/",
    "/console/auth/user/1/password/",
    "/console/login/code/",
    "/console/nothing/",
    "/console/password_change/",
    "/console/second-factor/",
    "/console/second-factor/recovery-codes/",
    "/console/voiceapps/",
    "/console/voiceapps/account/add/",
    "/console/apps/new",
)
MODELS = (
    "account",
    "apiclient",
    "call",
    "callsimulation",
    "recording",
    "transcription",
)

OWN_PAGES = ("apps", "calls", "calls/files", "webhooks", "bench", "refused", "security", "nodes", "audit", "health")


@pytest.mark.parametrize("model", MODELS)
def test_every_list_opens(page: Page, web: Fleet, call_id: str, model: str) -> None:
    response = page.goto(f"{web.http}/console/voiceapps/{model}/")
    assert response is not None
    assert response.ok
    assert page.title() != "owned"
    snap(page, f"list-{model}")


@pytest.mark.parametrize("name", OWN_PAGES)
def test_every_page_of_ours_opens_and_fits(page: Page, web: Fleet, call_id: str, name: str) -> None:
    response = page.goto(f"{web.http}/console/{name}/")
    assert response is not None
    assert response.ok
    expect_to_fit(page)
    assert page.title() != "owned"
    snap(page, f"page-{name.replace('/', '-')}")


@pytest.mark.parametrize("path", OTHER_PAGES)
def test_every_other_page_opens_within_the_policy(page: Page, web: Fleet, path: str) -> None:
    response = page.goto(web.http + path)
    assert response is not None
    assert response.headers["content-security-policy"].startswith("default-src 'self'; script-src 'self' 'unsafe-eval';")
    expect(page.locator("main")).to_have_count(1)
    expect_to_fit(page)
    snap(page, "page-" + path.strip("/").replace("/", "-"))


def test_what_breaks_the_policy_is_seen(page: Page, web: Fleet, watch: Watch) -> None:
    page.goto(f"{web.http}/console/")
    page.evaluate("const made = document.createElement('script'); made.textContent = 'owned = 1'; document.body.append(made)")
    page.wait_for_timeout(0)
    assert page.evaluate("typeof owned") == "undefined"
    expect(page.locator("main")).to_have_count(1)
    assert [told.partition(": ")[2] for told in watch.violations] == ["script-src-elem inline"]
    watch.violations.clear()


def test_static_files_are_kept_for_ever_under_names_of_their_content(page: Page, web: Fleet) -> None:
    page.goto(f"{web.http}/console/")
    sheet = page.locator('link[href*="voiceapps/console"]').get_attribute("href")
    assert sheet is not None
    assert re.fullmatch(r"/static/voiceapps/console\.[0-9a-f]{12}\.css", sheet)
    answer = page.request.get(web.http + sheet, headers={"Accept-Encoding": "gzip"})
    assert answer.headers["content-encoding"] == "gzip"
    assert re.search(r"max-age=(\d+), public, immutable", answer.headers["cache-control"])


def test_the_menu_of_a_narrow_page_opens_by_the_keyboard(page: Page, web: Fleet) -> None:
    page.goto(f"{web.http}/console/")
    page.set_viewport_size({"width": 390, "height": HEIGHT})
    menu = page.get_by_role("button", name="Menu", exact=True)
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(menu).to_be_focused()
    expect(menu).to_have_attribute("aria-expanded", "false")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Close the menu")).to_be_focused()
    page.locator("summary", has_text="admin").press("Enter")
    expect(page.get_by_role("button", name="Log out")).to_be_visible()
    page.get_by_role("button", name="Dark").press("Enter")
    expect(page.locator("html")).to_have_class(re.compile(r"\bdark\b"))
    page.get_by_role("button", name="System").press("Escape")
    expect(page.get_by_role("button", name="Log out")).to_be_hidden()
    page.get_by_role("button", name="Close the menu").press("Enter")
    expect(menu).to_be_focused()
    expect(page.get_by_role("link", name="Live calls")).to_be_hidden()


def test_pages_are_there_without_scripts(browser: Browser, web: Fleet) -> None:
    with browser.new_context(java_script_enabled=False) as plain:
        page = plain.new_page()
        log_in(page, web)
        expect(page.get_by_role("heading", name="Overview")).to_be_visible()
        expect(page.get_by_text("Live calls").first).to_be_visible()


def test_the_keyboard_skips_to_the_content(page: Page, web: Fleet) -> None:
    page.goto(f"{web.http}/console/security/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_in_viewport()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main-content"


def test_an_operator_enrols_an_authenticator_and_logs_in_with_it(browser: Browser, web: Fleet) -> None:
    code = f"""
from voiceapps.rules.people.roles import Role
from voiceapps.services.audit import Actor
from voiceapps.services.people import operators
from django.contrib.auth.models import User
user = User(username="second")
user.set_password({PASSWORD!r})
operators.add(user, Role.VIEWER, None, actor=Actor("test"))
result = None"""
    web.python(code)
    with browser.new_context() as context:
        mine = context.new_page()
        log_in(mine, web, "second", PASSWORD)
        mine.goto(f"{web.http}/console/second-factor/")
        secret = base64.b32decode(mine.locator(".sipuri-secret").inner_text().replace(" ", ""))
        mine.get_by_label("The code that it shows now").fill(f"{totp(secret):06}")
        mine.get_by_role("button", name="Enrol").click()
        recovery = mine.locator(".sipuri-codes code").first.inner_text()
        mine.get_by_role("link", name="I stored them").click()
    with browser.new_context() as context:
        mine = context.new_page()
        log_in(mine, web, "second", PASSWORD)
        snap(mine, "login-code")
        mine.get_by_label("Code of your authenticator").fill(recovery)
        mine.get_by_role("button", name="Log in").click()
        mine.goto(f"{web.http}/console/second-factor/")
        expect(mine.get_by_text("9 recovery codes left")).to_be_visible()
        assert mine.get_by_role("link", name="Audit").count() == 0


def test_health_says_what_mends(page: Page, web: Fleet) -> None:
    page.goto(f"{web.http}/console/health/")
    expect(page.get_by_text("No sipproxy is heard.")).to_be_visible()
    expect(page.get_by_text("manage.py runsipproxy")).to_be_visible()
    expect_to_fit(page)
    snap(page, "health")


def test_an_operator_limits_an_account(page: Page, web: Fleet) -> None:
    page.goto(f"{web.http}/console/voiceapps/account/9900000/change/")
    page.fill("input[name=max_calls]", "40")
    page.fill("input[name=max_applications]", "")
    snap(page, "account")
    page.get_by_role("button", name="Save", exact=True).click()
    code = """
from voiceapps.models import Account, AuditEntry
account = Account.objects.get(pk="9900000")
entry = AuditEntry.objects.filter(action="account.set_limits", actor="operator admin").values("actor", "chain", "changes").get()
result = [account.max_calls, account.max_applications, entry]"""
    entry = {"actor": "operator admin", "chain": "9900000", "changes": {"max_calls": 40}}
    assert web.python(code) == [40, None, entry]


def test_an_api_client_shows_its_secrets_dates_and_no_digest(page: Page, web: Fleet) -> None:
    page.goto(f"{web.http}/console/voiceapps/apiclient/")
    page.get_by_role("link", name="fleet-client").click()
    expect(page.get_by_text("9900000").first).to_be_visible()
    assert "sipuri_hmac" not in page.content()
    snap(page, "api-client")


def test_an_operator_bans_lifts_and_trusts(page: Page, web: Fleet, call_id: str) -> None:
    page.goto(f"{web.http}/console/security/")
    ban = page.locator("form", has=page.get_by_role("button", name="Ban", exact=True))
    ban.locator("input[name=source_ip]").fill("nowhere")
    ban.get_by_role("button").click()
    expect(page.get_by_text("Write an IPv4 address")).to_be_visible()
    ban.locator("input[name=source_ip]").fill("203.0.113.200")
    ban.locator("input[name=minutes]").fill("15")
    ban.get_by_role("button").click()
    expect(page.get_by_text("203.0.113.200 is banned for 15 minutes")).to_be_visible()
    trust = page.locator("form", has=page.get_by_role("button", name="Trust", exact=True))
    trust.locator("input[name=network]").fill("198.51.100.0/24")
    trust.locator("input[name=note]").fill(EVIL)
    trust.get_by_role("button").click()
    expect(page.get_by_text("198.51.100.0/24 is trusted")).to_be_visible()
    expect_to_fit(page)
    snap(page, "security")
    page.get_by_role("button", name="Lift the ban of 203.0.113.200").click()
    expect(page.get_by_text("The ban of 203.0.113.200 is lifted")).to_be_visible()
    assert page.title() != "owned"
    code = """
from voiceapps.models import AuditEntry
result = list(AuditEntry.objects.filter(action__regex="^(ban|source)[.]").order_by("number").values_list("actor", "action", "subject"))"""
    done = (("ban.place", "203.0.113.200"), ("source.trust", "198.51.100.0/24"), ("ban.lift", "203.0.113.200"))
    assert web.python(code) == [["operator admin", *one] for one in done]


def test_search_finds_a_call_by_the_keyboard_alone(page: Page, web: Fleet, call_id: str) -> None:
    page.goto(f"{web.http}/console/")
    page.keyboard.press("Control+k")
    field = page.get_by_role("searchbox", name="Search")
    expect(field).to_be_focused()
    field.press("Enter")
    field.fill("nobody is called so")
    expect(page.get_by_text("Nothing is called so")).to_be_visible()
    field.fill("203.0.113.9")
    expect(page.locator("#command-results-list li.sipuri-chosen")).to_have_count(1)
    snap(page, "search")
    field.press("Enter")
    expect(page).to_have_url(re.compile(call_id))


def test_the_api_pages_are_complete_without_another_host(page: Page, web: Fleet) -> None:
    page.goto(f"{web.http}/docs/api")
    expect(
        page.get_by_text("createVoiceApplication").or_(page.get_by_text("/v2/accounts/{accountId}/voice-applications")).first
    ).to_be_visible()
    snap(page, "swagger")
    page.goto(f"{web.http}/docs/redoc")
    expect(page.get_by_text("Voice applications").first).to_be_visible(timeout=20_000)
    snap(page, "redoc")
