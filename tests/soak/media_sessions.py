"""`make soak-media`: short sessions by the hundred thousand over ng, after which the relay must hold nothing.

All of them are set up and deleted; one in 20 carries a packet each way, one in 200 speaks until the kernel has it. The
quarantine of ports has its usual length: if ports run out, a session asks again. At the end ports, sockets, descriptors and
the kernel's maps must be what they were. Needs root.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from mediarelay.core.ports import QUARANTINE_SECONDS
from mediarelay.ng.bencode import decode, encode
from tests.support.fleet import until
from tests.support.media_lab import CALLER, ENGINE, NG_PORT, MediaLab, media_lab
from tests.support.netns import inside
from tests.support.ng import Endpoint, media_of, packet

SESSIONS = 100_000
IN_FLIGHT = 32
SPEAKS_EVERY, STAYS_EVERY = 20, 200
TRY_SECONDS, TRIES = 0.5, 40
TALK_SECONDS = 0.02
AFTER_KERNEL = 5
PRINT_SECONDS = 10.0
SETTLE_SECONDS = QUARANTINE_SECONDS + 15
FULL = b"Ran out of ports."
# Four sockets a session, and only as many descriptors as a system allows by default.
PORTS = {"SIPURI_RTP_PORTS": "20000-27999", "SIPURI_RTP_INTERNAL_PORTS": "40002-48001"}


class Client:
    """The proxy's end of the ng protocol, with many commands in flight at once."""

    def __init__(self, lab: MediaLab) -> None:
        with inside(lab.hosts["relay"]):
            self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.connect(("127.0.0.1", NG_PORT))
        self._waiting: dict[bytes, asyncio.Future[dict[bytes, object]]] = {}
        self._cookies = itertools.count()
        asyncio.get_running_loop().add_reader(self._socket, self._read)

    def close(self) -> None:
        """Close the socket."""
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()

    async def command(self, name: str, /, **fields: object) -> dict[bytes, object]:
        """Run one command, repeated until it is answered; raises TimeoutError."""
        cookie = b"%d" % next(self._cookies)
        datagram = cookie + b" " + encode({"command": name, **{key.replace("_", "-"): value for key, value in fields.items()}})
        future: asyncio.Future[dict[bytes, object]] = asyncio.get_running_loop().create_future()
        self._waiting[cookie] = future
        try:
            for _ in range(TRIES):
                self._socket.send(datagram)
                done, _ = await asyncio.wait([future], timeout=TRY_SECONDS)
                if done:
                    return future.result()
        finally:
            del self._waiting[cookie]
        raise TimeoutError(f"The relay did not answer {name}.")

    def _read(self) -> None:
        while True:
            try:
                cookie, _, body = self._socket.recv(65_535).partition(b" ")
            except BlockingIOError:
                return
            future, value = self._waiting.get(cookie), decode(body)
            if future is not None and not future.done() and isinstance(value, dict):
                future.set_result(value)


@dataclass
class Tally:
    """What was done, and what went wrong."""

    sessions: int = 0
    spoke: int = 0
    carried: int = 0
    waits: int = 0
    """Offers that were refused for want of ports and repeated."""
    wrong: list[str] = field(default_factory=list)


@dataclass
class Pair:
    """A caller and a node that have one session after the other."""

    client: Client
    caller: Endpoint
    engine: Endpoint
    tally: Tally

    async def run(self, numbers: Iterator[int]) -> None:
        """Set up sessions while there are numbers left."""
        for number in numbers:
            try:
                await self._session(f"soak-{number}", number)
            except (TimeoutError, AssertionError) as error:
                self.tally.wrong.append(f"Session {number}: {error!r}")
                return
            self.tally.sessions += 1

    async def _session(self, call: str, number: int) -> None:
        within = await self._offer(call)
        answered = await self.client.command("answer", call_id=call, from_tag="a", to_tag="b", sdp=self.engine.sdp(), replace=["origin"])
        outside, said = media_of(answered), 0
        if number % SPEAKS_EVERY == 0:
            self.tally.spoke += 1
            said = await self._talk(outside, within, said)
        if number % STAYS_EVERY == 0:
            while not await self._is_carried(call):
                said = await self._talk(outside, within, said)
                await asyncio.sleep(TALK_SECONDS)
            self.tally.carried += 1
            for _ in range(AFTER_KERNEL):
                said = await self._talk(outside, within, said)
        totals = (await self.client.command("delete", call_id=call, from_tag="a", to_tag="b"))[b"totals"]
        assert isinstance(totals, dict)
        assert totals[b"RTP"][b"packets"] == 2 * said, (totals, said)

    async def _offer(self, call: str) -> tuple[str, int]:
        fields: dict[str, object] = {"direction": ["external", "internal"], "received_from": ["IP4", CALLER], "replace": ["origin"]}
        while True:
            reply = await self.client.command("offer", call_id=call, from_tag="a", sdp=self.caller.sdp(), **fields)
            if reply.get(b"error-reason") != FULL:
                return media_of(reply)
            self.tally.waits += 1
            await asyncio.sleep(TALK_SECONDS)

    async def _talk(self, outside: tuple[str, int], within: tuple[str, int], said: int) -> int:
        """Send a packet each way and see both arrive."""
        self.caller.snd(outside, packet(said))
        assert await self.engine.hear() == (packet(said), within)
        self.engine.snd(within, packet(said, ssrc=9))
        assert await self.caller.hear() == (packet(said, ssrc=9), outside)
        return said + 1

    async def _is_carried(self, call: str) -> bool:
        tags = (await self.client.command("query", call_id=call))[b"tags"]
        assert isinstance(tags, dict)
        plane: bytes = tags[b"a"][b"medias"][0][b"plane"]
        return plane == b"kernel"


