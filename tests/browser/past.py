"""The day before an operator sits down: what several customers' calls left behind, written as daemons write it.

It runs beside the fleet's database (`Fleet.python`). All of it is made up, and the same each time.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping

from voiceapps.rules.admission import Reason, RuleResult
from voiceapps.rules.endings import EndReason
from voiceapps.rules.media_figures import MediaFigures
from voiceapps.rules.reports import CallAdmitted, CallAnswered, CallEnded, CallFacts, MediaReport, RefusalSeen, Report, WebhookFetched
from voiceapps.services.reports import write_reports

CALLS = 360
DAY = 86_400
AT_ONCE = 400
ACCOUNT = "9900000"
CUSTOMERS = (
    ("Harbour Hotel", "203.0.113.20", "+1555012", "https://hooks.harbour-hotel.example/calls"),
    ("Riverside Clinic", "203.0.113.40", "+1555017", "https://voice.riverside-clinic.example/initiate"),
    ("Northgate Taxi", "198.51.100.70", "+1555016", "https://dispatch.northgate-taxi.example/bxml"),
    ("Old Town Dental", "198.51.100.90", "+1555014", "https://app.old-town-dental.example/voice"),
)
STRANGERS = (
    ("192.0.2.66", "NL", Reason.UNKNOWN_APPLICATION, 401, 41, "friendly-scanner"),
    ("192.0.2.205", "RU", Reason.DIGEST_WRONG, 401, 23, "Asterisk PBX 18.9"),
)


def write(applications: Mapping[str, str]) -> int:
    """Write it for applications by name, and return the number of calls."""
    now = time.time()
    reports = [*_calls(applications, now), *_refusals(applications, now)]
    for first in range(0, len(reports), AT_ONCE):
        write_reports(reports[first : first + AT_ONCE])
    return CALLS


def _calls(applications: Mapping[str, str], now: float) -> Iterator[Report]:
    for number in range(1, CALLS + 1):
        name, source, numbers, url = CUSTOMERS[number * 7 % 10 % len(CUSTOMERS)]
        talk = 20 + number * 37 % 190
        # The nearer, the denser: the last hour has about a fifth of them.
        begun = now - talk - 20 - (DAY - 900) * (number / CALLS) ** 2
        call = CallFacts(
            call_id=f"c-{number:08x}-6f1d2a77-3c19-4f0e-8b52-{number * 7_919:012x}",
            application_id=applications[name],
            account_id=ACCOUNT,
            sip_call_id=f"{number * 104_729:08x}@{source}",
            from_uri=f"sip:{numbers}{number % 10}@{source}",
            to_uri=f"sip:{applications[name]}@sip.voice.example",
            source_ip=source,
            source_port=5060,
            country="US",
            started_at=begun,
        )
        yield from _call(call, number, begun, begun + talk, url)


def _call(call: CallFacts, number: int, begun: float, over: float, url: str) -> Iterator[Report]:
    """Yield one call: one in eleven is given up, one in forty fails at its webhook."""
    is_cancelled, has_failed = number % 11 == 5, number % 40 == 21
    asked, took = '{"eventType": "initiate"}', 18 + number * 53 % 140
    yield CallAdmitted(call, "sipproxy-edge-1")
    yield WebhookFetched(call, "initiate", begun + 0.01, url, "POST", asked, 502 if has_failed else 200, "<Response/>", took, None)
    if is_cancelled or has_failed:
        reason = EndReason.CALLBACK_ERROR if has_failed else EndReason.CALLER_CANCELLED
        error = "The callback answered 502." if has_failed else None
        yield CallEnded(call, "callflow-edge-1", begun + 6, reason, None, 500 if has_failed else 487, error, None, None)
        return
    answered = begun + took / 1000 + 0.02
    yield CallAnswered(call, "callflow-edge-1", answered)
    if number % 2:
        yield WebhookFetched(call, "gather", begun + 9, url, "POST", '{"eventType": "gather"}', 200, "<Response/>", took // 2, None)
    yield from _media(call, number, answered, over)
    reason = EndReason.CALLER_HANGUP if number % 3 else EndReason.APPLICATION_HANGUP
    yield CallEnded(call, "callflow-edge-1", over, reason, answered, 200, None, None, None)


def _media(call: CallFacts, number: int, answered: float, over: float) -> Iterator[Report]:
    """Yield the figures of both sides; two calls to the hotel within the hour are not heard, and some sound bad."""
    packets = int(50 * (over - answered))
    is_unheard, is_poor = number in (12, 24), number % 29 == 9
    sent = 0 if is_unheard else packets
    lost, mos = (packets // 9, 2.8) if is_poor else (number % 4, 4.1 + number % 4 / 10 if sent else None)
    local, shown = f"{call.source_ip}:{30_000 + 2 * number}", f"{call.source_ip}:{40_000 + 2 * number}"
    seen = local if sent else ""
    outside = MediaFigures("external", sent, 160 * sent, packets, lost, 2.0 + number % 7, 31.0, mos, 0, "kernel", 0, shown, seen)
    inside = MediaFigures("internal", packets, 160 * packets, sent, 0, 0.2, None, 4.4, 0, "kernel", 0, "10.0.0.5:41000", "10.0.0.5:41000")
    for side in (outside, inside):
        yield MediaReport(call.call_id, "mediarelay-edge-1", over, side, True)


def _refusals(applications: Mapping[str, str], now: float) -> Iterator[Report]:
    """Yield what strangers were refused: a scanner, and somebody who guesses passwords."""
    for place, (source, country, reason, status, times, agent) in enumerate(STRANGERS):
        known = applications["Harbour Hotel"] if reason is Reason.DIGEST_WRONG else None
        if known:
            rule, expected, seen = "digest", "a valid digest for the application", "wrong"
        else:
            rule, expected, seen = "application", "a SIP URI in use", f"10{place}"
        trace = (RuleResult(rule, "failed", expected, seen),)
        for number in range(times):
            at = now - 180 - number * (97 + 40 * place)
            call_id, count = f"{number:x}@{source}", 1 + number % 3
            yield RefusalSeen(known, source, reason, status, count, at, at, country, f"10{place}", call_id, agent, trace)
