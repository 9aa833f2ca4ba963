"""The console as an operator sees it, in Chromium against the real web role."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from tests.support.fleet import Application, Fleet
from tests.support.pcap import read_capture

CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
EVIL = '<script>document.title="owned"</script>'
MODELS = (
    "account",
    "apiclient",
    "auditentry",
    "ban",
    "call",
    "callevent",
    "callsimulation",
    "medialeg",
    "node",
    "recording",
    "refusedattempt",
    "transcription",
    "voiceapplication",
    "webhookdelivery",
)

SEED = """
import time
from voiceapps.rules.admission import Reason, RuleResult
from voiceapps.rules.bans import BanReason
from voiceapps.rules.endings import EndReason
from voiceapps.rules.media_figures import MediaFigures
from voiceapps.rules.reports import *
from voiceapps.services.reports import write_reports
now = time.time()
call_id = "c-00000001-00000000-0000-4000-8000-000000000001"
call = CallFacts(call_id, {app!r}, "9900000", "abc@" + {evil!r}, {evil!r}, {uri!r}, "203.0.113.9", 5060, "US", now)
url, asked = "https://backend.example/initiate", '{{"eventType": "initiate"}}'
trace = (RuleResult("source_ip", "failed", "203.0.113.0/24", "198.51.100.7"),)
write_reports([
    CallAdmitted(call, "proxy"), CallAnswered(call, "callflow", now + 1),
    LadderMessage(call.call_id, now, "caller", "203.0.113.9:5060", "198.51.100.1:6160", "INVITE sip:x SIP/2.0", "User-Agent: " + {evil!r}),
    LadderMessage(call.call_id, now + 1, "caller", "198.51.100.1:6160", "203.0.113.9:5060", "SIP/2.0 200 OK", ""),
    MediaReport(call.call_id, "relay", now, MediaFigures(
        "external", 500, 80000, 498, 2, 1.25, 38.5, 4.2, 0, "kernel", 0, "10.0.0.5:4000", "203.0.113.9:47"
    ), True),
    MediaReport(call.call_id, "relay", now, MediaFigures(
        "internal", 498, 79680, 500, 0, 0.5, None, 4.4, 0, "kernel", 0, "127.0.0.1:5000", "127.0.0.1:5000"
    ), True),
    MediaNotice(
        call.call_id, now + 4, "external", "10.0.0.5:4000", "198.51.100.1:30000",
        "No audio comes from the caller. The session description says 10.0.0.5:4000, packets come from 203.0.113.9:47."
    ),
    WebhookFetched(call, "initiate", now + 0.1, url, "POST", asked, 200, "<Response/>", 12, None),
    CallEnded(call, "callflow", now + 11, EndReason.CALLER_HANGUP, now + 1, 200, None, None, None),
    RefusalSeen({app!r}, "198.51.100.7", Reason.IP_NOT_ALLOWED, 401, 3, now, now, "DE", {evil!r}, "x", {evil!r}, trace),
    SourceBanned("198.51.100.66", BanReason.WRONG_PASSWORD, "sipproxy-one", now, now + 600),
    SourceBanned("198.51.100.67", BanReason.FLOOD, "sipproxy-two", now - 60, now - 30),
])
result = call.call_id
"""


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
    stored: str = web.python(SEED.format(app=application.application_id, uri=application.sip_uri, evil=EVIL))
    return stored


@pytest.fixture(scope="module")
def browser_page(web: Fleet) -> Iterator[Page]:
    if not Path(CHROMIUM).exists():
        pytest.fail("This test needs Debian's chromium: apt-get install --no-install-recommends chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(f"{web.http}/console/")
        page.fill("input[name=username]", "admin")
        page.fill("input[name=password]", "operator")
        page.click("button[type=submit]")
        yield page
        browser.close()


@pytest.fixture
def page(browser_page: Page) -> Iterator[Page]:
    """A page that loads nothing from elsewhere and raises no script error."""
    problems: list[str] = []
    browser_page.on("pageerror", lambda error: problems.append(str(error)))
    blocked: list[str] = []
    browser_page.on(
        "request", lambda request: problems.append(request.url) if "127.0.0.1" not in request.url and "data:" not in request.url else None
    )
    browser_page.on("requestfailed", lambda request: blocked.append(request.url) if request.failure == "csp" else None)
    yield browser_page
    assert [problem for problem in problems if problem not in blocked] == []


def snap(page: Page, name: str) -> None:
    """Keep pictures where SIPURI_SCREENSHOTS says: light and dark, wide and narrow."""
    directory = os.environ.get("SIPURI_SCREENSHOTS")
    if not directory:
        return
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 900})
        for theme in ("light", "dark"):
            page.evaluate("theme => document.documentElement.classList.toggle('dark', theme === 'dark')", theme)
            page.screenshot(path=f"{directory}/{name}-{width}-{theme}.png", full_page=True)
    page.set_viewport_size({"width": 1280, "height": 900})


@pytest.mark.parametrize("model", MODELS)
def test_every_list_opens(page: Page, web: Fleet, call_id: str, model: str) -> None:
    response = page.goto(f"{web.http}/console/voiceapps/{model}/")
    assert response is not None
    assert response.ok
    assert page.title() != "owned"
    snap(page, f"list-{model}")


def test_the_call_page_shows_ladder_media_and_webhooks(page: Page, web: Fleet, call_id: str) -> None:
    page.goto(f"{web.http}/console/voiceapps/call/{call_id}/change/")
    expect(page.get_by_role("heading", name="Answered, and both sides were heard")).to_be_visible()
    page.get_by_role("link", name="0.000 s: INVITE from caller to proxy").click()
    expect(page.get_by_text(f"User-Agent: {EVIL}")).to_be_visible()
    page.get_by_role("link", name=re.compile("200 OK from proxy to caller")).press("Enter")
    expect(page.locator("#message article")).to_have_count(2)
    snap(page, "call")
    for tab, text in (("Media", "203.0.113.9:47"), ("Webhooks & BXML", "https://backend.example/initiate"), ("Related", "the first one")):
        page.get_by_role("navigation", name="What is known of the call").get_by_role("link", name=tab).click()
        expect(page.get_by_text(text).first).to_be_visible()
        snap(page, f"call-{tab.split()[0].lower()}")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.title() != "owned"
    page.get_by_role("link", name="Ladder").click()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download PCAP").click()
    assert download.value.suggested_filename == f"{call_id}.pcap"
    first, second = read_capture(Path(download.value.path()).read_bytes())
    assert (first.payload, second.payload) == (f"User-Agent: {EVIL}".encode(), b"")
    assert (first.source, first.destination) == (("203.0.113.9", 5060), ("198.51.100.1", 6160))


def test_a_refusal_shows_reason_seen_and_expected(page: Page, web: Fleet, call_id: str) -> None:
    page.goto(f"{web.http}/console/voiceapps/refusedattempt/")
    row = page.locator("tbody tr").first
    for text in ("ip not allowed", "198.51.100.7", "203.0.113.0/24"):
        expect(row).to_contain_text(text, ignore_case=True)


def test_an_application_is_rotated_disabled_and_enabled(page: Page, web: Fleet, application: Application) -> None:
    change = f"{web.http}/console/voiceapps/voiceapplication/{application.application_id}/change/"
    page.goto(change)
    expect(page.get_by_text(application.sip_uri).first).to_be_visible()
    snap(page, "application")
    page.get_by_role("button", name="Rotate the password").click()
    password = page.locator(".sipuri-secret").inner_text()
    assert re.fullmatch(r"[\w-]{32}", password)
    assert password != application.password
    snap(page, "password")
    page.get_by_role("link", name="I stored it").click()
    assert password not in page.content()

    page.get_by_role("button", name="Disable inbound SIP").click()
    expect(page.get_by_text("disabled", exact=True).first).to_be_visible()
    page.fill("textarea[name=source_ips]", "10.0.0.0/8 203.0.113.0/24")
    page.get_by_role("button", name="Enable inbound SIP").click()
    expect(page.get_by_text("RFC 1918 private range")).to_be_visible()
    page.fill("textarea[name=source_ips]", "203.0.113.0/24")
    page.fill("input[name=regions]", "US DE")
    page.get_by_role("button", name="Enable inbound SIP").click()
    expect(page.locator(".sipuri-secret")).to_have_text(re.compile(r"^[\w-]{32}$"))
    page.get_by_role("link", name="I stored it").click()
    data = web.api("GET", f"/v2/accounts/9900000/voice-applications/{application.application_id}")["data"]
    assert data["allowedSourceIps"] == ["203.0.113.0/24"]
    assert data["allowedRegions"] == ["US", "DE"]
    assert data["sipUri"] != application.sip_uri


def test_settings_change_through_the_service(page: Page, web: Fleet, application: Application) -> None:
    page.goto(f"{web.http}/console/voiceapps/voiceapplication/{application.application_id}/change/")
    page.fill("input[name=name]", "Renamed")
    page.get_by_role("button", name="Save", exact=True).click()
    code = """
