"""What strangers send at its worst, in every column that they can reach: run beside a fleet's database."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from datetime import timedelta

from django.contrib.auth.models import User
from django.utils import timezone

from voiceapps.models import (
    Account,
    CallExport,
    CallSimulation,
    FailingHost,
    PlacedCall,
    RefusedAttempt,
    SavedFilter,
    Transcription,
    VoiceApplication,
    WebhookAttempt,
    WebhookDelivery,
)
from voiceapps.rules.admission import Reason, RuleResult
from voiceapps.rules.bans import BanReason
from voiceapps.rules.endings import EndReason
from voiceapps.rules.media_figures import MediaFigures
from voiceapps.rules.people.roles import Role
from voiceapps.rules.reports import (
    CallAdmitted,
    CallAnswered,
    CallEnded,
    CallFacts,
    CallNotice,
    LadderMessage,
    MediaNotice,
    MediaReport,
    NodeBeat,
    RecordingStored,
    RefusalSeen,
    Report,
    SourceBanned,
    WebhookFetched,
)
from voiceapps.rules.trials.call_simulation import Line, LineKind, Script, SimulatedCall, Turn
from voiceapps.rules.trials.placed_call import Dialling, Outcome, SipLine
from voiceapps.services import audit, bans, clients
from voiceapps.services.audit import Actor
from voiceapps.services.figures import minutes
from voiceapps.services.people import operators
from voiceapps.services.reports import write_reports
from voiceapps.services.trials import placed_calls, simulations

MARKUP = "<script>document.title='owned';owned=1</script><img src=x onerror=\"document.title='owned'\"></p></table></main>{{ 7|add:1 }}"
LINKS = "javascript:document.title='owned' data:text/html,<script>document.title='owned'</script> //evil.example/x.js"
ACTING = "\u202egnp.exe\u2066\u200f\u2028\ufeff\x1b[31m\x07\x7f\t\r\n%00\\u0000"
SHOWN = "שלום مرحبا 你好 👩\u200d👩\u200d👧🏳️\u200d🌈 " + "Z" + "\u0301" * 80
LONG = "W" * 600
START = "<b>\u202e\u2066\x1b"
"""What even a short column holds."""
WORST = f"{START}{MARKUP}{LINKS}{ACTING}{SHOWN}{LONG}"
CALLER = f"sip:{'7' * 600}@a.example"
AGENT = f"User-Agent: {WORST}{'u' * 8192}"
ANSWER = f"<Response><SpeakSentence>{WORST}</SpeakSentence></Response>{'a' * 64 * 1024}"
"""A webhook's answer of 64 KB and more."""
HOST = f"{'h' * 60}.{'x' * 60}.example:8443"
ACTOR = Actor(f"client {WORST}"[:200], "203.0.113.9", "r" * 36)
ACCOUNT = "9900000"


def fill(application_id: str) -> dict[str, str]:
    """Store one of everything, and return the key of each."""
    VoiceApplication.objects.filter(pk=application_id).update(name=WORST[:200], callback_username=WORST[:500])
    Account.objects.filter(pk=ACCOUNT).update(name=WORST[:200])
    row = VoiceApplication.objects.get(pk=application_id)
    call, up = (_facts(row, number) for number in (1, 2))
    write_reports([*_story(call), CallAdmitted(up, "proxy"), CallAnswered(up, WORST[:200], up.started_at), *_around(row, call)])
    minutes.roll_up()
    keys = {"application": application_id, "account": ACCOUNT, "call": call.call_id, "up": up.call_id, "recording": "r-1"}
    return keys | _webhooks(call) | _trials(row) | _records(row)


def _facts(row: VoiceApplication, number: int) -> CallFacts:
    call_id = f"c-{number:08x}-00000000-0000-4000-8000-000000000009"
    return CallFacts(
        call_id, str(row.pk), ACCOUNT, f"{number}{WORST}"[:512], CALLER, f"sip:{WORST}"[:1000], "203.0.113.9", 5060, "US", time.time() - 60
    )


def _story(call: CallFacts) -> list[Report]:
    at, side = (
        call.started_at,
        MediaFigures("external", 500, 80_000, 498, 2, 1.25, 38.5, 4.2, 0, "kernel", 0, "10.0.0.5:4000", "203.0.113.9:47"),
    )
    trace = (RuleResult("host", "passed", WORST, WORST), RuleResult("source_ip", "failed", WORST, WORST))
    return [
        CallAdmitted(call, WORST[:200], trace),
        CallAnswered(call, WORST[:200], at + 1),
        LadderMessage(call.call_id, at, "caller", "203.0.113.9:5060", "198.51.100.1:6160", f"INVITE sip:{WORST} SIP/2.0"[:512], AGENT),
        LadderMessage(call.call_id, at + 1, "caller", "198.51.100.1:6160", "203.0.113.9:5060", f"SIP/2.0 200 {WORST}"[:512], WORST),
        MediaReport(call.call_id, "relay", at, side, final=True),
        MediaReport(call.call_id, "relay", at, replace(side, side="internal"), final=True),
        MediaNotice(call.call_id, at + 4, "external", "10.0.0.5:4000", "198.51.100.1:30000", WORST),
        CallNotice(call.call_id, at + 5, WORST),
        WebhookFetched(call, "initiate", at + 0.1, f"https://b.example/?{LONG}", "POST", json.dumps({"tag": WORST}), 200, ANSWER, 12, None),
        WebhookFetched(
            call, WORST[:32], at + 0.2, f"https://{HOST}/{WORST}", "POST", json.dumps({"digits": "1" * 600}), None, WORST, 12, WORST
        ),
        RecordingStored(call, "r-1", WORST[:1000], at, at + 3, 2000, 1, "wav", WORST[:256]),
        CallEnded(call, WORST[:200], at + 11, EndReason.CALLBACK_ERROR, at + 1, 200, WORST, "e" * 36, WORST),
    ]


