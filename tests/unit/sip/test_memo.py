from __future__ import annotations

import pytest

from sipproxy.sip import PeerError, parse_message
from sipproxy.sip.memo import MAX_LINE, MAX_REMEMBERED, remembered
from tests.unit.sip.wire import sample


def test_a_line_is_parsed_once_and_a_refused_one_each_time() -> None:
    read: list[bytes] = []

    @remembered
    def parse(line: bytes) -> int:
        read.append(line)
        if line == b"bad":
            raise PeerError(400, "Bad")
        return len(line)

    assert [parse(b"four"), parse(b"four")] == [4, 4]
    for _ in range(2):
        with pytest.raises(PeerError):
            parse(b"bad")
    assert read == [b"four", b"bad", b"bad"]


def test_long_lines_are_not_kept_and_the_number_is_bounded() -> None:
    calls = 0

    @remembered
    def parse(line: bytes) -> int:
        nonlocal calls
        calls += 1
        return len(line)

    for _ in range(2):
        parse(b"x" * (MAX_LINE + 1))
    assert calls == 2
    for number in range(MAX_REMEMBERED + 1):
        parse(b"%d" % number)
    parse(b"0")
    assert calls == 2 + MAX_REMEMBERED + 1 + 1


def test_messages_share_values_but_not_edits() -> None:
    first, second = parse_message(sample("invite.sip")), parse_message(sample("invite.sip"))
    assert first.from_ is second.from_
    first.replace("From", "<sip:other@a.example>;tag=x")
    assert (first.from_.tag, second.from_.tag) != (second.from_.tag, first.from_.tag)
    assert second.from_ is parse_message(sample("invite.sip")).from_
