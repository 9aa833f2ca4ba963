"""Calls of 30 days with what belongs to them. One in fifty has a verdict that is not good; addresses, numbers and applications repeat."""

from __future__ import annotations

from bench.console.rows.making import address, ago, digits, hexadecimal, insert, uuid
from bench.console.rows.sizes import Sizes
from voiceapps.models import (
    Call,
    CallEvent,
    CallVerdict,
    MediaLeg,
    OpenCall,
    Recording,
    Transcription,
    WebhookAttempt,
    WebhookDelivery,
)

DAY_SECONDS = 86_400
DAYS = 30
MESSAGE = "INVITE sip:someone@sip.example SIP/2.0" + "x" * 160
_URL = "https://a.example/status"


def call_id(number: str) -> str:
    """Return the id of the call of a number, as the database makes it."""
    return f"'c-' || {hexadecimal(number)} || '-00000000-0000-4000-8000-000000000000'"


def fill(sizes: Sizes) -> None:
    """Make the rows; the calls before the newest ones have ended."""
    step = DAYS * DAY_SECONDS / sizes.calls
    began = f"i * {step}"
    up, ended = range(1, sizes.live + 1), range(sizes.live + 1, sizes.calls + 1)
    insert(Call, up, _call(began), {**_CALL, "state": "answered"})
    insert(Call, ended, _call(began) | {"ended_at": ago(f"{began} - 60.0")}, {**_CALL, **_OVER})
    insert(OpenCall, up, _of_call(began), {"proxy_node": "sipproxy-1", "callflow_node": "callflow-1"})
    insert(CallVerdict, ended, {**_of_call(began), "code": _CODE})
    of_event = f"(1 + (i - 1) * {sizes.calls} / {sizes.events})"
    at = ago(f"{of_event} * {step} - 0.5")
    insert(CallEvent, range(1, sizes.events + 1), {"call_id": call_id(of_event), "at": at}, _EVENT)
    heavy = {"call_id": call_id(f"{sizes.heavy} + 0 * i"), "at": ago(f"{sizes.heavy * step} - i")}
    insert(CallEvent, range(1, sizes.heavy_events + 1), heavy, _EVENT)
    for leg in ("external", "internal"):
        insert(MediaLeg, range(1, sizes.media + 1), {"call_id": call_id("i"), "at": ago(began)}, {**_MEDIA, "leg": leg})
    _webhooks(sizes, step)
    _recordings(sizes, step)


def _webhooks(sizes: Sizes, step: float) -> None:
    count = range(1, sizes.deliveries + 1)
    ended = {"delivery_id": uuid("i"), "account_id": "a.account", "call_id": call_id("i"), "state": _STATE}
    made = {**_DELIVERY, "event_type": "disconnect", "body": {"eventType": "disconnect"}}
    insert(WebhookDelivery, count, ended | {"created_at": ago(f"i * {step} - 60.0")}, made)
    insert(WebhookAttempt, count, _attempt(f"i * {step} - 60.1"), _ATTEMPT)
    heavy, of = range(count[-1] + 1, count[-1] + sizes.heavy_deliveries + 1), f"{sizes.heavy} + 0 * i"
    at = f"{sizes.heavy * step} - i + {count[-1]}"
    own = {"delivery_id": uuid("i"), "account_id": "a.account", "call_id": call_id(of), "created_at": ago(at)}
    said = {"event_type": "gather", "body": {"eventType": "gather", "digits": "12" * 100}, "state": "delivered", "synchronous": True}
    insert(WebhookDelivery, heavy, own, {**_DELIVERY, **said}, of=of)
    insert(WebhookAttempt, heavy, _attempt(at), {**_ATTEMPT, "response_body": "<Response/>" * 50})


def _recordings(sizes: Sizes, step: float) -> None:
    """Make recordings of calls that lie evenly apart, and what was written down of them."""
    count, of = range(1, sizes.recordings + 1), f"{sizes.calls // sizes.recordings} * i"
    at, name = ago(f"{of} * {step} - 2.0"), f"'r-' || {uuid('i')}"
    own = {
        "recording_id": name,
        "call_id": call_id(of),
        "account_id": "a.account",
        "started_at": at,
        "ended_at": at,
        "path": f"'bench/' || {hexadecimal('i')}",
    }
    insert(Recording, count, own, {"file_format": "wav", "channels": 1, "duration_ms": 20_000}, of=of)
    said = {"transcription_id": f"'t-' || {uuid('i')}", "recording_id": name, "account_id": "a.account", "ordered_at": at}
    insert(Transcription, count, said, {"status": "available", "clips": "[]", "tries": 1}, of=of)


def _call(began: str) -> dict[str, str]:
    number = f"'4930' || {digits('i % 100000', 7)}"
    return {
        **_of_call(began),
        "sip_call_id": f"{hexadecimal('i')} || '@pbx.example'",
        "from_uri": f"'sip:+' || {number} || '@pbx.example'",
        "from_number": number,
        "source_ip": address("203.0"),
        "answered_at": ago(f"{began} - 1.0"),
    }


def _of_call(began: str) -> dict[str, str]:
    return {"call_id": call_id("i"), "account_id": "a.account", "application_id": "a.id", "started_at": ago(began)}


def _attempt(seconds: str) -> dict[str, str]:
    return {"delivery_id": uuid("i"), "at": ago(seconds), "latency_ms": "20 + i % 100"}


_CODE = "CASE WHEN i % 50 = 0 THEN 'caller_unheard' WHEN i % 500 = 207 THEN 'node_lost' ELSE 'heard' END"
_STATE = "CASE WHEN i % 100 = 0 THEN 'failed' ELSE 'delivered' END"
_CALL = {
    "to_uri": "sip:app@sip.example",
    "source_port": 5060,
    "country": "DE",
    "proxy_node": "sipproxy-1",
    "callflow_node": "callflow-1",
}
_OVER = {"state": "disconnected", "end_class": "success", "end_reason": "caller_hangup", "sip_status": 200}
_EVENT = {
    "leg": "caller",
    "transport": "UDP",
    "source": "203.0.113.9:5060",
    "destination": "198.51.100.1:6160",
    "first_line": "INVITE sip:someone@sip.example SIP/2.0",
    "text": MESSAGE,
}
_MEDIA = {
    "node": "relay-1",
    "packets_in": 3_000,
    "bytes_in": 480_000,
    "packets_out": 2_990,
    "lost": 3,
    "jitter_ms": 1.5,
    "mos": 4.2,
    "ssrc_changes": 0,
    "plane": "kernel",
    "payload_type": 0,
    "final": True,
}
_DELIVERY = {"url": _URL, "host": "a.example:443", "method": "POST"}
_ATTEMPT = {"url": _URL, "status": 200}
