"""What the web role's database holds when a browser looks at it."""

from __future__ import annotations

from tests.support.fleet import Application, Fleet

EVIL = '<script>document.title="owned"</script>'
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


def store_call(web: Fleet, application: Application) -> str:
    """Store a call with a ladder, media and a webhook, a refusal and bans, and return the call's id."""
    code = SEED.format(app=application.application_id, uri=application.sip_uri, evil=EVIL)
    stored: str = web.python(code)
    return stored