def _around(row: VoiceApplication, call: CallFacts) -> list[Report]:
    at = call.started_at
    trace = (RuleResult("source_ip", "failed", WORST, WORST),)
    return [
        RefusalSeen(str(row.pk), "198.51.100.7", Reason.IP_NOT_ALLOWED, 403, 3, at, at, "DE", WORST[:256], WORST[:512], AGENT[:256], trace),
        RefusalSeen(None, "198.51.100.8", Reason.UNKNOWN_APPLICATION, 404, 900, at, at, None, WORST[:256], WORST[:512], AGENT[:256], trace),
        SourceBanned("198.51.100.66", BanReason.WRONG_PASSWORD, WORST[:200], at, at + 6000),
        NodeBeat("sipproxy", f"n{WORST}"[:200], time.time(), "up", "a" * 64, "b" * 64, 1, "c" * 64, "udp:6160,tcp:6160"),
        NodeBeat("mediarelay", "m" * 200, time.time() - 3000, "draining", "", "", 1, ""),
    ]


def _webhooks(call: CallFacts) -> dict[str, str]:
    now = timezone.now()
    asked = {"account_id": ACCOUNT, "call_id": call.call_id, "method": "POST", "url": f"https://{HOST}/{WORST}"[:2048], "host": HOST}
    body = {WORST: WORST, "digits": "1" * 600}
    failed = WebhookDelivery.objects.create(event_type="x" * 32, body=body, state="failed", username=WORST, created_at=now, **asked)
    WebhookDelivery.objects.create(
        event_type="gather", body=body, state="pending", created_at=now, next_attempt_at=now + timedelta(1), **asked
    )
    for status in (500, None):
        error = "" if status else WORST
        WebhookAttempt.objects.create(
            delivery=failed, at=now, url=asked["url"], status=status, response_body=ANSWER[: 64 * 1024], latency_ms=3, error=error
        )
    host = FailingHost.objects.create(
        account_id=ACCOUNT, host=HOST, failures=9, since=now, last_at=now, error=WORST, rests_until=now + timedelta(1)
    )
    fetched = WebhookDelivery.objects.get(call_id=call.call_id, event_type="initiate")
    return {"delivery": str(failed.pk), "fetched": str(fetched.pk), "host": str(host.pk)}


def _trials(row: VoiceApplication) -> dict[str, str]:
    script = Script(WORST[:1000], (Turn(WORST[:1000], 1.0, "1"),), None)
    simulations.order(row, script, actor=ACTOR)
    (planned,) = simulations.claim(1)
    lines = tuple(Line(float(number), kind, f"{WORST}{kind}") for number, kind in enumerate(LineKind))
    simulations.store(planned.simulation_id, SimulatedCall(lines, WORST))
    placed_calls.order(row, Dialling(("1" * 50,) * 10), actor=ACTOR)
    (dialled,) = placed_calls.claim(1)
    told = (SipLine(0.1, "out", f"INVITE {WORST}"), SipLine(0.2, "in", f"SIP/2.0 603 {WORST}"))
    placed_calls.store(dialled.placed_call_id, Outcome("p" * 64, "s" * 64, 603, WORST, None, lines=told, heard=b"\xff" * 800))
    return {"simulation": str(CallSimulation.objects.get().pk), "placed": str(PlacedCall.objects.get().pk)}


def _records(row: VoiceApplication) -> dict[str, str]:
    now, admin = timezone.now(), User.objects.get(username="admin")
    audit.record(ACTOR, "application.update", str(row.pk), {WORST: WORST, "name": LONG}, account=ACCOUNT, before={WORST: ACTING})
    audit.record(ACTOR, "account.set_limits", ACCOUNT, {WORST: [WORST, LONG]}, account=ACCOUNT, before={WORST: WORST})
    audit.record(ACTOR, "ban.place", WORST[:200], {WORST: {WORST: LONG}})
    bans.place("198.51.100.9", 60, actor=ACTOR)
    bans.trust("192.0.2.0/24", WORST[:200], actor=ACTOR)
    person = operators.add(User(username="w" * 150, first_name=WORST[:150], email="e" * 200), Role.VIEWER, row.account, actor=ACTOR)
    SavedFilter.objects.create(operator=admin, page="calls", name=WORST[:60], query="verdict=bad")
    CallExport.objects.create(
        operator=admin,
        query=f"id={LONG}",
        file_format="csv",
        shows_personal=True,
        state="failed",
        problem=WORST,
        created_at=now,
        ended_at=now,
    )
    transcription = Transcription.objects.create(
        transcription_id="t-1",
        recording_id="r-1",
        account_id=ACCOUNT,
        ordered_at=now,
        tag=WORST,
        callback_url=f"https://{HOST}/{WORST}"[:2048],
        status="error",
    )
    client = clients.create(WORST[:200], ["admin"], [row.account], actor=ACTOR)
    assert RefusedAttempt.objects.exists()
    return {"person": str(person.pk), "client": str(client.pk), "transcription": transcription.pk}
