from __future__ import annotations

from dataclasses import replace

from sipproxy.core.calls import CallBook
from sipproxy.core.limits import CALL_SECONDS, MAX_OVER
from sipproxy.core.targets import Targets
from sipproxy.transactions.tables import TIMEOUT
from voiceapps.rules.admission import CallCount
from voiceapps.rules.reports import CallFacts

FACTS = CallFacts("c-1", "app", "account", "sip", "sip:a@b", "sip:c@d", "192.0.2.1", 5060, None, 0.0)
A, B = ("10.0.0.1", 1), ("10.0.0.2", 1)


def test_calls_without_a_password_count_until_their_ack() -> None:
    book = CallBook()
    for number in range(3):
        book.add(replace(FACTS, call_id=str(number)), capped=number != 2, now=0.0)
    assert book.unacknowledged("192.0.2.1") == 2
    book.acknowledge("0", 1.0)
    book.acknowledge("0", 2.0)
    book.acknowledge("unknown", 2.0)
    call = book.remove("0")
    assert call is not None
    assert call.answered_at == 1.0
    assert book.unacknowledged("192.0.2.1") == 1
    book.remove("1")
    assert book.unacknowledged("192.0.2.1") == 0
    assert book.remove("1") is None


def test_calls_are_counted_by_application_and_account() -> None:
    book = CallBook()
    for number, application in enumerate(("a", "a", "b")):
        book.add(replace(FACTS, call_id=str(number), application_id=application), capped=False, now=0.0)
    assert book.count("a", "account") == CallCount(2, 3)
    assert book.count("b", "elsewhere") == CallCount(1, 0)
    book.remove("0")
    book.remove("0")
    book.remove("2")
    assert book.count("a", "account") == CallCount(1, 1)
    book.remove("1")
    assert not book._of_application
    assert not book._of_account


def test_old_calls_are_told_by_their_admission() -> None:
    book = CallBook()
    book.add(FACTS, capped=False, now=0.0)
    book.add(replace(FACTS, call_id="c-2"), capped=False, now=5.0)
    book.touch("c-1", 5.0)
    assert book.older_than(5.0) == ("c-1",)


def test_the_call_book_is_bounded() -> None:
    book = CallBook(max_calls=1)
    assert not book.is_full
    book.add(FACTS, capped=False, now=0.0)
    assert book.is_full


def test_pop_silent_returns_overdue_calls() -> None:
    book = CallBook()
    book.add(FACTS, capped=False, now=0.0)
    book.touch("c-1", 10.0)
    book.touch("unknown", 10.0)
    assert book.pop_silent(CALL_SECONDS) is None
    assert book.get_timer() == CALL_SECONDS + 10
    assert book.pop_silent(CALL_SECONDS + 10) == "c-1"


def test_targets_are_chosen_by_rest_and_calls_on_their_way() -> None:
    targets = Targets((A, B))
    assert targets.choose((), 0.0) == A
    targets.begin(A)
    assert targets.choose((), 0.0) == B
    targets.begin(B)
    targets.begin(B)
    assert targets.choose((), 0.0) == A
    targets.rest(A, 0.0)
    assert targets.choose((), 5.0) == B
    assert targets.choose((), 10.0) == A
    for node in (A, B, B, B):
        targets.end(node)
    assert targets.choose((), 10.0) == A


def test_nodes_that_rest_are_the_last_ones_and_each_is_tried_once() -> None:
    targets = Targets((A, B))
    targets.rest(B, 0.0)
    targets.begin(A)
    assert targets.choose((), 1.0) == A
    assert targets.choose((A,), 1.0) == B
    assert targets.choose((A, B), 1.0) is None
    targets.rest(A, 1.0)
    assert targets.choose((), 2.0) == B
    assert targets.choose((B,), 2.0) == A


def test_a_node_that_takes_no_calls_is_still_known() -> None:
    targets = Targets(())
    targets.replace((B,), (A, B))
    assert targets.knows(A)
    assert targets.choose((), 0.0) == B
    targets.replace((), ())
    assert not targets.knows(A)
    assert targets.choose((), 0.0) is None


def test_an_ended_call_is_remembered_for_a_while() -> None:
    book = CallBook()
    book.close("1", 0.0)
    assert (book.is_over("1", 1.0), book.is_over("1", TIMEOUT), book.is_over("2", 1.0)) == (True, False, False)
    for number in range(MAX_OVER + 5):
        book.close(f"c-{number}", TIMEOUT)
    assert len(book._over) == MAX_OVER
    assert not book.is_over("c-0", TIMEOUT + 1)
