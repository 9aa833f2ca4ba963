"""What the first INVITE says of its caller: diversion, user-to-user information, and headers that the proxy hands on."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callflow.sip.caller_details import MAX_SIP_HEADERS, MAX_UUI, read_caller_details
from sipproxy.sip import Request
from tests.unit.user_agent.link import server
from tests.unit.user_agent.raw import Raw
from voiceapps.rules.webhook_bodies import CallerDetails


def invite(*headers: tuple[str, str]) -> Request:
    return Request.build("INVITE", "sip:a@b", headers)


def packed(headers: object) -> str:
    return urlsafe_b64encode(json.dumps(headers).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    ("values", "diversion"),
    [
        ([], {}),
        (
            ['"Ann" <sip:+15550100@carrier.example;user=phone>;reason=user-busy;privacy=off;screen=no;counter=1;limit=5'],
            {"origTo": "+15550100", "reason": "user-busy", "privacy": "off", "screen": "no", "counter": "1", "limit": "5"},
        ),
        (["<tel:+1-555-0100>;Reason=unconditional"], {"origTo": "+1-555-0100", "reason": "unconditional"}),
        (
            ["<sip:0100@a.example>;reason=no-answer, <sip:0200@a.example>", "<sip:0300@a.example>"],
            {"origTo": "0100", "reason": "no-answer"},
        ),
        (['sip:sales@a.example;ext="a; \\"b\\"";flag'], {"origTo": "sip:sales@a.example", "ext": 'a; "b"', "flag": ""}),
        (["<sip:0100@a.example>;=bad"], {}),
        (['"unbalanced <sip:0100@a.example>, x'], {}),
        (["nonsense"], {}),
        ([""], {}),
    ],
)
def test_the_topmost_diversion_counts(values: list[str], diversion: dict[str, str]) -> None:
    assert read_caller_details(invite(*(("Diversion", value) for value in values))).diversion == diversion


@pytest.mark.parametrize(
    ("value", "uui"),
    [
        ("48656c6c6f;encoding=hex", "48656c6c6f;encoding=hex"),
        ("48656c6c6f", "48656c6c6f;encoding=hex"),
        ("SGVsbG8= ; purpose=x ; Encoding=BASE64", "SGVsbG8=;encoding=base64"),
        ("a.b.c;encoding=jwt;content=y", "a.b.c;encoding=jwt"),
        ("48;encoding=rot13", ""),
        (";encoding=hex", ""),
        ("48;=", ""),
        ("é;encoding=hex", ""),
        ("4" * (MAX_UUI - 13) + ";encoding=hex", "4" * (MAX_UUI - 13) + ";encoding=hex"),
        ("4" * (MAX_UUI - 12) + ";encoding=hex", ""),
    ],
)
def test_user_to_user_information_has_its_encoding(value: str, uui: str) -> None:
    assert read_caller_details(invite(("User-To-User", value))).uui == uui


@pytest.mark.parametrize(
    ("text", "headers"),
    [
        (
            packed({"x-order": "7", "from": "Ann", "history-info": "<sip:a@b>;index=1"}),
            {"x-order": "7", "from": "Ann", "history-info": "<sip:a@b>;index=1"},
        ),
        (packed({"x-one": 1, "x-two": ["b"], "x-three": "c"}), {"x-three": "c"}),
        (packed({"x-line": "a\r\nb\ud800"}), {"x-line": "a\ufffd\ufffdb?"}),
        (packed(["x"]), {}),
        ("[" * 5000, {}),
        (urlsafe_b64encode(b"[" * 100_000).decode(), {}),
        ("!!", {}),
        ("", {}),
    ],
)
def test_headers_that_the_proxy_hands_on(text: str, headers: dict[str, str]) -> None:
    assert read_caller_details(invite(("P-Sipuri-Headers", text))).sip_headers == headers


def test_headers_are_bounded() -> None:
    text = packed({f"x-{number}": "v" for number in range(MAX_SIP_HEADERS + 5)})
    assert len(read_caller_details(invite(("P-Sipuri-Headers", text))).sip_headers) == MAX_SIP_HEADERS


@given(st.text(st.characters(blacklist_characters="\r\n"), max_size=60), st.sampled_from(("Diversion", "User-To-User", "P-Sipuri-Headers")))
def test_no_value_fails_a_call(value: str, name: str) -> None:
    json.dumps(read_caller_details(invite((name, value.encode("utf-8", "replace").decode()))).diversion)


def test_the_event_of_a_new_call_has_them() -> None:
    raw = Raw(server())
    told = ("P-Sipuri-Headers", packed({"x-order": "7"}))
    raw.invite(headers=("Diversion: <sip:0100@a.example>", "User-To-User: 48"), told=(told,))
    assert raw.arrive().details == CallerDetails({"origTo": "0100"}, "48;encoding=hex", {"x-order": "7"})
