"""Ask a DNS server of ours what it answers now, past all caches."""

from __future__ import annotations

import time
from collections.abc import Callable

import dns.exception
import dns.message
import dns.query
import dns.rdatatype

from daemonkit.address import Address

SECONDS = 2.0
REST_SECONDS = 10.0


class NoAnswerError(Exception):
    """The server did not answer, or not with what was asked for."""


def ask(server: Address, name: str, kind: str) -> tuple[str, ...]:
    """Return the records of a kind (`A`, `SRV`) as texts, sorted; raises NoAnswerError."""
    wanted = dns.rdatatype.from_text(kind)
    host = "127.0.0.1" if server[0] == "0.0.0.0" else server[0]  # noqa: S104  # it is asked where it is bound, not bound
    try:
        answer = dns.query.udp(dns.message.make_query(name, wanted), host, timeout=SECONDS, port=server[1])
    except (dns.exception.DNSException, OSError) as error:
        raise NoAnswerError(f"No answer from {host}:{server[1]}. {error}".strip()) from error
    return tuple(sorted(str(record) for found in answer.answer if found.rdtype == wanted for record in found))


class Asker:
    """Asks for pages that ask again and again: a server that did not answer is left alone for a while, as each question takes its time."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._rests_until, self._fault = 0.0, ""

    def ask(self, server: Address, name: str, kind: str) -> tuple[str, ...]:
        """Return the records as `ask` does; raises NoAnswerError."""
        if self._clock() < self._rests_until:
            raise NoAnswerError(self._fault)
        try:
            return ask(server, name, kind)
        except NoAnswerError as error:
            self._rests_until, self._fault = self._clock() + REST_SECONDS, str(error)
            raise