@dataclass(frozen=True)
class Holdings:
    """What a relay's process holds."""

    descriptors: int
    """Descriptors that are not media sockets."""
    sockets: int
    used: int
    quarantined: int
    free: int
    flows: int
    rss_mb: float

    @classmethod
    def of(cls, lab: MediaLab) -> Holdings:
        """Take stock of a relay."""
        assert lab.process is not None
        process = Path(f"/proc/{lab.process.pid}")
        # Before the request for the page, which costs a descriptor itself.
        # The database's own descriptors come and go with its threads.
        descriptors, page = sum(".sqlite3" not in name for name in lab.open_files()), lab.metrics()
        sockets = int(page["sipuri_relay_sockets"])

        def pairs(state: str) -> int:
            return sum(int(page[f'sipuri_relay_port_pairs{{side="{side}",state="{state}"}}']) for side in ("external", "internal"))

        return cls(
            descriptors=descriptors - sockets,
            sockets=sockets,
            used=pairs("in_use"),
            quarantined=pairs("quarantined"),
            free=pairs("free"),
            flows=int(page["sipuri_relay_kernel_flows"]),
            rss_mb=int((process / "statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6,
        )

    @property
    def pairs(self) -> int:
        """The total number of port pairs."""
        return self.free + self.used + self.quarantined

    def is_empty(self) -> bool:
        """Return whether nothing of any session is left."""
        return not (self.sockets or self.used or self.quarantined or self.flows)


async def play(lab: MediaLab, numbers: Iterator[int], tally: Tally) -> None:
    """Set up a session for each number, some of them at once."""
    with ExitStack() as ends:
        client = Client(lab)
        ends.callback(client.close)
        pairs = [
            Pair(client, ends.enter_context(lab.endpoint("caller", CALLER)), ends.enter_context(lab.endpoint("engine", ENGINE)), tally)
            for _ in range(IN_FLIGHT)
        ]
        teller = asyncio.create_task(_tell(lab, tally))
        await asyncio.gather(*(pair.run(numbers) for pair in pairs))
        teller.cancel()


async def _tell(lab: MediaLab, tally: Tally) -> None:
    while True:
        before = tally.sessions
        await asyncio.sleep(PRINT_SECONDS)
        rate, now = (tally.sessions - before) / PRINT_SECONDS, await asyncio.to_thread(Holdings.of, lab)
        print(
            f"{tally.sessions:7} sessions, {rate:4.0f}/s, {tally.spoke} spoke, {tally.carried} in the kernel, {tally.waits} waits for"
            f" ports; pairs {now.used} used {now.quarantined} resting; {now.sockets} sockets; {now.rss_mb:.0f} MB",
            flush=True,
        )


@dataclass(frozen=True)
class Soak:
    """The sessions played on a relay, and what the relay held before them."""

    lab: MediaLab
    sessions: int
    tally: Tally
    before: Holdings

    @classmethod
    def play(cls, lab: MediaLab, sessions: int) -> Soak:
        """Play a number of sessions."""
        tally = Tally()
        numbers = iter(range(sessions))
        # The first sessions open what stays open.
        asyncio.run(play(lab, itertools.islice(numbers, IN_FLIGHT), tally))
        before, began = Holdings.of(lab), time.monotonic()
        asyncio.run(play(lab, numbers, tally))
        took = time.monotonic() - began
        print(f"{sessions} sessions in {took:.0f} s, {sessions / took:.0f}/s", flush=True)
        return cls(lab, sessions, tally, before)

    def leftovers(self) -> list[str]:
        """Wait for the quarantine's end; return what went wrong and what is left."""
        found = list(self.tally.wrong)
        try:
            after = until(self._over, seconds=SETTLE_SECONDS, what="the relay holds nothing", every=0.5)
        except AssertionError as error:
            found.append(str(error))
            after = Holdings.of(self.lab)
        page = self.lab.metrics()
        print(f"before {self.before}\nafter  {after}", flush=True)
        errors = ("sipuri_relay_bind_failures_total", "sipuri_relay_socket_errors_total", "sipuri_relay_kernel_lost_streams_total")
        found += [f"{name} is {page[name]:.0f}" for name in errors if page[name]]
        ended = page['sipuri_relay_sessions_ended_total{cause="deleted"}']
        checks = {
            f"{ended:.0f} of {self.sessions} sessions were deleted.": ended == self.sessions,
            f"Of {self.before.pairs} pairs {after.free} are free.": after.free == self.before.pairs,
            "The kernel's maps are not empty.": "elements" not in self.lab.rules(),
            "The kernel carried nothing.": self.tally.carried > 0,
        }
        return found + [text for text, good in checks.items() if not good]

    def _over(self) -> Holdings | None:
        now = Holdings.of(self.lab)
        return now if now.is_empty() and now.descriptors == self.before.descriptors else None


def main() -> int:
    """Return 0 if nothing went wrong and nothing is left."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak.media_sessions", description=__doc__)
    parser.add_argument("--sessions", type=int, default=SESSIONS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sipuri-soak-") as state, media_lab(Path(state), "direct", **PORTS) as lab:
        played = Soak.play(lab, options.sessions)
        print("Waiting for the quarantine's end.", flush=True)
        found = played.leftovers()
        if lab.stop():
            found.append("The relay did not end in order.")
        if lab.rules():
            found.append("Rules are left in the kernel.")
        if "Traceback" in lab.log():
            found.append(lab.log()[-4000:])
    for line in found:
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
