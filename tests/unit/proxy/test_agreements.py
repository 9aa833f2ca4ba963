from __future__ import annotations

from daemonkit.address import Address
from sipproxy.core.agreements import Agreements, Command
from sipproxy.core.limits import MAX_OPEN_OFFERS

RELAY: Address = ("10.0.0.9", 22222)
OK = {b"result": b"ok"}
HELD = {b"result": b"ok", b"sipuri-provisional": 1}


def command(name: str, tag: bytes = b"a", call_id: str = "c-1", **more: object) -> Command:
    return {"command": name, "call-id": call_id, "from-tag": tag, **more}


def agreed(book: Agreements, call_id: str = "c-1") -> tuple[Command, Command]:
    offer, answer = command("offer", call_id=call_id), command("answer", call_id=call_id)
    book.note(RELAY, offer, OK, first=True)
    book.note(RELAY, answer, OK, first=True)
    return offer, answer


def test_an_answer_that_comes_again_replaces_the_first() -> None:
    book = Agreements()
    offer, _ = agreed(book)
    later = command("answer", sdp=b"v=1")
    book.note(RELAY, later, OK, first=True)
    book.note(RELAY, command("offer", b"b"), OK, first=False)
    assert book.take_back("c-1", RELAY, b"b") == (offer, later)


def test_an_offer_is_taken_back_once() -> None:
    book = Agreements()
    agreed(book)
    book.note(RELAY, command("offer"), HELD, first=False)
    assert book.take_back("c-1", RELAY, b"a") == ({"command": "sipuri-withdraw", "call-id": "c-1", "from-tag": b"a"},)
    assert book.take_back("c-1", RELAY, b"a") == ()


def test_an_answered_offer_cannot_be_taken_back() -> None:
    book = Agreements()
    agreed(book)
    assert book.take_back("c-1", RELAY, b"a") == ()
    assert book.take_back("c-2", RELAY, b"a") == ()


def test_a_relay_of_ours_is_known_by_its_word() -> None:
    book = Agreements()
    agreed(book)
    book.note(RELAY, command("offer"), HELD, first=False)
    book.note(RELAY, command("answer"), OK, first=False)
    # An offer that changes nothing is not held; to withdraw it does no harm.
    book.note(RELAY, command("offer"), OK, first=False)
    assert book.take_back("c-1", RELAY, b"a") == ({"command": "sipuri-withdraw", "call-id": "c-1", "from-tag": b"a"},)


def test_the_quietest_call_makes_room() -> None:
    book = Agreements(max_calls=2)
    for call_id in ("c-1", "c-2"):
        agreed(book, call_id)
    agreed(book, "c-1")
    agreed(book, "c-3")
    assert len(book) == 2
    book.note(RELAY, command("offer", call_id="c-2"), OK, first=False)
    assert book.take_back("c-2", RELAY, b"a") is None


def test_a_call_has_only_so_many_open_offers() -> None:
    book = Agreements()
    agreed(book)
    for number in range(MAX_OPEN_OFFERS + 1):
        book.note(RELAY, command("offer", b"%d" % number), OK, first=False)
    taken = [book.take_back("c-1", RELAY, b"%d" % number) for number in range(MAX_OPEN_OFFERS + 1)]
    assert [bool(commands) for commands in taken] == [True] * MAX_OPEN_OFFERS + [False]


def test_a_call_that_ended_is_forgotten() -> None:
    book = Agreements()
    agreed(book)
    book.forget("c-1")
    assert len(book) == 0
