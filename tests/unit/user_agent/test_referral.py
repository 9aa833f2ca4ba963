"""Our REFER and the NOTIFYs that it brings, in any order, lost, repeated, and from elsewhere."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callflow.sip.call_context import ACCEPT
from callflow.sip.events import PeerAnswered, ReferOver
from callflow.sip.referral import OUTCOME_SECONDS, read_fragment
from sipproxy.sip import PeerError, Request, Response
from sipproxy.sip.methods import ALLOW
from sipproxy.transactions.tables import TIMEOUT
from tests.unit.user_agent.link import SERVER, server
from tests.unit.user_agent.raw import PROXY, Raw
from tests.unit.user_agent.test_calls import Pair
from voiceapps.rules.webhook_bodies import ReferView

TARGET = "sip:bob@example.com;transport=tcp"
FRAGMENT = "message/sipfrag"


class Talk:
    """A call that is up, and its peer."""

    def __init__(self) -> None:
        self.raw = Raw(server())
        self.raw.establish()
        self.raw.events()
        self.cseq = 1

    def refer(self, number: int = 7) -> Request:
        """Have the agent ask, and return its REFER."""
        self.raw.agent.refer(1, number, TARGET, self.raw.now)
        (request,) = self.raw.out()
        assert isinstance(request, Request)
        return request

    def answer(self, refer: Request, status: int = 202) -> None:
        self.raw.give(bytes(refer.make_response(status)).decode())

    def notify(self, body: str = "SIP/2.0 200 OK\r\n", *headers: str, event: str = "refer", kind: str = FRAGMENT) -> Response:
        """Send a NOTIFY and return the answer to it."""
        self.cseq += 1
        (response,) = self.raw.send("NOTIFY", self.cseq, body=body, kind=kind, headers=(*([f"Event: {event}"] if event else []), *headers))
        return response

    @property
    def outcomes(self) -> list[ReferOver]:
        """What was told since the last look, but for signs of life."""
        return [event for event in self.raw.events() if isinstance(event, ReferOver)]


def over(response: int | None, notified: int | None, number: int = 7) -> list[ReferOver]:
    return [ReferOver(1, number, ReferView(response, notified))]


# The usual way.


def test_a_refer_names_both_and_goes_the_way_of_the_dialog() -> None:
    talk = Talk()
    talk.raw.agent.refer(1, 7, TARGET, talk.raw.now)
    ((data, next_hop),) = talk.raw.agent.datagrams_to_send()
    assert next_hop == PROXY
    assert data.startswith(b"REFER sip:alice@192.0.2.7:5070 SIP/2.0\r\n")
    assert f"\r\nRefer-To: <{TARGET}>\r\n".encode() in data
    assert b"\r\nReferred-By: <sip:app-1@sip.example.com>\r\n" in data
    assert b"\r\nContact: <sip:app-1@sip.example.com>\r\n" in data
    assert b"\r\nRoute: <sip:token@127.0.0.1:6162;lr>\r\n" in data


@pytest.mark.parametrize("accepted", [200, 202, 204])
@pytest.mark.parametrize("final", [200, 204, 302, 404, 486, 603])
def test_the_outcome_is_what_the_last_notify_says(accepted: int, final: int) -> None:
    talk = Talk()
    talk.answer(talk.refer(), accepted)
    for status in ("100 Trying", "180 Ringing", "183 Session Progress"):
        assert talk.notify(f"SIP/2.0 {status}\r\n", "Subscription-State: active;expires=60").status == 200
    assert talk.outcomes == []
    assert talk.notify(f"SIP/2.0 {final} Whatever", "Subscription-State: terminated;reason=noresource").status == 200
    assert talk.outcomes == over(accepted, final)
    talk.raw.wait(OUTCOME_SECONDS + 1)
    assert talk.outcomes == []


def test_a_final_status_ends_it_although_the_subscription_goes_on() -> None:
    talk = Talk()
    talk.answer(talk.refer())
    assert talk.notify("SIP/2.0 200 OK\r\n", "Subscription-State: active;expires=60").status == 200
    assert talk.outcomes == over(202, 200)
    assert talk.notify("SIP/2.0 200 OK\r\n", "Subscription-State: terminated;reason=noresource").status == 481
    assert talk.outcomes == []


@pytest.mark.parametrize("body", ["SIP/2.0 100 Trying\r\n", ""])
def test_the_end_of_the_subscription_ends_it_without_a_status(body: str) -> None:
    talk = Talk()
    talk.answer(talk.refer())
    assert talk.notify(body, "Subscription-State: Terminated ;reason=timeout").status == 200
    assert talk.outcomes == over(202, None)


def test_signs_of_life_are_told() -> None:
    talk = Talk()
    refer = talk.refer()
    talk.answer(refer, 405)
    assert talk.raw.events() == [PeerAnswered(1), *over(405, None)]
    talk.answer(talk.refer(), 481)
    assert talk.raw.events() == over(481, None)
    talk.refer()
    talk.notify("SIP/2.0 100 Trying\r\n")
    assert talk.raw.events() == [PeerAnswered(1)]


# Refused, lost and late.


@pytest.mark.parametrize("status", [302, 403, 405, 481, 501, 603])
def test_a_refused_refer_tells_the_status(status: int) -> None:
    talk = Talk()
    talk.answer(talk.refer(), status)
    assert talk.outcomes == over(status, None)
    assert talk.notify().status == 481


def test_a_refer_without_an_answer_counts_as_a_408() -> None:
    talk = Talk()
    talk.refer()
    talk.raw.wait(TIMEOUT)
    assert talk.outcomes == over(408, None)


def test_a_provisional_response_changes_nothing() -> None:
    talk = Talk()
    refer = talk.refer()
    talk.answer(refer, 100)
    talk.answer(refer)
    talk.notify()
    assert talk.outcomes == over(202, 200)


def test_the_outcome_may_come_before_the_acceptance() -> None:
    talk = Talk()
    refer = talk.refer()
    assert talk.notify("SIP/2.0 100 Trying\r\n").status == 200
    assert talk.notify("SIP/2.0 486 Busy Here\r\n").status == 200
    assert talk.outcomes == []
    assert talk.notify().status == 481
    talk.answer(refer)
    assert talk.outcomes == over(202, 486)


def test_a_first_notify_may_come_before_the_acceptance() -> None:
    talk = Talk()
    refer = talk.refer()
    assert talk.notify("SIP/2.0 100 Trying\r\n").status == 200
    talk.answer(refer)
    assert talk.notify().status == 200
    assert talk.outcomes == over(202, 200)


def test_an_outcome_proves_the_acceptance_that_was_lost() -> None:
    talk = Talk()
    talk.refer()
    talk.notify()
    talk.raw.wait(TIMEOUT)
    assert talk.outcomes == over(None, 200)


def test_a_refusal_wins_over_what_was_told_before() -> None:
    talk = Talk()
    refer = talk.refer()
    talk.notify()
    talk.answer(refer, 603)
    assert talk.outcomes == over(603, None)


def test_without_an_outcome_in_time_it_is_over() -> None:
    talk = Talk()
    talk.answer(talk.refer())
    talk.notify("SIP/2.0 180 Ringing\r\n")
    talk.raw.wait(OUTCOME_SECONDS - 1)
    assert talk.outcomes == []
    talk.raw.wait(1.5)
    assert talk.outcomes == over(202, None)
    assert talk.notify().status == 481
    assert talk.outcomes == []


def test_repeated_messages_count_once() -> None:
    talk = Talk()
    refer = talk.refer()
    talk.answer(refer)
    talk.answer(refer)
    assert talk.notify().status == 200
    talk.raw.branches -= 1
    talk.cseq -= 1
    assert talk.notify().status == 200
    assert talk.outcomes == over(202, 200)


@pytest.mark.parametrize("seed", range(8))
def test_a_refer_comes_through_a_network_that_loses_and_repeats(seed: int) -> None:
    pair = Pair(seed)
    call = pair.establish()
    pair.server.refer(call, 7, TARGET, pair.now)
    pair.link.run(2 * TIMEOUT, lambda: pair.link.take(SERVER, ReferOver))
    # Our own phone takes no REFER.
    assert pair.link.take(SERVER, ReferOver) == over(405, None)


# What is not ours.


@pytest.mark.parametrize("event", ["presence", "refer-x", "message-summary;id=2", ""])
def test_another_event_is_refused_by_name(event: str) -> None:
    talk = Talk()
    talk.answer(talk.refer())
    refusal = talk.notify(event=event)
    assert (refusal.status, refusal.header("allow-events")) == (489, "refer")
    assert talk.notify().status == 200
    assert talk.outcomes == over(202, 200)


def test_without_a_refer_there_is_no_subscription() -> None:
    talk = Talk()
    assert talk.notify().status == 481
    assert talk.outcomes == []


@pytest.mark.parametrize(
    ("event", "status"), [("refer;id={}", 200), ("Refer ; ID={}", 200), ("refer;id=77", 481), ("refer;id", 481), ("refer;=", 400)]
)
def test_a_notify_may_name_its_refer_by_number(event: str, status: int) -> None:
    talk = Talk()
    refer = talk.refer()
    talk.answer(refer)
    assert talk.notify(event=event.format(refer.cseq.number)).status == status
    assert talk.outcomes == (over(202, 200) if status == 200 else [])


def test_a_refer_that_is_left_does_not_answer_for_the_next() -> None:
    """The API may order the call to another document, which refers the caller again."""
    talk = Talk()
    first = talk.refer(7)
    talk.answer(first)
    second = talk.refer(8)
    assert talk.notify(event=f"refer;id={first.cseq.number}").status == 481
    talk.answer(first, 202)
    talk.answer(second)
    assert talk.notify(event=f"refer;id={second.cseq.number}").status == 200
    assert talk.outcomes == over(202, 200, 8)


def test_the_time_of_one_that_is_left_does_not_run_out_on_the_next() -> None:
    talk = Talk()
    talk.answer(talk.refer(7))
    talk.raw.wait(OUTCOME_SECONDS - 5)
    second = talk.refer(8)
    talk.raw.wait(6)
    assert talk.outcomes == []
    talk.answer(second)
    talk.raw.wait(OUTCOME_SECONDS - 1)
    assert talk.outcomes == []
    talk.raw.wait(2)
    assert talk.outcomes == over(202, None, 8)


@pytest.mark.parametrize("timed_out", [True, False])
def test_a_notify_without_a_number_belongs_to_the_one_that_was_left(timed_out: bool) -> None:
    talk = Talk()
    talk.answer(talk.refer(7))
    if timed_out:
        talk.raw.wait(OUTCOME_SECONDS + 1)
        assert talk.outcomes == over(202, None)
    talk.answer(talk.refer(8))
    assert talk.notify().status == 481
    # That has ended the earlier one.
    assert talk.notify("SIP/2.0 404 Not Found\r\n").status == 200
    assert talk.outcomes == over(202, 404, 8)


@pytest.mark.parametrize("status", [404, 200])
def test_one_whose_outcome_is_known_leaves_nothing_behind(status: int) -> None:
    talk = Talk()
    talk.answer(talk.refer(7))
    talk.notify(f"SIP/2.0 {status} X")
    talk.answer(talk.refer(8), 403)
    talk.answer(talk.refer(9))
    talk.notify()
    assert [(event.number, event.outcome) for event in talk.outcomes] == [
        (7, ReferView(202, status)),
        (8, ReferView(403, None)),
        (9, ReferView(202, 200)),
    ]


def test_a_caller_that_hangs_up_tells_no_outcome() -> None:
    talk = Talk()
    refer = talk.refer()
    talk.answer(refer)
    talk.raw.send("BYE", 9)
    talk.raw.wait(OUTCOME_SECONDS + TIMEOUT)
    assert talk.outcomes == []
    assert (len(talk.raw.agent), len(talk.raw.agent.layer), talk.raw.agent.get_timer()) == (0, 0, None)
    talk.cseq = 9
    assert talk.notify().status == 481


def test_only_a_call_that_is_up_is_referred() -> None:
    raw = Raw(server())
    raw.invite()
    raw.arrive()
    raw.agent.refer(1, 7, TARGET, raw.now)
    raw.agent.refer(99, 7, TARGET, raw.now)
    assert raw.out() == []


def test_we_take_no_refer_ourselves() -> None:
    talk = Talk()
    (refusal,) = talk.raw.send("REFER", 2, headers=("Refer-To: <sip:eve@example.com>",))
    assert (refusal.status, refusal.header("allow")) == (405, ALLOW)
    assert "REFER" not in ALLOW


# Bodies.


def notify(kind: str, body: bytes) -> Request:
    return Request.build("NOTIFY", "sip:a@b", [("Content-Type", kind)] if kind else [], body)


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        (FRAGMENT, b"SIP/2.0 100 Trying\r\n", 100),
        (FRAGMENT, b"SIP/2.0 200 OK", 200),
        (FRAGMENT, b"\r\nsip/2.0 486\r\nVia: SIP/2.0/UDP h\r\n\r\n", 486),
        (FRAGMENT, b"SIP/2.0 603 D\xe9clin\n", 603),
        ("Message/SIPfrag ; version=2.0", b"SIP/2.0 503 \r\nContact: <sip:a@b>\r\n", 503),
        ("text/plain", b" \r\n", None),
        ("", b"", None),
    ],
)
def test_status_lines_are_read_as_they_are_written(kind: str, body: bytes, status: int | None) -> None:
    assert read_fragment(notify(kind, body)) == status


MALFORMED = [
    "SIP/2.0",
    "SIP/2.0 2000 OK",
    "SIP/2.0 099 X",
    "SIP/2.0 700 X",
    "SIP/3.0 200 OK",
    "200 OK",
    "Via: x\r\nSIP/2.0 200 OK",
    "SIP/2.0 ²00 OK",
]


@pytest.mark.parametrize("body", MALFORMED)
def test_a_malformed_body_is_refused_and_the_wait_goes_on(body: str) -> None:
    talk = Talk()
    talk.answer(talk.refer())
    assert talk.notify(body, "Subscription-State: terminated").status == 400
    assert talk.outcomes == []
    assert talk.notify().status == 200
    assert talk.outcomes == over(202, 200)


@pytest.mark.parametrize("kind", ["text/plain", "application/sdp", ""])
def test_another_body_is_refused_by_type(kind: str) -> None:
    talk = Talk()
    talk.answer(talk.refer())
    refusal = talk.notify(kind=kind)
    assert (refusal.status, refusal.header("accept")) == (415, ACCEPT)
    assert FRAGMENT in ACCEPT


@given(st.binary(max_size=60) | st.binary(max_size=30).map(lambda rest: b"SIP/2.0 " + rest))
def test_any_octets_are_a_status_or_an_error_of_the_peer(body: bytes) -> None:
    try:
        status = read_fragment(notify(FRAGMENT, body))
    except PeerError as error:
        assert error.status == 400
    else:
        assert status is None or 100 <= status < 700


@given(
    st.lists(st.tuples(st.sampled_from(("refer", "answer", "notify", "wait", "bye")), st.integers(100, 699), st.booleans()), max_size=12)
)
def test_whatever_the_peer_does_each_refer_has_one_outcome_at_most(moves: list[tuple[str, int, bool]]) -> None:
    talk = Talk()
    refers: list[Request] = []
    seen: list[int] = []
    for move, status, flag in moves:
        match move:
            case "refer":
                talk.raw.agent.refer(1, len(refers), TARGET, talk.raw.now)
                refers += [message for message in talk.raw.out() if isinstance(message, Request) and message.method == "REFER"]
            case "answer" if refers:
                talk.answer(refers[-1], status)
            case "notify":
                named = f";id={refers[-1].cseq.number}" if refers and flag else ""
                assert talk.notify(f"SIP/2.0 {status} X", event=f"refer{named}").status in (200, 481)
            case "wait":
                talk.raw.wait(status / 10)
                talk.raw.out()
            case "bye" if flag:
                talk.cseq += 1
                talk.raw.send("BYE", talk.cseq)
        seen += [event.number for event in talk.outcomes]
    assert len(seen) == len(set(seen))
    assert set(seen) <= set(range(len(refers)))
