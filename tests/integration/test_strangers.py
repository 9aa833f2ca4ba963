"""Strangers from many addresses call the running proxy: every attempt is counted, few rows are written, and the proxy goes on beating."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

from bench.strangers import FIRST, invite
from tests.support.fleet import Fleet, until

STRANGERS = 400
SECONDS = 10.0
CODE = """
from voiceapps.models import Node, RefusedAttempt
rows = list(RefusedAttempt.objects.values_list("count", "source_ip"))
result = rows, [node.seen_at for node in Node.objects.filter(role="sipproxy")]"""


def test_strangers_are_counted_in_few_rows(make_fleet: Callable[..., Fleet]) -> None:
    fleet = make_fleet("mediarelay", "sipproxy", SIPURI_CALLFLOW_TARGETS="sip:127.0.0.1:9", SIPURI_GUARD_KERNEL="off")
    fleet.start()
    for number in range(STRANGERS):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.bind((str(FIRST + number), 0))
            stranger.settimeout(SECONDS)
            stranger.sendto(invite(number, "sip-uri.localhost"), fleet.sip)
            assert stranger.recv(2_048).startswith(b"SIP/2.0 401 ")

    def counted() -> Any:
        rows, beats = fleet.python(CODE)
        return (rows, beats) if sum(count for count, _ in rows) == STRANGERS else None

    rows, beats = until(counted, seconds=SECONDS, what="the attempts")
    # They may have come in two minutes, each with a hundred rows that name their source and one that names none.
    further = [count for count, source in rows if source is None]
    assert 1 <= len(further) <= 2
    assert 100 <= len(rows) - len(further) <= 200
    until(lambda: fleet.python(CODE)[1] > beats, seconds=SECONDS, what="the next beat")
