"""A DNS server of ours is asked by pages that ask again and again."""

from __future__ import annotations

import pytest

from daemonkit.address import Address
from voiceapps.daemon import dns_question
from voiceapps.daemon.dns_question import REST_SECONDS, Asker, NoAnswerError

SERVER = ("192.0.2.1", 53)


class Server:
    """Answers, or does not."""

    def __init__(self) -> None:
        self.questions = 0
        self.is_silent = True

    def ask(self, _server: Address, name: str, _kind: str) -> tuple[str, ...]:
        self.questions += 1
        if self.is_silent:
            raise NoAnswerError("No answer.")
        return (name,)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    silent = Server()
    monkeypatch.setattr(dns_question, "ask", silent.ask)
    return silent


def test_a_server_that_did_not_answer_is_left_alone(server: Server) -> None:
    now = 100.0
    asker = Asker(lambda: now)
    for _ in range(3):
        with pytest.raises(NoAnswerError, match="No answer."):
            asker.ask(SERVER, "a.example", "A")
    assert server.questions == 1
    server.is_silent = False
    now += REST_SECONDS
    assert [asker.ask(SERVER, "a.example", "A") for _ in range(2)] == [("a.example",)] * 2
    assert server.questions == 3
