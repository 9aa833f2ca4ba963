"""Calls without an offer, given to a relay that answered its last ping and serves nothing any more: the next relay has their media."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mediarelay.ng.bencode import decode, encode
from tests.support.backend import TestBackend
from tests.support.fleet import Fleet, until
from tests.support.sipp import ANSWER, OUTSIDE, Party, Stage

BRIEF = '<Response><Pause duration="1"/><Hangup/></Response>'


class LameRelay:
    """Answers pings, and nothing else but with an error, or not at all."""

    def __init__(self, error: str) -> None:
        self.asked: list[str] = []
        self._error = error
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.url = "udp:{}:{}".format(*self._socket.getsockname())
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        self._socket.sendto(b"", self._socket.getsockname())
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        while True:
            message, address = self._socket.recvfrom(65_535)
            if not message:
                return
            cookie, _, body = message.partition(b" ")
            command = decode(body)
            assert isinstance(command, dict)
            name = str(command[b"command"], "ascii")
            if name == "ping":
                self._socket.sendto(cookie + b" " + encode({"result": "pong"}), address)
                continue
            self.asked.append(name)
            if self._error:
                self._socket.sendto(cookie + b" " + encode({"result": "error", "error-reason": self._error}), address)


@pytest.fixture(params=["The relay is draining.", ""], ids=["draining", "silent"])
def lame(request: pytest.FixtureRequest) -> Iterator[LameRelay]:
    made = LameRelay(request.param)
    yield made
    made.close()


def test_the_next_relay_gets_a_late_offer(make_fleet: Callable[..., Fleet], backend: TestBackend, lame: LameRelay, tmp_path: Path) -> None:
    backend.documents["/initiate"] = BRIEF
    fleet = make_fleet("web", "mediarelay", "callflow", "sipproxy")
    fleet.env["SIPURI_MEDIA_RELAYS"] = f"{lame.url}=1000,{fleet.env['SIPURI_MEDIA_RELAYS']}"
    fleet.start()
    callback = f"{backend.url}/initiate"
    application = fleet.application(callback=callback, passwordAuthEnabled=False, allowedSourceIps=["0.0.0.0/0"])
    stage = Stage(tmp_path, fleet.sip)
    caller = Party(application.sip_uri).sends("INVITE").gets(100).gets(180).gets(200, OUTSIDE).acks(body=ANSWER)
    # The call flow has been told of the first relay: its BYE must end the session at the other one.
    stage.call(caller.gets("BYE").answers(200))
    assert lame.asked[0] == "offer"
    assert "answer" not in lame.asked
    until(lambda: fleet.gauge("mediarelay", "sipuri_relay_sessions") == 0, seconds=10, what="no session")
    ended = "from voiceapps.models import Call; result = [call.end_reason for call in Call.objects.exclude(end_reason='')]"
    assert until(lambda: fleet.python(ended), seconds=10, what="the record") == ["application_hangup"]
