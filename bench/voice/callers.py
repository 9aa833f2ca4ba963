"""All calls of the generator, in one loop that goes by the clock: no packet ever wakes it, so nobody pays for its wake-ups.

Each call says 20 ms at its own time of every 20 ms, and reads what has come for it then. Calls begin at a steady rate, each a random
part of 20 ms late: without that, their packets would leave and come at few moments.
"""

from __future__ import annotations

import heapq
import random
import socket
import time
from array import array
from collections import Counter, deque

from bench.signalling.figures import percentile
from bench.voice.caller import SO_TIMESTAMPNS, Caller, State
from bench.voice.dialog import Dialog, Target
from bench.voice.documents import SCENARIOS
from bench.voice.tally import FRAME_SECONDS, heard
from daemonkit.address import Address
from sipproxy.headers.call_headers import MediaSecurity
from sipproxy.sip import PeerError, Request, Response, parse_message

HOST = "127.0.0.1"
LOOK_SECONDS = 0.005
"""How often signalling is read."""
MAX_BEHIND_SECONDS = 0.2
"""What should have been said longer ago is never said."""
HANG_UPS_A_LOOK = 1
SEED = 20_260_101
_DATAGRAM_BYTES = 65_535


class Callers:
    """The calls, and the socket of their signalling."""

    def __init__(self) -> None:
        self._callers: dict[str, Caller] = {}
        self._chance = random.Random(SEED)
        self._counted: list[Caller] = []
        """The calls that were up at the beginning of the measurement."""
        self._late = array("d")
        self._leaving: deque[Caller] = deque()
        self._look_at = 0.0
        self._placed: deque[tuple[float, Target, str]] = deque()
        self._sip = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._sip.bind((HOST, 0))
        self._sip.setblocking(False)
        # The kernel stamps packets while there is a socket that wants it, and this one stays.
        self._sip.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self._speaking: list[tuple[float, str]] = []
        """A heap of when each call speaks next."""

    # Commands.

    def place(self, target: Target, scenario: str, count: int, rate: float) -> None:
        """Place calls, so many a second."""
        now = time.monotonic()
        times = (now + number / rate + self._chance.uniform(0, FRAME_SECONDS) for number in range(count))
        self._placed.extend((at, target, scenario) for at in times)

    def states(self) -> dict[str, int]:
        """Return how many calls are in each state; those that are still to be placed are `calling`."""
        counted = Counter(caller.state.value for caller in self._callers.values())
        counted[State.CALLING.value] += len(self._placed)
        return {state.value: counted[state.value] for state in State}

    def begin(self) -> None:
        """Count from now on, for the calls that are up."""
        self._late = array("d")
        now = time.time()
        self._counted = [caller for caller in self._callers.values() if caller.state is State.UP]
        for caller in self._counted:
            caller.refused = 0
            caller.tally.begin(now)

    def end(self) -> dict[str, float]:
        """Return what was heard since `begin`, by how many milliseconds we spoke late, and what we failed to do."""
        late = [seconds * 1000 for seconds in self._late]
        now = time.time()
        callers = self._counted
        for caller in callers:
            caller.listen()
            caller.tally.end(now)
        figures = heard([caller.tally for caller in callers])
        figures["cut"] = sum(caller.state is not State.UP for caller in callers)
        figures["spoken_late_p99_ms"] = round(percentile(late, 99), 3)
        figures["unsent"] = sum(caller.refused for caller in callers)
        figures["unencrypted"] = sum(not caller.is_secret for caller in callers)
        return figures

    def hang_up(self) -> None:
        """Have all calls end, one after the other."""
        self._leaving.extend(caller for caller in self._callers.values() if caller.state is State.UP)

    def forget(self) -> None:
        """Close the sockets of all calls."""
        for caller in self._callers.values():
            caller.close()
        self._callers.clear()
        self._speaking.clear()
        self._leaving.clear()

    # The loop.

    def turn(self) -> bool:
        """Do what is due, or sleep until something is; returns whether signalling was looked at."""
        now = time.monotonic()
        if now >= self._look_at:
            self._look_at = now + LOOK_SECONDS
            self._look(now)
            return True
        due = self._speaking[0][0] if self._speaking else self._look_at
        if due <= now:
            self._speak(now)
        else:
            time.sleep(min(due, self._look_at) - now)
        return False

    def _speak(self, now: float) -> None:
        """Let the call speak whose turn it is, and hear what came for it."""
        due, call_id = self._speaking[0]
        caller = self._callers[call_id]
        if caller.state is not State.UP:
            heapq.heappop(self._speaking)
            return
        caller.speak()
        caller.listen()
        self._late.append(now - due)
        caller.due = now if now - due > MAX_BEHIND_SECONDS else due + FRAME_SECONDS
        heapq.heapreplace(self._speaking, (caller.due, call_id))

    def _look(self, now: float) -> None:
        while True:
            try:
                data, source = self._sip.recvfrom(_DATAGRAM_BYTES)
            except BlockingIOError:
                break
            except OSError:
                continue  # An ICMP error: nobody listens any more.
            self._take(parse_message(data), source, now)
        while self._placed and self._placed[0][0] <= now:
            self._call(*self._placed.popleft()[1:])
        for _ in range(min(HANG_UPS_A_LOOK, len(self._leaving))):
            caller = self._leaving.popleft()
            if caller.state is State.UP:
                caller.state = State.LEAVING
                self._sip.sendto(caller.dialog.bye(), caller.dialog.address)

    # Signalling.

    def _call(self, target: Target, scenario: str) -> None:
        security = SCENARIOS[scenario].security if scenario in SCENARIOS else MediaSecurity.PLAIN
        dialog = Dialog(target, self._sip.getsockname(), scenario)
        caller = self._callers[dialog.call_id] = Caller(dialog, HOST, security)
        self._sip.sendto(dialog.invite(caller.offer(), security, time.time()), target.address)

    def _take(self, message: Request | Response, source: Address, now: float) -> None:
        caller = self._callers.get(message.call_id)
        if isinstance(message, Request):
            if message.method == "ACK":
                return
            self._sip.sendto(bytes(message.make_response(200 if caller else 481)), source)
            if caller and message.method == "BYE":
                caller.state = State.CUT
        elif caller and message.cseq.method == "INVITE" and message.status >= 200:
            self._take_final(caller, message, source, now)
        elif caller and message.cseq.method == "BYE" and caller.state is State.LEAVING:
            caller.state = State.OVER

    def _take_final(self, caller: Caller, response: Response, source: Address, now: float) -> None:
        if response.status >= 300:
            caller.state = State.REFUSED
            self._sip.sendto(caller.dialog.ack_refusal(response), source)
            return
        if caller.state is not State.CALLING:
            self._sip.sendto(caller.dialog.ack(), source)  # The answer came again.
            return
        caller.dialog.answered(response)
        self._sip.sendto(caller.dialog.ack(), source)
        try:
            caller.connect(response.body, now + self._chance.uniform(0, FRAME_SECONDS))
        except (PeerError, ValueError):
            caller.state = State.REFUSED
            self._sip.sendto(caller.dialog.bye(), source)
        else:
            heapq.heappush(self._speaking, (caller.due, caller.dialog.call_id))
