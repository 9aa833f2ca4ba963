"""The caller's headers as data for the call flow, where an application asks for them."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipproxy.headers.caller_headers import carried_text
from sipproxy.headers.limits import MAX_CARRIED_HEADERS, MAX_CARRIED_NAME, MAX_CARRIED_TEXT, MAX_CARRIED_VALUE
from sipproxy.sip import Request, parse_message
from tests.support.sip import make_request
from tests.unit.proxy.harness import URI, ProxyHarness, application

Pairs = list[tuple[str, str]]


def read(text: str) -> dict[str, str]:
    assert "=" not in text
    found = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    assert isinstance(found, dict)
    return found


def carried(extra: Pairs, from_: str = "<sip:desk@pbx.example>;tag=f1") -> dict[str, str]:
    request = make_request(branch="z9hG4bKa", extra=extra)
    request.replace("From", from_)
    return read(carried_text(request))


def test_the_headers_that_a_backend_may_see() -> None:
    extra = [
        ("X-Account", "7"),
        ("x-account", "8"),
        ("P-Asserted-Identity", '"Ann" <sip:+15550100@carrier.example>'),
        ("Privacy", "id"),
        ("History-Info", "<sip:a@b>;index=1"),
        ("History-Info", "<sip:c@b>;index=1.1"),
        ("Subject", "not asked for"),
        ("P-Sipuri-Call", "forged"),
        ("Authorization", "secret"),
    ]
    assert carried(extra, '"Ann \\"A\\" Lee" <sip:desk@pbx.example>;tag=f1') == {
        "from": 'Ann "A" Lee',
        "p-asserted-identity": '"Ann" <sip:+15550100@carrier.example>',
        "privacy": "id",
        "x-account": "8",
        "history-info": "<sip:a@b>;index=1, <sip:c@b>;index=1.1",
    }


def test_no_display_name_is_no_entry() -> None:
    assert carried([]) == {}
    assert carried([], '"" <sip:desk@pbx.example>;tag=f1') == {}


def test_values_are_printable() -> None:
    assert carried([("X-A", "a\x1b[31m\u202eb\udcff")]) == {"x-a": "a\ufffd[31m\ufffdb\ufffd"}


def test_what_is_too_much_is_left_out() -> None:
    long_name = "X-" + "n" * MAX_CARRIED_NAME
    assert carried([("X-A", "a" * (MAX_CARRIED_VALUE + 1)), (long_name, "b"), ("X-C", "c" * MAX_CARRIED_VALUE)]) == {
        "x-c": "c" * MAX_CARRIED_VALUE
    }
    many = carried([(f"X-{number}", "1") for number in range(MAX_CARRIED_HEADERS + 5)])
    assert list(many) == [f"x-{number}" for number in range(MAX_CARRIED_HEADERS)]


@given(
    st.lists(st.tuples(st.integers(0, 9), st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=3_000)), max_size=12)
)
def test_the_whole_fits_into_one_line(headers: list[tuple[int, str]]) -> None:
    request = make_request(branch="z9hG4bKa", extra=[(f"X-{number}", value) for number, value in headers])
    text = carried_text(request)
    assert len(text) <= MAX_CARRIED_TEXT
    request.append("P-Sipuri-Headers", text)
    # Long lines of the caller itself are refused before anybody asks for them.
    request.remove_if(lambda key: key.startswith("x-"))
    assert isinstance(parse_message(bytes(request)), Request)


@pytest.mark.parametrize("wanted", [True, False])
def test_the_call_flow_gets_them_if_the_application_asks(wanted: bool) -> None:
    harness = ProxyHarness()
    harness.applications = [application(sip_headers=wanted)]
    caller, service = harness.caller(), harness.service()
    caller.talk_seconds = None
    attempt = caller.call(URI, harness.now, extra=[("X-Account", "7"), ("P-Sipuri-Headers", "forged")])
    harness.run(1)
    invite = service.requests[0]
    assert not invite.count("x-account")
    assert [read(text) for text in invite.headers("p-sipuri-headers")] == ([{"x-account": "7"}] if wanted else [])
    assert attempt.leg is not None
    caller.layer.send_request(caller.inside(attempt.leg, "INVITE", extra=[("X-Account", "8")]), attempt.leg.peer, harness.now)
    harness.run(1)
    again = next(request for request in service.requests[1:] if request.method == "INVITE")
    assert (again.count("x-account"), again.count("p-sipuri-headers")) == (0, 0)
