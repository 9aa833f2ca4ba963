"""How many deliveries are sent at once: in all, of one account and to one host.

What finds no room waits in the table. A host that has failed again and again gets one request at a time, until it answers.

An account gets no more than is left to others: the fewer places are free, the smaller is its share. The last ones are for accounts that
have none, so one whose hosts answer is served whatever those of others do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple, Self

from voiceapps.rules.http.outbound import OutboundAnswer
from voiceapps.rules.http.target import Target

MAX_SENDING = 384
MAX_OF_ACCOUNT = 64
"""An account's requests, while there are places enough."""
FIRST_PLACES = 96
"""Of all places, those that accounts get which have none."""
MAX_TO_HOST = 32
"""An account's requests to one host; others may have the same provider."""
REST_AFTER = 5
"""Failures in a row after which a host is left alone for a while."""
REST_SECONDS = 30


class Destination(NamedTuple):
    """Whose deliveries they are, and where they go."""

    account_id: str
    host: str


class Room:
    """The deliveries that are being sent, by destination, and the room that is left."""

    def __init__(self, sending: Mapping[Destination, int] | None = None) -> None:
        self._sending = Counter(sending or {})
        self._closed: set[Destination] = set()
        """Where one more was refused that had to be the only one."""

    def copy(self) -> Self:
        """Return what can be filled without changing this one."""
        return type(self)(self._sending)

    @property
    def left(self) -> int:
        """How many more may be sent."""
        return MAX_SENDING - self._sending.total()

    def full_accounts(self) -> list[str]:
        """Return the accounts of which no more may be sent."""
        accounts: Counter[str] = Counter()
        for destination, count in self._sending.items():
            accounts[destination.account_id] += count
        share = min(MAX_OF_ACCOUNT, self.left - FIRST_PLACES)
        return [account for account, count in accounts.items() if count >= share]

    def full_destinations(self) -> list[Destination]:
        """Return the destinations to which no more may be sent."""
        return [destination for destination, count in self._sending.items() if count >= MAX_TO_HOST or destination in self._closed]

    def take(self, destination: Destination, *, alone: bool = False) -> bool:
        """Take room for one delivery, which may have to be the only one to its destination; False where there is none."""
        if self.left <= 0 or destination.account_id in self.full_accounts():
            return False
        if alone and self._sending[destination]:
            self._closed.add(destination)
        if destination in self._closed or self._sending[destination] >= MAX_TO_HOST:
            return False
        self._sending[destination] += 1
        return True

    def give_back(self, destination: Destination) -> None:
        """Give back the room of one delivery."""
        self._sending[destination] -= 1
        self._sending += Counter()


def host_of(url: str) -> str:
    """Return host and port of a URL as one word; empty if it is none."""
    try:
        _, host, port = Target.parse(url).origin
    except ValueError:
        return ""
    return f"{host}:{port}" if host else ""


def is_failure(answer: OutboundAnswer) -> bool:
    """Return whether an answer says that the host itself is not well."""
    return answer.status is None or answer.status >= 500
