"""Calls, refused attempts, webhooks and the bench, in Chromium against the real web role."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser.operator import expect_to_fit, snap
from tests.browser.seeds import EVIL
from tests.support.fleet import Application, Fleet
from tests.support.pcap import read_capture


def test_the_call_page_shows_ladder_media_and_webhooks(page: Page, web: Fleet, call_id: str) -> None:
    page.goto(f"{web.http}/console/voiceapps/call/{call_id}/change/")
    expect(page.get_by_role("heading", name="Answered, and both sides were heard")).to_be_visible()
    page.get_by_role("link", name="0.000 s: INVITE from caller to proxy").click()
    page.get_by_role("button", name="Show the text of the messages").click()
    expect(page.get_by_text(f"User-Agent: {EVIL}")).to_be_visible()
    page.get_by_role("link", name=re.compile("200 OK from proxy to caller")).press("Enter")
    expect(page.locator("#message article")).to_have_count(2)
    snap(page, "call")
    for tab, text in (("Media", "203.0.113.9:47"), ("Webhooks & BXML", "https://backend.example/initiate"), ("Related", "the first one")):
        page.get_by_role("navigation", name="What is known of the call").get_by_role("link", name=tab).click()
        expect(page.get_by_text(text).first).to_be_visible()
        snap(page, f"call-{tab.split()[0].lower()}")
        expect_to_fit(page)
    assert page.title() != "owned"
    page.get_by_role("link", name="Ladder").click()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download PCAP").click()
    assert download.value.suggested_filename == f"{call_id}.pcap"
    first, second = read_capture(Path(download.value.path()).read_bytes())
    assert (first.payload, second.payload) == (f"User-Agent: {EVIL}".encode(), b"")
    assert (first.source, first.destination) == (("203.0.113.9", 5060), ("198.51.100.1", 6160))


def test_a_refusal_is_explained_and_allowed_by_one_click(page: Page, web: Fleet, call_id: str, application: Application) -> None:
    page.goto(f"{web.http}/console/refused/")
    group = page.locator("[data-refusal]").first
    for text in ("The source address is not on the list", "198.51.100.7", "203.0.113.0/24"):
        expect(group).to_contain_text(text)
    group.get_by_text("All rules").click()
    snap(page, "refused")
    expect_to_fit(page)
    group.get_by_role("button", name="Copy text for the customer").click()
    expect(group.get_by_role("button", name=re.compile("Copied|Selected"))).to_be_visible()
    group.get_by_role("button", name="Allow 198.51.100.7/32").click()
    expect(page.get_by_text("now takes calls from 198.51.100.7/32")).to_be_visible()
    data = web.api("GET", f"/v2/accounts/9900000/voice-applications/{application.application_id}")["data"]
    assert "198.51.100.7/32" in data["allowedSourceIps"]
    assert page.title() != "owned"


def test_calls_are_found_kept_and_taken_away(page: Page, web: Fleet, call_id: str) -> None:
    page.goto(f"{web.http}/console/calls/?since=1h")
    page.get_by_role("link", name="Good").click()
    row = page.get_by_role("row", name="Answered, and both sides were heard")
    expect(row).to_contain_text("203.0.113.9 US")
    expect_to_fit(page)
    snap(page, "calls")
    page.get_by_label("Keep this filter as").fill("Good ones")
    page.get_by_role("button", name="Keep").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV").click()
    assert call_id in Path(download.value.path()).read_text(encoding="utf-8")
    page.get_by_label("Source address").fill("203.0.113")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_text("Not an IPv4 address, such as 203.0.113.9.")).to_be_visible()
    page.get_by_role("link", name="Good ones").click()
    row.get_by_role("link").click()
    expect(page.get_by_role("heading", name="Answered, and both sides were heard")).to_be_visible()
    assert page.title() != "owned"


ENDED = """
from voiceapps.models import CallSimulation
from voiceapps.rules.trials.call_simulation import Line, LineKind, SimulatedCall
from voiceapps.services.trials import simulations
(planned,) = simulations.claim(8)
lines = Line(0.0, LineKind.ANSWERED), Line(1.2, LineKind.SAYS, {evil!r}), Line(3.1, LineKind.CALLER_PRESSES, "1")
simulations.store(planned.simulation_id, SimulatedCall(lines, None))
result = None"""


def test_a_call_is_simulated_on_the_bench(page: Page, web: Fleet, application: Application) -> None:
    page.goto(f"{web.http}/console/apps/{application.application_id}/?tab=trials")
    page.fill("textarea[name=turns]", "1\ncall me back")
    snap(page, "bench")
    page.get_by_role("button", name="Simulate a call").click()
    expect(page.get_by_text("when the call has ended")).to_be_visible()
    snap(page, "simulation-waits")
    web.python(ENDED.format(evil=EVIL))
    # The page follows by itself.
    expect(page.get_by_text("ended well")).to_be_visible(timeout=10_000)
    expect(page.get_by_text("caller presses")).to_be_visible()
    assert page.title() != "owned"
    snap(page, "simulation")


def test_a_failed_webhook_is_sent_again(page: Page, web: Fleet, call_id: str) -> None:
    code = f"""
from django.utils import timezone
from voiceapps.models import WebhookDelivery
row = WebhookDelivery.objects.create(account_id="9900000", call_id={call_id!r}, event_type="recordingComplete", method="POST",
    url="http://127.0.0.1:9/", body={{"eventType": "recordingComplete"}}, state="failed", created_at=timezone.now())
result = str(row.pk)"""
    page.goto(f"{web.http}/console/webhooks/{web.python(code)}/")
    snap(page, "delivery")
    page.get_by_role("button", name="Send again").click()
    expect(page.get_by_text("The webhook is sent again.")).to_be_visible()
    expect(page.get_by_role("button", name="Send again")).to_have_count(0)


def test_the_bench_shows_faults_beside_their_lines(page: Page, web: Fleet) -> None:
    page.goto(f"{web.http}/console/bench/?app={web.application().application_id}&ip=198.51.100.7")
    expect(page.get_by_text("The call would enter")).to_be_visible()
    page.get_by_label("Document", exact=True).fill('<Response>\n<Pause lenght="2"/>\n</Response>')
    page.locator("#bxml").get_by_role("button", name="Check").click()
    expect(page.get_by_text("Line 2:")).to_be_visible()
    assert page.get_by_label("Document", exact=True).input_value().startswith("<Response>")
    expect_to_fit(page)
    snap(page, "bench-bxml")
