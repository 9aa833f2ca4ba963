"""How many deliveries are sent at once."""

from __future__ import annotations

import pytest

from voiceapps.rules.http.outbound import OutboundAnswer
from voiceapps.services.delivery.pacing import (
    FIRST_PLACES,
    MAX_OF_ACCOUNT,
    MAX_SENDING,
    MAX_TO_HOST,
    Destination,
    Room,
    host_of,
    is_failure,
)


def test_each_account_and_each_destination_has_its_share() -> None:
    room = Room()
    ours = [Destination("1", f"h{number}") for number in range(MAX_OF_ACCOUNT + 1)]
    assert [room.take(one) for one in ours] == [True] * MAX_OF_ACCOUNT + [False]
    assert room.full_accounts() == ["1"]
    assert room.take(Destination("2", "h0"))
    room.give_back(ours[0])
    assert room.full_accounts() == []
    assert room.take(ours[-1])


def test_there_is_room_for_so_many_in_all() -> None:
    room = Room()
    taken = [room.take(Destination(str(account), "h")) for account in range(MAX_SENDING + 1)]
    assert taken == [True] * MAX_SENDING + [False]
    assert room.left == 0


@pytest.mark.parametrize("accounts", [1, 6, 12, FIRST_PLACES])
@pytest.mark.parametrize("in_turns", [True, False])
def test_accounts_whose_hosts_hang_leave_room_to_the_next_one(accounts: int, in_turns: bool) -> None:
    room = Room()
    takes = [str(account) for account in range(accounts) for _ in range(MAX_OF_ACCOUNT)]
    for account in takes[::MAX_OF_ACCOUNT] * MAX_OF_ACCOUNT if in_turns else takes:
        for host in ("one", "two", "three"):
            room.take(Destination(account, host))
    assert room.take(Destination("next", "h"))


def test_an_accounts_share_depends_on_what_is_free() -> None:
    ours = Destination("1", "h")
    others = {Destination(str(number), "h"): MAX_TO_HOST for number in range(2, 10)}
    room = Room(others)
    assert room.left == FIRST_PLACES + MAX_TO_HOST
    assert [room.take(ours) for _ in range(MAX_TO_HOST)] == [True] * (MAX_TO_HOST // 2) + [False] * (MAX_TO_HOST // 2)
    room.give_back(Destination("2", "h"))
    assert room.take(ours)


def test_a_host_may_have_to_be_asked_by_one_request_alone() -> None:
    room, host = Room(), Destination("1", "h")
    assert room.take(host, alone=True)
    assert not room.take(host, alone=True)
    assert room.full_destinations() == [host]
    assert room.take(Destination("1", "other"))


def test_a_full_destination_is_named() -> None:
    full = Destination("1", "h")
    assert Room({full: MAX_TO_HOST}).full_destinations() == [full]
    assert Room({full: MAX_TO_HOST - 1}).full_destinations() == []


def test_a_copy_is_filled_by_itself() -> None:
    room = Room()
    assert room.copy().take(Destination("1", "h"))
    assert room.left == MAX_SENDING


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://u:p@A.example/x?y", "a.example:443"),
        ("http://a.example:8080", "a.example:8080"),
        ("http://[::1]/", "[::1]:80"),
        ("ftp://a.example/", ""),
        ("http://a b/", ""),
        ("", ""),
    ],
)
def test_hosts_of_urls(url: str, host: str) -> None:
    assert host_of(url) == host


@pytest.mark.parametrize(("status", "failure"), [(None, True), (500, True), (503, True), (429, False), (404, False), (200, False)])
def test_what_a_host_answers_for(status: int | None, failure: bool) -> None:
    assert is_failure(OutboundAnswer(status, b"", "", 1, None)) is failure
