"""Look at one call of each stack: if one does not do what it is measured for, there is no comparison."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from bench.signalling.load import Load, Plan
from bench.signalling.stack import SIPP_ADDRESS, Stack
from tests.support.fleet import until

ONE_CALL = Plan(1, 1, 1, ("-trace_msg",))
_MESSAGE = re.compile(r"UDP message (sent|received).*?\n\n(.*?)(?=\n-{20}|\Z)", re.DOTALL)
_MEDIA = re.compile(r"^c=IN IP4 (\S+).*?^m=audio (\d+)", re.DOTALL | re.MULTILINE)


class UnfairError(Exception):
    """One side does not do what it is measured for; the text says what."""


def check(stack: Stack, load: Load) -> None:
    """Place a call and one with a wrong password; raises UnfairError."""
    rows = stack.rows()
    _check_a_call(stack, load)
    if load.run(replace(stack.caller, password="wrong"), ONE_CALL).setup:  # noqa: S106  # as it says
        raise UnfairError(f"{stack.name}: a wrong password is good enough")
    until(lambda: stack.rows() > rows, seconds=5, what=f"{stack.name}: the call's row")
    if (written := stack.rows() - rows) != 1:
        raise UnfairError(f"{stack.name}: {written} rows for one call")


def _check_a_call(stack: Stack, load: Load) -> None:
    if not load.run(stack.caller, ONE_CALL).clean:
        raise UnfairError(f"{stack.name}: the call failed, see {load.latest}")
    for scenario in ("caller", "callee"):
        _check_media(stack, next(load.latest.glob(f"{scenario}_*_messages.log")))


def _check_media(stack: Stack, log: Path) -> None:
    """Check that audio is sent to the relay of the stack, not to sipp."""
    heard = {direction: media_of(log.read_text(), direction) for direction in ("sent", "received")}
    if not heard["sent"] or not heard["received"] or not all(address != SIPP_ADDRESS for address, _ in heard["received"]):
        raise UnfairError(f"{stack.name}: SDP passes unchanged, see {log}")


def media_of(log: str, direction: str) -> list[tuple[str, int]]:
    """Return address and port of the audio in each message that sipp's log says was sent or received."""
    found = (_MEDIA.search(text) for way, text in _MESSAGE.findall(log) if way == direction)
    return [(media[1], int(media[2])) for media in found if media]
