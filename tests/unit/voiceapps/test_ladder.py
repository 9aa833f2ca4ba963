"""The ladder of a call: which way messages went, what is folded, and how it is drawn whatever the wire brought."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from tests.support.sip import Network
from tests.unit.proxy.harness import URI, ProxyHarness
from voiceapps.console.ladder import (
    GAP_SECONDS,
    MAX_LABEL,
    MAX_ROWS,
    MIN_KEEPALIVES,
    REPEAT_SECONDS,
    Folded,
    Gap,
    Kind,
    Lane,
    Row,
    Step,
    as_list,
    proxy_addresses,
    rows,
    step_of,
    steps,
    svg,
    webhook_step,
)
from voiceapps.reads.call_report import LadderLine, WebhookLine
from voiceapps.rules.diagnosis.notices import MEDIA

CALLER, OUTSIDE, INSIDE, NODE = "203.0.113.9:5060", "198.51.100.1:6160", "10.0.0.1:6170", "10.0.0.2:7000"
ENDS = {"caller": (CALLER, OUTSIDE), "callflow": (NODE, INSIDE)}
TITLES = {
    Lane.CALLER: ("Caller", CALLER),
    Lane.PROXY: ("Proxy", "sipproxy-one"),
    Lane.CALLFLOW: ("Call flow", "callflow-one"),
    Lane.WEBHOOK: ("Webhook", "backend.example"),
}
OK, INVITE, ACK, BYE = "SIP/2.0 200 OK", "INVITE sip:a@b SIP/2.0", "ACK sip:a@b SIP/2.0", "BYE sip:a@b SIP/2.0"
OPTIONS = "OPTIONS sip:a@b SIP/2.0"
CSS = Path(__file__).parents[3] / "voiceapps/static/voiceapps/console.css"


def line(seconds: float, leg: str, way: str, first: str, *, cseq: str = "1 INVITE", branch: str = "z9hG4bK-1", **fields: Any) -> LadderLine:
    """Return a message that goes `in` to the proxy, or `out` of it."""
    far, near = ENDS[leg]
    source, destination = (far, near) if way == "in" else (near, far)
    text = f"{first}\r\nVia: SIP/2.0/UDP a;rport;branch={branch}, SIP/2.0/UDP b;branch=z9hG4bK-0\r\nCall-ID: x@y\r\nCSeq: {cseq}\r\n\r\n"
    return replace(LadderLine(seconds, leg, source, destination, first, text), **fields)


def webhook(seconds: float = 0.004, **fields: Any) -> WebhookLine:
    whole = WebhookLine("initiate", seconds, "delivered", "https://backend.example/", 200, 9, "", '{"a": 1}', "<Response/>")
    return replace(whole, **fields)


def notice(seconds: float, sentence: str, leg: str = "caller") -> LadderLine:
    return LadderLine(seconds, leg, "", "", sentence, "", MEDIA)


def a_call() -> list[LadderLine]:
    """Return the messages of a call that the call flow hangs up."""
    bye, inner = "1 BYE", "z9hG4bK-2"
    return [
        line(0.000, "caller", "in", INVITE),
        line(0.002, "callflow", "out", INVITE, branch=inner),
        line(0.002, "caller", "out", "SIP/2.0 100 Trying"),
        line(0.006, "callflow", "in", "SIP/2.0 180 Ringing", branch=inner),
        line(0.006, "caller", "out", "SIP/2.0 180 Ringing"),
        line(0.023, "callflow", "in", OK, branch=inner),
        line(0.023, "caller", "out", OK),
        line(0.024, "caller", "in", ACK, cseq="1 ACK"),
        line(0.024, "callflow", "out", ACK, cseq="1 ACK", branch=inner),
        line(5.491, "callflow", "in", BYE, cseq=bye),
        line(5.491, "caller", "out", BYE, cseq=bye),
        line(5.492, "caller", "in", OK, cseq=bye),
        line(5.492, "callflow", "out", OK, cseq=bye),
    ]


def ways(lines: Sequence[LadderLine], proxies: Sequence[str] = ()) -> list[str]:
    short = {Lane.CALLER: "C", Lane.PROXY: "P", Lane.CALLFLOW: "F", Lane.WEBHOOK: "W"}
    return [f"{short[step.source]}{short[step.target]}" for step in steps(lines, [], proxies)]


def labels(found: Sequence[Row]) -> list[str]:
    return [row.label for row in found]


# Which way.


def test_a_call_is_read_with_the_way_of_each_message() -> None:
    assert ways(a_call()) == ["CP", "PF", "PC", "FP", "PC", "FP", "PC", "CP", "PF", "FP", "PC", "CP", "PF"]
    assert proxy_addresses(a_call()) == {OUTSIDE, INSIDE}
    read = steps(a_call(), [webhook()])
    assert [step.number for step in read] == list(range(1, 15))
    assert [step.label for step in read][:5] == ["INVITE", "INVITE", "100 Trying", "initiate", "180 Ringing"]
    assert read[0].detail == a_call()[0].text


@pytest.mark.parametrize("start", [BYE, OK, "OPTIONS sip:a@b SIP/2.0"])
def test_a_caller_that_moves_is_known_by_the_proxy_and_another_proxy_by_the_caller(start: str) -> None:
    moved = line(6, "caller", "in", start, source="203.0.113.77:999")
    by_another = line(7, "caller", "out", start, source="198.51.100.2:6160")
    both_new = line(8, "caller", "in", start, source="203.0.113.77:999", destination="198.51.100.2:6160")
    assert ways([*a_call(), moved, by_another, both_new])[13:] == ["CP", "PC", "CP"]


def test_a_node_that_takes_a_dialog_over_is_known_by_the_proxy() -> None:
    taken = [line(9, "callflow", "in", BYE, source="10.0.0.3:7000"), line(9, "callflow", "out", OK, destination="10.0.0.3:7000")]
    assert ways([*a_call(), *taken])[13:] == ["FP", "PF"]


def test_what_one_proxy_passes_on_to_another_stays_in_its_lane() -> None:
    other = "10.0.0.9:6170"
    passed = line(9, "callflow", "out", BYE, cseq="2 BYE", destination=other)
    assert ways([*a_call(), passed], [other])[13:] == ["PP"]
    stored_by_both = rows(steps([passed, passed], [], [INSIDE, other]))
    assert labels(stored_by_both) == ["BYE × 2 (between proxies)"]
    assert "h24v8h-24" in svg(stored_by_both, TITLES, link=str)


def test_without_its_first_messages_a_request_is_taken_to_come_from_the_caller() -> None:
    assert ways([line(0, "caller", "in", BYE), line(0, "callflow", "out", BYE)]) == ["CP", "PF"]
    assert ways(a_call()[2:4]) == ["PC", "FP"]


def test_addresses_that_were_seen_at_both_ends_do_not_turn_a_leg_round() -> None:
    other = "10.0.0.9:6170"
    passed = line(9, "callflow", "out", BYE, cseq="2 BYE", destination=other)
    taken_over = line(10, "callflow", "out", "INFO sip:a@b SIP/2.0", source=other)
    assert ways([*a_call(), passed, taken_over, line(11, "callflow", "in", OK)])[14:] == ["PF", "FP"]


@pytest.mark.parametrize(("first", "label", "kind"), [
    ("SIP/2.0 183 Session Progress", "183 Session Progress", Kind.PROVISIONAL),
    ("SIP/2.0 202 Accepted", "202 Accepted", Kind.SUCCESS),
    ("SIP/2.0 302 Moved", "302 Moved", Kind.FAILURE),
    ("sip/2.0 486", "486", Kind.FAILURE),
    ("SIP/2.0 4860 Busy", "SIP/2.0", Kind.REQUEST),
    ("INFO sip:a SIP/2.0", "INFO", Kind.REQUEST),
])  # fmt: skip
def test_a_first_line_says_what_a_message_is(first: str, label: str, kind: Kind) -> None:
    step = step_of(7, line(1.5, "caller", "in", first), {OUTSIDE})
    assert (step.number, step.seconds, step.label, step.kind) == (7, 1.5, label, kind)


def test_a_sentence_without_a_text_is_a_notice_and_a_message_without_one_is_not() -> None:
    step = step_of(1, notice(2.0, "No audio comes from here."), ())
    assert (step.kind, step.source, step.target, step.detail) == (Kind.NOTICE, Lane.CALLER, Lane.CALLER, step.label)
    assert step_of(1, notice(2.0, "The document is empty.", "callflow"), ()).source is Lane.CALLFLOW
    for first in (OK, INVITE):
        assert step_of(1, line(0, "caller", "out", first, text=""), ()).kind is not Kind.NOTICE


@pytest.mark.parametrize(("fields", "kind", "note"), [
    ({}, Kind.WEBHOOK, "200 in 9 ms"),
    ({"status": 503}, Kind.FAILURE, "503 in 9 ms"),
    ({"status": 302, "latency_ms": None}, Kind.FAILURE, "302"),
    ({"status": None, "error": "It timed out."}, Kind.FAILURE, "It timed out."),
    ({"status": None, "state": "pending"}, Kind.WEBHOOK, "pending"),
    ({"status": None, "state": "failed"}, Kind.FAILURE, "failed"),
    # The attempt that failed is shown as such, though a later one delivered it.
    ({"status": 500, "state": "delivered"}, Kind.FAILURE, "500 in 9 ms"),
])  # fmt: skip
def test_a_webhook_shows_its_answer(fields: dict[str, Any], kind: Kind, note: str) -> None:
    step = webhook_step(3, webhook(**fields))
    assert (step.kind, step.note, step.label) == (kind, note, "initiate")
    assert (step.source, step.target) == (Lane.CALLFLOW, Lane.WEBHOOK)
    assert step.detail.startswith('https://backend.example/\n\n{"a": 1}\n\n<Response/>')


# What is folded.


def test_a_call_without_repetitions_is_not_folded_and_its_pause_is_named() -> None:
    found = rows(steps(a_call(), []))
    assert [row for row in found if isinstance(row, Folded)] == []
    assert labels(found)[9:11] == ["⋮ 5.5 s", "BYE"]
    assert len(found) == 14


def test_a_pause_that_is_not_long_is_not_named() -> None:
    at = (0.0, GAP_SECONDS, 2 * GAP_SECONDS + 0.01)
    found = rows([Step(number, seconds, Lane.CALLER, Lane.CALLER, "x", Kind.NOTICE) for number, seconds in enumerate(at)])
    assert [isinstance(row, Gap) for row in found] == [False, False, True, False]


def test_retransmissions_and_what_answers_them_are_folded() -> None:
    lines = [message for at in (0.0, 0.5, 1.5, 3.5) for message in (
        line(at, "caller", "in", INVITE), line(at + 0.001, "caller", "out", "SIP/2.0 100 Trying"),
    )]  # fmt: skip
    found = rows(steps(lines, []))
    assert labels(found) == ["INVITE × 4 (retransmitted)", "100 Trying × 4 (retransmitted)"]
    assert [row.note for row in found if isinstance(row, Folded)] == ["last at 3.500 s", "last at 3.501 s"]


def test_a_success_that_is_repeated_until_its_ack_is_folded_on_both_legs() -> None:
    lines = [message for at in (0.0, 0.5, 1.5) for message in (
        line(at, "callflow", "in", OK, branch="z9hG4bK-2"), line(at, "caller", "out", OK),
        line(at, "caller", "in", ACK, cseq="1 ACK"), line(at, "callflow", "out", ACK, cseq="1 ACK", branch=f"z9hG4bK-{at}"),
    )]  # fmt: skip
    assert labels(rows(steps(lines, []))) == [f"{label} × 3 (retransmitted)" for label in ("200 OK", "200 OK", "ACK", "ACK")]


@pytest.mark.parametrize(
    "between",
    [
        line(0.2, "caller", "in", "UPDATE sip:a SIP/2.0", cseq="2 UPDATE"),
        line(0.2, "caller", "out", OK, cseq="9 INVITE"),
        line(0.2, "caller", "in", "CANCEL sip:a SIP/2.0", cseq="1 CANCEL"),
        notice(0.2, "Something else."),
    ],
)
def test_a_repetition_after_something_else_is_shown_in_its_place(between: LadderLine) -> None:
    lines = [line(0.0, "caller", "in", INVITE), between, line(0.5, "caller", "in", INVITE)]
    assert len(rows(steps(lines, []))) == 3


@pytest.mark.parametrize(
    "other",
    [
        line(0.5, "callflow", "out", INVITE, branch="z9hG4bK-2"),
        line(0.5, "callflow", "out", INVITE, destination="10.0.0.3:7000"),
        line(0.5, "callflow", "out", INVITE, cseq="2 INVITE"),
        line(0.5, "callflow", "out", "RETRY sip:a@b SIP/2.0"),
        line(0.5, "caller", "in", INVITE),
        line(REPEAT_SECONDS + 0.1, "callflow", "out", INVITE),
    ],
)
def test_what_is_no_copy_is_not_folded(other: LadderLine) -> None:
    found = rows(steps([line(0.0, "callflow", "out", INVITE), other], []))
    assert [type(row) for row in found if not isinstance(row, Gap)] == [Step, Step]


def test_what_is_alike_but_no_sip_message_is_not_folded() -> None:
    found = rows(steps([notice(0, "a"), notice(0, "a")], [webhook(), webhook()]))
    assert [type(row) for row in found] == [Step] * 4


def keepalive(number: int, at: float, answer: str = OK) -> list[LadderLine]:
    cseq = f"{number} OPTIONS"
    asked = [line(at, "callflow", "in", OPTIONS, cseq=cseq), line(at, "caller", "out", OPTIONS, cseq=cseq)]
    return asked + [line(at, "caller", "in", answer, cseq=cseq), line(at, "callflow", "out", answer, cseq=cseq)] * bool(answer)


def test_keepalives_are_folded_with_their_answers() -> None:
    lines = [message for number in range(150) for message in keepalive(number, 30.0 * number)]
    (row,) = rows(steps(lines, []))
    assert isinstance(row, Folded)
    assert (row.label, len(row.steps)) == ("OPTIONS and answers × 150 (keep-alive)", 600)
    assert row.note == "last at 4470.000 s"
    drawn = svg([row], TITLES, link=str)
    assert "from" not in drawn
    assert "OPTIONS and answers × 150 (keep-alive), last at 4470.000 s</text>" in drawn


def test_few_keepalives_and_those_that_fail_are_shown() -> None:
    few = [message for number in range(MIN_KEEPALIVES - 1) for message in keepalive(number, float(number))]
    assert [row for row in rows(steps(few, [])) if isinstance(row, Folded)] == []
    ending = [*keepalive(10, 100.0, "SIP/2.0 481 Gone"), *keepalive(11, 100.5, "")]
    lines = [message for number in range(MIN_KEEPALIVES) for message in keepalive(number, float(number))] + ending
    found = rows(steps(lines, []))
    assert labels(found)[0] == f"OPTIONS and answers × {MIN_KEEPALIVES} (keep-alive)"
    assert labels(found)[2:] == ["OPTIONS", "OPTIONS", "481 Gone", "481 Gone", "OPTIONS", "OPTIONS"]


def answered(number: int, at: float, outside: str, inside: str) -> list[LadderLine]:
    asked = keepalive(number, at, "")
    cseq = f"{number} OPTIONS"
    return [*asked, line(at, "caller", "in", outside, cseq=cseq), line(at, "callflow", "out", inside, cseq=cseq)]


@pytest.mark.parametrize("lines", [
    [message for number in range(5) for message in keepalive(number, 30.0 * number, "")],
    [message for number in range(5) for message in answered(number, 30.0 * number, OK, "SIP/2.0 408 Timeout")],
    # The answer to the first one is elsewhere, so that two are left.
    [*keepalive(1, 0.0, ""), notice(0.1, "x"), *keepalive(1, 1.0)[2:], *keepalive(2, 30.0), *keepalive(3, 60.0)],
    # What cannot be told apart is nobody's answer.
    [line(0.0, "caller", "out", OPTIONS, text=""), line(0.1, "caller", "in", OK, text=""), *keepalive(1, 1.0),
     notice(2.0, "x"), *keepalive(2, 30.0), *keepalive(3, 60.0)],
])  # fmt: skip
def test_what_may_not_be_one_row_of_keepalives_is_shown(lines: list[LadderLine]) -> None:
    assert [row for row in rows(steps(lines, [])) if isinstance(row, Folded)] == []


def test_no_pause_is_named_while_copies_still_come() -> None:
    copies = [line(at, "caller", "in", INVITE) for at in (0.0, 0.5, 1.5, 3.5)]
    after = [line(at, "caller", "out", "SIP/2.0 486 Busy") for at in (0.1, 4.4)]
    assert labels(rows(steps([*copies, *after, notice(5.4, "x")], [])))[2:] == ["x"]


@pytest.mark.parametrize("seed", range(4))
def test_what_a_proxy_stores_of_a_call_whose_packets_get_lost_is_read(seed: int) -> None:
    dice = Random(seed)
    harness = ProxyHarness(network=Network(lambda: [0.01] if dice.random() > 0.35 else []))
    harness.service()
    harness.caller().call(URI, 0.0)
    harness.run(60)
    stored = [
        LadderLine(said.at, said.leg, said.source, said.destination, said.first_line, said.text, said.transport) for said in harness.ladder
    ]
    found = rows(steps(stored, []))
    ours = {"{}:{}".format(*listener.address) for listener in harness.listeners.values()}
    assert proxy_addresses(stored) < ours
    far = {"caller": "C", "callflow": "F"}
    assert ways(stored) == ["".join("P" if end in ours else far[said.leg] for end in (said.source, said.destination)) for said in stored]
    messages = [row for row in found if not isinstance(row, Gap)]
    assert len(unfolded(found)) == len(stored) > len(messages)


# How it is drawn.


def drawing(found: Sequence[Row]) -> etree._Element:
    return etree.fromstring(svg(found, TITLES, link=lambda step: f"?step={step.number}&x").encode())


def named(root: etree._Element, style: str) -> list[etree._Element]:
    return [element for element in root.iter() if f"sipuri-ladder-{style}" in element.get("class", "").split()]


def texts(root: etree._Element, style: str) -> list[str]:
    return ["".join(map(str, element.itertext())) for element in named(root, style)]


def whole() -> list[Row]:
    messages = [*a_call(), notice(2.373, "No audio comes from the caller. " + "The session description says so. " * 9)]
    return rows(steps(messages, [webhook(), webhook(5.675, event_type="disconnect", status=500)]))


def test_the_ladder_names_its_lanes_times_and_steps() -> None:
    root = drawing(whole())
    assert (root.get("role"), root.get("aria-label")) == ("group", "Ladder of the call")
    assert texts(root, "name") == ["Caller", "Proxy", "Call flow", "Webhook"]
    assert texts(root, "address") == [CALLER, "sipproxy-one", "callflow-one", "backend.example"]
    assert texts(root, "time")[:4] == ["0.000", "0.002", "0.002", "0.004"]
    assert "⋮ 2.3 s" in texts(root, "time")
    assert texts(root, "label")[:4] == ["INVITE", "INVITE", "100 Trying", "initiate"]
    assert texts(root, "note") == ["200 in 9 ms", "500 in 9 ms"]
    assert [len(named(root, "dashed")), len(named(root, "notice"))] == [2, 1]


def test_each_step_is_a_link_that_says_what_it_is() -> None:
    links = named(drawing(whole()), "step")
    assert [link.get("data-step") for link in links] == [str(number) for number in range(1, 17)]
    assert {(link.get("href"), link.get("tabindex")) for link in links} == {(f"?step={number}&x", "0") for number in range(1, 17)}
    assert links[7].findtext("{*}title") == "0.023 s: 200 OK from proxy to caller"
    assert links[3].findtext("{*}title") == "0.004 s: initiate from call flow to webhook, 200 in 9 ms"


def test_arrows_point_where_the_message_went() -> None:
    root = drawing(rows(steps(a_call()[:4], [])))
    assert [arrow.get("d") for arrow in named(root, "arrow")] == ["M96 61H352", "M352 91H608", "M352 121H96", "M608 151H352"]
    assert [lane.get("x1") for lane in named(root, "lane")] == ["96", "352", "608"]


def test_what_succeeds_and_what_fails_differs_in_colour_and_head() -> None:
    refused = [line(0, "caller", "in", INVITE), line(1, "caller", "out", "SIP/2.0 486 Busy"), line(2, "caller", "out", OK)]
    root = drawing(rows(steps(refused, [])))
    kinds = ("request", "failure", "success")
    assert [step.get("class", "").split()[1] for step in named(root, "step")] == [f"sipuri-ladder-{kind}" for kind in kinds]
    heads = [arrow.get("marker-end") for arrow in named(root, "arrow")]
    assert heads == [f"url(#sipuri-ladder-head-{kind})" for kind in kinds]
    assert set(heads) == {f"url(#{marker.get('id')})" for marker in root.iter("{*}marker")}


def test_only_lanes_in_which_something_happens_are_drawn() -> None:
    assert texts(drawing(rows(steps(a_call()[:1], []))), "name") == ["Caller", "Proxy"]
    assert texts(drawing([]), "name") == []


def test_a_notice_is_cut_to_fit_and_whole_where_the_reader_points() -> None:
    (shown,) = texts(drawing(whole()), "sentence")
    assert shown.startswith("⚠ No audio comes from the caller.")
    assert shown.endswith("…")
    assert len(shown) == 82
    (step,) = named(drawing(whole()), "notice")
    assert (step.findtext("{*}title") or "").count("The session description says so.") == 9


def test_long_labels_are_cut() -> None:
    long = "X" * 500
    one = line(0, "caller", "in", f"{long} sip:a SIP/2.0", cseq=f"1 {long}")
    assert texts(drawing(rows(steps([one], []))), "label") == ["X" * (MAX_LABEL - 1) + "…"]
    (label,) = texts(drawing(rows(steps([one, one], []))), "label")
    assert label.endswith("X… × 2 (retransmitted)")
    assert len(label) == MAX_LABEL


def test_text_of_strangers_is_escaped_and_seen() -> None:
    evil = '<script>&"\u202eko\x00\ud800\ufffe\u2028\t\xad'
    step = Step(1, 0.0, Lane.CALLER, Lane.PROXY, evil, Kind.REQUEST, note=evil)
    sights = '<script>&"⟨U+202E⟩ko⟨U+0000⟩⟨U+D800⟩⟨U+FFFE⟩⟨U+2028⟩⟨U+0009⟩⟨U+00AD⟩'
    assert drawing([step])[-1].findtext("{*}title") == f"0.000 s: {sights} from caller to proxy, {sights}"
    titles = dict.fromkeys(Lane, (evil, evil))
    for markup in (svg([step], titles, link=str), as_list([step], titles, str)):
        assert "<script>" not in markup
        assert "⟨U+202E⟩ko⟨U+0000⟩" in markup
        etree.fromstring(markup.encode())


def test_the_list_says_the_same() -> None:
    root = etree.fromstring(as_list(whole(), TITLES, lambda step: f"?step={step.number}").encode())
    entries = ["".join(map(str, entry.itertext())) for entry in root]
    assert entries[7] == "0.023 s · proxy → caller · 200 OK"
    assert entries[3] == "0.004 s · call flow → webhook · initiate · 200 in 9 ms"
    assert entries[10] == "⋮ 2.3 s"
    assert entries[11].startswith("2.373 s · ⚠ No audio comes from the caller. The session")
    assert [root[7][0].get(name) for name in ("href", "data-step")] == ["?step=8", "8"]


def test_every_class_has_a_rule() -> None:
    drawn = svg(whole(), TITLES, link=str) + as_list(whole(), TITLES, str)
    used = {name for names in re.findall('class="([^"]*)"', drawn) for name in names.split()}
    assert used - set(re.findall(r"\.([\w-]+)", CSS.read_text(encoding="utf-8"))) == set()


def flood(before: int, after: int) -> list[Row]:
    """Return more rows than are drawn, with the first INVITE and the last BYE among them."""
    way, kind = (Lane.CALLER, Lane.PROXY), Kind.REQUEST
    between = ["INFO"] * 249 + ["BYE", "INVITE"] + ["INFO"] * 249
    names = ["INFO"] * before + ["INVITE", *between, "BYE"] + ["INFO"] * after
    return [Step(number, number / 1000, *way, name, kind) for number, name in enumerate(names)]


@pytest.mark.parametrize(("before", "after", "holes"), [(0, 0, 1), (150, 0, 1), (0, 400, 2), (299, 400, 3), (350, 101, 3), (900, 900, 3)])
def test_the_rows_that_are_drawn_are_bounded_and_hold_both_ends_of_the_call(before: int, after: int, holes: int) -> None:
    found = flood(before, after)
    root = drawing(found)
    shown = {step.get("data-step") for step in named(root, "step")}
    assert len(shown) == MAX_ROWS
    assert {str(before), str(before + 501)} <= shown
    left_out = [int(words.split()[1]) for words in texts(root, "time") if words.startswith("⋮")]
    assert (len(left_out), sum(left_out)) == (holes, len(found) - MAX_ROWS)
    assert len(etree.fromstring(as_list(found, TITLES, str).encode())) == MAX_ROWS + holes


def test_all_steps_of_a_row_count_as_left_out() -> None:
    found = flood(0, 0)
    twice = Folded((found[350], found[350]), "twice")  # type: ignore[arg-type]  # a step
    assert "⋮ 103 left out" in texts(drawing([*found[:350], twice, *found[351:]]), "time")


# Whatever comes.

TEXT = st.text(st.characters(), max_size=60)
STEPS = st.lists(
    st.builds(
        Step,
        number=st.integers(0, 99),
        seconds=st.floats(-10, 100) | st.floats(allow_nan=False),
        source=st.sampled_from(Lane),
        target=st.sampled_from(Lane),
        label=st.sampled_from(("INVITE", "OPTIONS", "200 OK", "BYE")) | TEXT,
        kind=st.sampled_from(Kind),
        note=st.just("") | TEXT,
        identity=st.sampled_from(("", "1", "2", "3", "4")),
        exchange=st.sampled_from(("", "1")),
    ),
    max_size=40,
)


def unfolded(found: Sequence[Row]) -> list[Step]:
    return [step for row in found if not isinstance(row, Gap) for step in (row.steps if isinstance(row, Folded) else (row,))]


@given(STEPS)
def test_no_step_is_lost_or_doubled(some: list[Step]) -> None:
    found = rows(some)
    assert sorted(map(id, unfolded(found))) == sorted(map(id, some))
    times = [row.first.seconds for row in found if not isinstance(row, Gap)]
    assert times == sorted(times)
    for row in found:
        assert not isinstance(row, Folded) or len(row.steps) > 1


@settings(max_examples=60)
@given(STEPS, TEXT)
def test_whatever_comes_is_well_formed(some: list[Step], name: str) -> None:
    found, titles = rows(some), dict.fromkeys(Lane, (name, name))
    root = etree.fromstring(svg(found, titles, link=lambda step: f"?{step.number}").encode())
    shown = [row for row in found if not isinstance(row, Gap)]
    assert [link.get("data-step") for link in named(root, "step")] == [str(row.first.number) for row in shown]
    etree.fromstring(as_list(found, titles, lambda step: f"?{step.number}").encode())


@given(st.lists(st.builds(LadderLine, st.floats(0, 9), st.sampled_from(("caller", "callflow")), *[TEXT] * 4), max_size=20))
def test_whatever_was_stored_becomes_a_step(lines: list[LadderLine]) -> None:
    assert len(steps(lines, [])) == len(lines)