from voiceapps.models import AuditEntry
result = list(AuditEntry.objects.filter(action="application.update").values_list("actor", "changes"))"""
    assert ["operator admin", {"name": "Renamed"}] in web.python(code)


ENDED = """
from voiceapps.models import CallSimulation
from voiceapps.rules.call_simulation import Line, LineKind, SimulatedCall
from voiceapps.services.trials import simulations
(planned,) = simulations.claim(8)
lines = Line(0.0, LineKind.ANSWERED), Line(1.2, LineKind.SAYS, {evil!r}), Line(3.1, LineKind.CALLER_PRESSES, "1")
simulations.store(planned.simulation_id, SimulatedCall(lines, None))
result = None"""


def test_a_call_is_simulated_on_the_bench(page: Page, web: Fleet, application: Application) -> None:
    page.goto(f"{web.http}/console/voiceapps/voiceapplication/{application.application_id}/change/")
    page.fill("textarea[name=turns]", "1\ncall me back")
    snap(page, "bench")
    page.get_by_role("button", name="Simulate a call").click()
    expect(page.get_by_text("looks again")).to_be_visible()
    web.python(ENDED.format(evil=EVIL))
    # The page looks by itself.
    expect(page.get_by_text("ended well")).to_be_visible(timeout=10_000)
    expect(page.get_by_text("caller presses")).to_be_visible()
    assert page.title() != "owned"
    snap(page, "simulation")


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


def test_an_operator_places_a_ban_and_lifts_it(page: Page, web: Fleet, call_id: str) -> None:
    bans = f"{web.http}/console/voiceapps/ban/"
    page.goto(f"{bans}add/")
    page.fill("input[name=source_ip]", "nowhere")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Write an IPv4 address")).to_be_visible()
    snap(page, "ban-add")
    page.fill("input[name=source_ip]", "203.0.113.200")
    page.fill("input[name=minutes]", "15")
    page.get_by_role("button", name="Save", exact=True).click()
    row = page.locator("tr", has_text="203.0.113.200")
    for text in ("operator", "console", "in force"):
        expect(row).to_contain_text(text)
    snap(page, "bans")
    row.locator("input[name=_selected_action]").check()
    page.select_option("select[name=action]", "lift")
    page.get_by_role("button", name="Run").click()
    expect(page.get_by_text("Lifted")).to_be_visible()
    expect(row).to_have_count(0)
    code = """
