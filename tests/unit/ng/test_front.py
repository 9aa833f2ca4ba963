from __future__ import annotations

from collections import Counter

import pytest

from mediarelay.ng.bencode import decode, encode
from mediarelay.ng.control import pong
from mediarelay.ng.front import GATHER_SECONDS, MAX_GATHERING, CommandFront
from mediarelay.ng.limits import MAX_LISTED_OCTETS

CLIENT = ("127.0.0.1", 9999)


def ask(front: CommandFront, data: bytes, now: float = 1.0) -> list[tuple[int, bytes, tuple[str, int]]]:
    front.receive_datagram(data, CLIENT, now)
    return front.for_workers()


def replies(front: CommandFront) -> list[object]:
    return [decode(data.partition(b" ")[2]) for data, to in front.datagrams_to_send() if to == CLIENT]


def test_all_commands_of_a_call_go_to_one_worker() -> None:
    front = CommandFront(4)
    shares: Counter[int] = Counter()
    for number in range(400):
        workers = set()
        for name in (b"offer", b"answer", b"delete"):
            ((worker, data, client),) = ask(front, b"k " + encode({"call-id": f"c-{number}", "command": name}))
            assert client == CLIENT
            workers.add(worker)
        assert len(workers) == 1
        shares.update(workers)
    assert all(60 < shares[worker] < 140 for worker in range(4))


def test_json_and_bencode_find_the_same_worker() -> None:
    front = CommandFront(7)
    ((first, _, _),) = ask(front, b'k {"command":"query","call-id":"c-1"}')
    ((second, _, _),) = ask(front, b"k " + encode({"command": "query", "call-id": "c-1"}))
    assert first == second


def test_a_reply_goes_to_its_client() -> None:
    front = CommandFront(2)
    front.receive_reply(1, b"k d6:result2:oke", CLIENT)
    assert front.datagrams_to_send() == [(b"k d6:result2:oke", CLIENT)]


PING = b"k d7:command4:pinge"
PONG = {b"result": b"pong"}


@pytest.mark.parametrize(
    ("drains", "answer"),
    [
        ((False, False), PONG),
        ((True, False), PONG),
        ((False, True), PONG),
        ((True, True), PONG | {b"sipuri-draining": 1}),
    ],
)
def test_a_relay_drains_where_all_its_workers_do(drains: tuple[bool, bool], answer: dict[bytes, object]) -> None:
    front = CommandFront(2)
    asked = ask(front, PING)
    assert [worker for worker, _, _ in asked] == [0, 1]
    for (worker, data, client), draining in zip(asked, drains, strict=True):
        front.receive_reply(worker, data.partition(b" ")[0] + b" " + encode(pong(draining=draining)), client)
    assert replies(front) == [answer]


def test_a_ping_is_answered_without_any_worker() -> None:
    front = CommandFront(2)
    ask(front, PING)
    front.handle_timer(1.0 + GATHER_SECONDS)
    assert replies(front) == [PONG]


def test_lists_and_statistics_become_one() -> None:
    front = CommandFront(2)
    rows: tuple[tuple[bytes, tuple[dict[str, object], dict[str, object]], dict[bytes, object]], ...] = (
        (b"list", ({"calls": ["a"]}, {"calls": ["b", "c"]}), {b"result": b"ok", b"calls": [b"a", b"b"]}),
        (
            b"statistics",
            ({"statistics": {"now": {"sessions": 1, "odd": 5}}}, {"statistics": {"now": {"sessions": 2}, "then": {"ended": 9}}}),
            {b"result": b"ok", b"statistics": {b"now": {b"sessions": 3, b"odd": 5}, b"then": {b"ended": 9}}},
        ),
    )
    for name, parts, whole in rows:
        asked = ask(front, b"k " + encode({"command": name, "limit": 2}))
        assert [worker for worker, _, _ in asked] == [0, 1]
        for (worker, data, client), part in zip(asked, parts, strict=True):
            assert replies(front) == []
            front.receive_reply(worker, data.partition(b" ")[0] + b" " + encode({"result": "ok", **part}), client)
        assert replies(front) == [whole]


def test_a_worker_that_is_silent_is_left_out() -> None:
    front = CommandFront(2)
    ((_, data, client), _) = ask(front, b"k d7:command4:liste")
    front.receive_reply(0, data.partition(b" ")[0] + b" " + encode({"result": "ok", "calls": ["a"]}), client)
    assert front.get_timer() == 1.0 + GATHER_SECONDS
    front.handle_timer(1.0 + GATHER_SECONDS)
    assert replies(front) == [{b"result": b"ok", b"calls": [b"a"]}]
    front.receive_reply(1, data.partition(b" ")[0] + b" " + encode({"result": "ok", "calls": ["b"]}), client)
    assert (replies(front), front.get_timer()) == ([], None)


def test_a_list_fits_its_datagram() -> None:
    front = CommandFront(2)
    asked = ask(front, b"k d7:command4:list5:limiti1000ee")
    for worker, data, client in asked:
        calls = [f"{worker}-{number:0500d}" for number in range(110)]
        front.receive_reply(worker, data.partition(b" ")[0] + b" " + encode({"result": "ok", "calls": calls}), client)
    ((reply, _),) = front.datagrams_to_send()
    assert MAX_LISTED_OCTETS - 1_000 < len(reply) < 65_507


@pytest.mark.parametrize(
    "junk", [b"", b"x", b"k ", b"k junk", b"k d7:command5:offere", b"k le", b"k {]", b"k d7:call-idi5e7:command5:offere"]
)
def test_commands_without_a_call_are_answered_by_some_worker(junk: bytes) -> None:
    front = CommandFront(3)
    assert ask(front, junk) == [(0, junk, CLIENT)]


def test_questions_to_all_are_bounded() -> None:
    front = CommandFront(2)
    for _ in range(MAX_GATHERING):
        assert len(ask(front, b"k d7:command4:liste")) == 2
    assert ask(front, b"k d7:command4:liste") == []
    assert ask(front, PING) == []
    assert replies(front) == [PONG]
    front.handle_timer(10)
    assert len(ask(front, b"k d7:command4:liste", 10)) == 2
