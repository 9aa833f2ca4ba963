"""What of a call's messages is stored and exported, and which secrets never are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipproxy.config import HepConfig
from sipproxy.core.events import MessageSeen, ProxyEvent, ReportMade
from sipproxy.core.message_trace import MAX_COUNTED, MAX_LADDER_TEXT, MessageTrace, masked
from sipproxy.sip import Request
from tests.unit.proxy.harness import CALLER, CONFIG, INTERNAL, NODE_A, OUTSIDE, TLS, UDP, URI, ProxyHarness, application
from voiceapps.rules.reports import LadderMessage

CALL = "c-95ac8d6e-1a31c52e-b38f-4198-93c1-000000000001"
HEP = HepConfig("192.0.2.1", 9060, 2001)
SECRET = "0123456789abcdef"
LINE = b"INVITE sip:a@b SIP/2.0\r\n"


def drawn(*, stores: bool = True, hep: HepConfig | None = None, body: bytes = b"", **headers: str) -> list[ProxyEvent]:
    events: list[ProxyEvent] = []
    config = replace(CONFIG, stores_messages=stores, hep=hep)
    trace = MessageTrace(config, wall=lambda at: 1_000 + at, tell=events.append, shows_digits=lambda _: True)
    request = Request.build("INVITE", "sip:a@b", [("Via", "SIP/2.0/UDP a"), *headers.items()], body)
    trace.trace(CALL, TLS, request, 5.0, came_from=CALLER, sent_to=None)
    return events


def record(events: list[ProxyEvent]) -> LadderMessage:
    (event,) = events
    assert isinstance(event, ReportMade)
    assert isinstance(event.record, LadderMessage)
    return event.record


def copy(events: list[ProxyEvent]) -> MessageSeen:
    (event,) = events
    assert isinstance(event, MessageSeen)
    return event


@pytest.mark.parametrize(("stores", "hep", "kinds"), [
    (False, None, []),
    (True, None, [ReportMade]),
    (False, HEP, [MessageSeen]),
    (True, HEP, [MessageSeen, ReportMade]),
])  # fmt: skip
def test_each_message_goes_only_where_it_is_wanted(stores: bool, hep: HepConfig | None, kinds: list[type]) -> None:
    assert [type(event) for event in drawn(stores=stores, hep=hep)] == kinds


def test_a_message_that_nobody_wants_is_not_serialised() -> None:
    class Untouched(Request):
        def __bytes__(self) -> bytes:
            raise AssertionError("It was written out.")

    trace = MessageTrace(replace(CONFIG, stores_messages=False), wall=lambda at: at, tell=lambda event: None, shows_digits=lambda _: True)
    trace.trace(CALL, UDP, Untouched("BYE", "sip:a", [], [], b""), 1.0, came_from=CALLER, sent_to=None)


def test_a_record_and_a_copy_say_the_same() -> None:
    kept, sent = record(drawn(Subject="hello")), copy(drawn(Subject="hello", stores=False, hep=HEP))
    assert (kept.at, kept.source, kept.destination, kept.transport) == (1005.0, "198.51.100.7:5080", "203.0.113.5:5061", "TLS")
    assert (sent.at, sent.source, sent.destination, sent.transport) == (1005.0, CALLER, TLS.address, TLS.transport)
    assert sent.call_id == kept.call_id == CALL
    assert kept.text.encode() == sent.data
    assert kept.first_line == "INVITE sip:a@b SIP/2.0"


@pytest.mark.parametrize(
    "field",
    [
        f'Authorization: Digest username="a", response="{SECRET}", uri="sip:a"',
        f"Proxy-Authorization: Digest response={SECRET}",
        f'AUTHORIZATION : digest qop=auth,\r\n\tresponse\r\n = "{SECRET}"',
        f'Authorization:\r\n Digest response="a", RESPONSE="{SECRET}"',
        f'Authorization: Digest response="\\"{SECRET}"',
        f'Authorization: Digest response="{SECRET}',
        f'Authorization: Digest username="\r", response="{SECRET}"',
        f'Authentication-Info: nextnonce="b", rspauth="{SECRET}"',
        f"proxy-authentication-info: rspauth={SECRET}",
        f"Authorization: Basic {SECRET}",
        f"Authorization: {SECRET}",
        f"Authorization: response={SECRET}",
    ],
)
def test_secrets_are_masked_and_nothing_else(field: str) -> None:
    before, after = b"Subject: response=1\r\n", b"\r\nVia: x;response=2\r\n\r\nresponse=3"
    clean = masked(LINE + before + field.encode() + after)
    assert SECRET.encode() not in clean
    assert b"***" in clean
    assert clean.startswith(LINE + before)
    assert clean.endswith(after)


@pytest.mark.parametrize("field", ["Authorization:", 'Proxy-Authenticate: Digest nonce="response=1"', "X: author response=1"])
def test_what_is_no_secret_stays(field: str) -> None:
    message = LINE + field.encode() + b"\r\nVia: x\r\n\r\n"
    assert masked(message) == message


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{SECRET}|2^31|1:4 WSH=64", "inline:***|2^31|1:4 WSH=64"),
        (f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 INLINE:{SECRET};inline:{SECRET}", "INLINE:***;inline:***"),
        (f"A=Crypto: 1 X inline:{SECRET}", "inline:***"),
        (f"a=key-mgmt:mikey {SECRET}", "mikey ***"),
    ],
)
def test_keys_of_media_are_masked(line: str, shown: str) -> None:
    body = f"v=0\r\nm=audio 4000 RTP/SAVP 0\r\n{line}\r\na=sendrecv\r\n".encode()
    clean = masked(LINE + b"\r\n" + body)
    assert SECRET.encode() not in clean
    assert f"{shown}\r\na=sendrecv\r\n".encode() in clean
    assert masked(clean) == clean


def test_a_message_inside_a_message_is_masked_too() -> None:
    body = f'SIP/2.0 200 OK\r\nAuthorization: Digest response="{SECRET}"\r\n'.encode()
    assert SECRET not in record(drawn(body=body)).text


@given(
    st.lists(
        st.sampled_from(['"', "\\", "\r\n ", "\r\n", "\r", "\n", ",", "=", " ", "response", "Digest", "\nAuthorization:", "x"]), max_size=40
    )
)
def test_masking_changes_no_line_without_a_secret(parts: list[str]) -> None:
    message = LINE + "".join(parts).encode() + b"\r\nVia: x\r\n\r\n"
    clean = masked(message)
    assert clean.endswith(b"\r\nVia: x\r\n\r\n")
    assert masked(clean) == clean


def test_stored_text_is_printable_and_bounded() -> None:
    kept = record(drawn(Subject="a\x00b\u202ec", body=b"\xff" * 20_000)).text
    assert MAX_LADDER_TEXT - 3 < len(kept) <= MAX_LADDER_TEXT
    assert "a\ufffdb\ufffdc" in kept
    assert kept.startswith("INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP a\r\n")


def test_controls_are_replaced_in_ascii_too() -> None:
    assert "Subject: a\ufffdb\tc" in record(drawn(Subject="a\x1bb\tc")).text


def test_no_secret_is_left_at_the_cut() -> None:
    for padding in range(MAX_LADDER_TEXT - 120, MAX_LADDER_TEXT):
        kept = record(drawn(Subject="x" * padding, Authorization=f'Digest response="{SECRET}"')).text
        assert SECRET[:4] not in kept


def whole_call(**changes: object) -> Iterator[ProxyEvent]:
    harness = ProxyHarness(replace(CONFIG, **changes))  # type: ignore[arg-type]  # fields of the configuration
    harness.service()
    events: list[ProxyEvent] = []
    handle = harness.on_event

    def keep(event: ProxyEvent, now: float) -> None:
        events.append(event)
        if not isinstance(event, MessageSeen):
            handle(event, now)

    harness.on_event = keep  # type: ignore[method-assign]  # the test looks over its shoulder
    attempt = harness.caller().call(URI, harness.now)
    harness.run(5)
    assert attempt.statuses == [407, 100, 180, 200]
    return iter(events)


def test_a_call_is_exported_message_by_message() -> None:
    seen = [event for event in whole_call(hep=HEP, stores_messages=False) if isinstance(event, MessageSeen)]
    ways = [(event.source, event.destination, event.data.split(b" ")[0 if b"SIP/2.0\r\n" in event.data[:200] else 1]) for event in seen]
    outside, inside = OUTSIDE, INTERNAL.address
    assert sorted(ways) == sorted(
        [
            *((CALLER, outside, method) for method in (b"INVITE", b"ACK", b"BYE")),
            *((outside, CALLER, status) for status in (b"100", b"180", b"200", b"200")),
            *((inside, NODE_A, method) for method in (b"INVITE", b"ACK", b"BYE")),
            *((NODE_A, inside, status) for status in (b"180", b"200", b"200")),
        ]
    )
    assert any(b'response="***"' in event.data for event in seen)


def test_without_stored_messages_only_the_records_of_a_call_are_written() -> None:
    records = [event.record for event in whole_call(stores_messages=False) if isinstance(event, ReportMade)]
    assert not any(isinstance(made, LadderMessage) for made in records)
    assert len(records) == 1


def test_the_calls_that_are_counted_are_bounded() -> None:
    trace = MessageTrace(CONFIG, wall=lambda at: at, tell=lambda event: None, shows_digits=lambda _: True)
    for number in range(MAX_COUNTED + 5):
        trace.trace(f"c-{number}", UDP, LINE, 1.0, came_from=CALLER, sent_to=None)
    assert len(trace._stored) == MAX_COUNTED


# Digits of callers, for applications that want them nowhere.

INFO = (
    b"INFO sip:a@b SIP/2.0\r\nCall-ID: a-5\r\nContent-Type: application/dtmf-relay\r\nContent-Length: 24\r\n\r\n"
    b"Signal=5\r\nDuration=160\r\n"
)


def told(data: bytes, *, shows_digits: bool, hep: HepConfig | None = None) -> list[ProxyEvent]:
    events: list[ProxyEvent] = []
    trace = MessageTrace(replace(CONFIG, hep=hep), wall=lambda at: at, tell=events.append, shows_digits=lambda _: shows_digits)
    trace.trace(CALL, UDP, data, 1.0, came_from=CALLER)
    return events


def test_digits_are_masked_in_records_and_copies() -> None:
    copy, made = told(INFO, shows_digits=False, hep=HEP)
    assert isinstance(copy, MessageSeen)
    head, _, body = copy.data.partition(b"\r\n\r\n")
    assert (head, body) == (INFO.partition(b"\r\n\r\n")[0], b"********\r\n************\r\n")
    assert record([made]).text.encode() == copy.data
    assert record(told(INFO, shows_digits=True)).text.encode() == INFO


@pytest.mark.parametrize("kind", [b"application/dtmf", b"text/plain", b"application/kpml-response+xml"])
@pytest.mark.parametrize("method", [b"INFO", b"NOTIFY", b"MESSAGE", b"info"])
def test_no_other_body_shows_a_digit(method: bytes, kind: bytes) -> None:
    data = method + b" sip:a@b SIP/2.0\r\nContent-Type: " + kind + b"\r\n\r\n5"
    assert record(told(data, shows_digits=False)).text.endswith("\r\n\r\n*")


@pytest.mark.parametrize("start", [b"INVITE sip:a@b SIP/2.0", b"UPDATE sip:a@b SIP/2.0", b"PRACK sip:a@b SIP/2.0", b"SIP/2.0 200 OK"])
def test_descriptions_stay(start: bytes) -> None:
    data = start + b"\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n"
    assert record(told(data, shows_digits=False)).text.encode() == data


@pytest.mark.parametrize(("masks", "known", "shown"), [(False, True, True), (True, True, False), (False, False, False)])
def test_the_digits_of_a_call_are_shown_if_its_application_is_known_to_allow_it(masks: bool, known: bool, shown: bool) -> None:
    harness = ProxyHarness()
    harness.applications = [application(mask_digits=masks)]
    caller, _ = harness.caller(), harness.service()
    caller.talk_seconds = None
    attempt = caller.call(URI, harness.now)
    harness.run(1)
    assert attempt.leg is not None
    if not known:
        # Another worker, which has not seen the INVITE, gets the digit.
        harness.restart()
    digit = caller.inside(attempt.leg, "INFO")
    digit.set_body(b"Signal=5\r\nDuration=160\r\n", "application/dtmf-relay")
    caller.layer.send_request(digit, attempt.leg.peer, harness.now)
    harness.run(1)
    texts = [message.text for message in harness.ladder if message.first_line.startswith("INFO")]
    assert len(texts) == 2
    assert ["Signal=5" in text for text in texts] == [shown, shown]
    assert all("Duration" in text or text.endswith("********\r\n************\r\n") for text in texts)