from voiceapps.models import AuditEntry
result = list(AuditEntry.objects.filter(action__startswith="ban.").order_by("number").values_list("actor", "action", "subject"))"""
    assert web.python(code) == [["operator admin", verb, "203.0.113.200"] for verb in ("ban.place", "ban.lift")]


def test_a_failed_webhook_is_sent_again(page: Page, web: Fleet, call_id: str) -> None:
    code = f"""
from django.utils import timezone
from voiceapps.models import WebhookDelivery
row = WebhookDelivery.objects.create(account_id="9900000", call_id={call_id!r}, event_type="recordingComplete", method="POST",
    url="http://127.0.0.1:9/", body={{"eventType": "recordingComplete"}}, state="failed", created_at=timezone.now())
result = str(row.pk)"""
    page.goto(f"{web.http}/console/voiceapps/webhookdelivery/{web.python(code)}/change/")
    snap(page, "delivery")
    page.get_by_role("button", name="Send again").click()
    expect(page.get_by_text("The webhook is sent again.")).to_be_visible()
    expect(page.get_by_role("button", name="Send again")).to_have_count(0)


def test_the_api_pages_are_complete_without_another_host(page: Page, web: Fleet) -> None:
    page.goto(f"{web.http}/docs/api")
    expect(
        page.get_by_text("createVoiceApplication").or_(page.get_by_text("/v2/accounts/{accountId}/voice-applications")).first
    ).to_be_visible()
    snap(page, "swagger")
    page.goto(f"{web.http}/docs/redoc")
    expect(page.get_by_text("Voice applications").first).to_be_visible(timeout=20_000)
    snap(page, "redoc")
