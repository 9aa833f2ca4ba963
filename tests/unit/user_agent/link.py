"""A simulated link between two user agents that loses, repeats and delays datagrams."""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable
from typing import TypeVar

from callflow.sip.call_context import UserAgentConfig
from callflow.sip.events import AgentEvent
from callflow.sip.outgoing import Destination
from callflow.sip.user_agent import UserAgent
from daemonkit.address import Address
from sipproxy.headers.call_headers import CALL_HEADER, REACH_HEADER, seal_invite
from sipproxy.sip import Request, parse_message

PHONE: Address = ("127.0.0.1", 5071)
SERVER: Address = ("127.0.0.1", 6161)
CALL_ID = "c-95ac8d6e-1a31c52e-b38f-4198-93c1-51633ec68f8d"
FACTS = f"{CALL_ID};app=app-1;account=9900000;source=203.0.113.9:5060;country=US;started=1700000000.125"
KEY = b"k" * 32
WALL = 1_700_000_000.0
T = TypeVar("T")
DESTINATION = Destination("sip:app-1@sip.example.com", SERVER, "alice", None)
PHONE_MEDIA: Address = ("127.0.0.1", 40_000)
SERVER_MEDIA: Address = ("127.0.0.1", 50_000)


def tokens(prefix: str) -> Callable[[], str]:
    numbers = itertools.count(1)
    return lambda: f"{prefix}{next(numbers)}"


def server(max_calls: int = 500) -> UserAgent:
    config = UserAgentConfig(SERVER, session_expires=1800, max_calls=max_calls, invite_keys=(KEY,))
    return UserAgent(config, new_token=tokens("s"), new_key=lambda octets: b"s" * octets, wall=lambda: WALL)


def phone() -> UserAgent:
    return UserAgent(UserAgentConfig(PHONE), new_token=tokens("p"), new_key=lambda octets: b"p" * octets, wall=lambda: WALL)


def sealed(data: bytes, *headers: tuple[str, str], node: Address = SERVER, wall: float = WALL, facts: str = FACTS) -> bytes:
    """Return an INVITE as a proxy hands it to a node: with the facts of the call, these headers, and the seal over them."""
    invite = parse_message(data)
    assert isinstance(invite, Request)
    for name, value in ((CALL_HEADER, facts), *headers):
        invite.append(name, value)
    seal_invite(invite, KEY, node, wall)
    return bytes(invite)


class Link:
    """Carries datagrams between agents and collects their events; INVITEs from the phone get the proxy's headers."""

    def __init__(self, agents: dict[Address, UserAgent], seed: int | None = None) -> None:
        self.agents = agents
        self.events: dict[Address, list[AgentEvent]] = {address: [] for address in agents}
        self.log: list[tuple[float, Address, bytes]] = []
        self.reach = "direct"
        """What the proxy says of the phone in each INVITE."""
        self.facts = FACTS
        """What it says of the call."""
        self.now = 1000.0
        self._chance = random.Random(seed)  # noqa: S311  # a test's dice
        self._lossy = seed is not None
        self._order = itertools.count()
        self._queue: list[tuple[float, int, bytes, Address, Address]] = []

    def run(self, seconds: float, until: Callable[[], object] | None = None) -> None:
        """Let time pass, at most `seconds`, until the condition holds."""
        end = self.now + seconds
        self.pump()
        while not (until and until()):
            due = self._due()
            if due is None or due > end:
                self.now = end
                return
            self.now = max(self.now, due)
            self._deliver()
            for agent in self.agents.values():
                timer = agent.get_timer()
                if timer is not None and timer <= self.now:
                    agent.handle_timer(self.now)
            self.pump()

    def take(self, address: Address, kind: type[T]) -> list[T]:
        """Return the events of a kind from one agent."""
        return [event for event in self.events[address] if isinstance(event, kind)]

    def first_lines(self, source: Address) -> list[str]:
        """Return the first line of each datagram that an agent sent."""
        return [data.partition(b"\r\n")[0].decode() for _, sender, data in self.log if sender == source]

    def pump(self) -> None:
        """Take the agents' datagrams and events."""
        for address, agent in self.agents.items():
            for data, target in agent.datagrams_to_send():
                self.log.append((self.now, address, data))
                self._send(data, address, target)
            while (event := agent.next_event()) is not None:
                self.events[address].append(event)

    def _due(self) -> float | None:
        times = [agent.get_timer() for agent in self.agents.values()] + [self._queue[0][0] if self._queue else None]
        return min((time for time in times if time is not None), default=None)

    def _deliver(self) -> None:
        while self._queue and self._queue[0][0] <= self.now:
            _, _, data, source, target = heapq.heappop(self._queue)
            if target in self.agents:
                self.agents[target].receive_datagram(data, source, self.now)

    def _send(self, data: bytes, source: Address, target: Address) -> None:
        if data.startswith(b"INVITE") and source == PHONE:
            data = sealed(data, (REACH_HEADER, self.reach), facts=self.facts)
        copies = self._chance.choice((0, 1, 1, 1, 1, 2)) if self._lossy else 1
        for _ in range(copies):
            delay = self._chance.uniform(0.001, 0.4) if self._lossy else 0.001
            heapq.heappush(self._queue, (self.now + delay, next(self._order), data, source, target))
