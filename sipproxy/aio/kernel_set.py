"""An nftables set with timeouts, by which the kernel drops packets of banned sources.

The table belongs to one proxy and is named after its address. It is made at the start, in place of one that a killed process has
left, and deleted at the stop; its elements expire by themselves. Changes are gathered and written by one `nft -f -` at a time, in
a thread. Without the right to do this, or if nft fails, a line in the log says why and only the proxy drops.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

import structlog
from prometheus_client import CollectorRegistry, Gauge

from daemonkit.nft import missing, run_nft
from daemonkit.rounds import Rounds
from sipproxy.admission.bans import BanChange
from sipproxy.admission.limits import MAX_BANS
from sipproxy.transactions.listener import Listener

BATCH_SECONDS = 0.1
RETRY_SECONDS = 5.0
# Expired elements stay until the kernel collects them.
SET_SIZE = 2 * MAX_BANS

log = structlog.get_logger(__name__)

Run = Callable[[str], str]


class KernelSet:
    """The bans in the kernel; `run` gives a script to nft and returns its error, empty if there is none."""

    def __init__(self, external: Sequence[Listener], *, registry: CollectorRegistry, run: Run | None = None) -> None:
        host, port = external[0].bind
        self._table = f"inet sipuri_guard_{host.replace('.', '_')}_{port}"
        self._binds = sorted({listener.bind for listener in external})
        self._run = run or run_nft
        self._wanted: dict[str, float] = {}
        self._changed: dict[str, None] = {}
        self._wake = asyncio.Event()
        self._rounds = Rounds("kernel_bans", self._write, lambda: RETRY_SECONDS if self._is_behind else 0.0)
        self._is_behind = False
        # One thread: a script that runs has ended before the table is deleted.
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="nft")
        self._given_up = False
        Gauge("sipuri_sip_kernel_bans", "1 where the kernel drops what banned sources send", registry=registry).set_function(
            lambda: float(self.is_on)
        )

    @property
    def is_on(self) -> bool:
        """True if the kernel drops packets of banned sources."""
        return self._rounds.is_running

    async def start(self) -> None:
        """Make the table with the bans that are known already; if that is not possible, log why."""
        self._changed.clear()
        trouble = missing() or await self._nft(self._whole())
        if trouble:
            log.info("kernel_bans_off", missing=trouble)
            self._given_up = True
            self._wanted.clear()
            return
        self._rounds.start()

    async def stop(self) -> None:
        """Delete the table."""
        if self.is_on:
            self._rounds.stop()
            await self._nft(f"delete table {self._table}\n")
        self._given_up = True
        self._pool.shutdown(wait=False)

    def apply(self, change: BanChange) -> None:
        """Queue a change of the bans; it is in the kernel a tenth of a second later."""
        if self._given_up:
            return
        for ban in change.banned:
            self._wanted[ban.source_ip] = ban.until
        for source_ip in change.lifted:
            self._wanted.pop(source_ip, None)
        self._changed |= dict.fromkeys((*(ban.source_ip for ban in change.banned), *change.lifted))
        self._wake.set()

    async def _write(self) -> None:
        """Write what has changed, or everything after a round that failed."""
        if not self._is_behind:
            await self._wake.wait()
        await asyncio.sleep(BATCH_SECONDS)
        self._wake.clear()
        changed, self._changed = self._changed, {}
        script = self._whole() if self._is_behind else self._difference(changed)
        self._is_behind = True
        if trouble := await self._nft(script):
            log.warning("kernel_bans_failed", error=trouble)
        else:
            self._is_behind = False

    async def _nft(self, script: str) -> str:
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._run, script)

    # Scripts.

    def _whole(self) -> str:
        places = ", ".join(f"{host} . {port}" for host, port in self._binds)
        return (
            f"table {self._table}\ndelete table {self._table}\ntable {self._table} {{\n"
            f" set banned {{ type ipv4_addr; flags timeout; size {SET_SIZE}; }}\n"
            " chain input { type filter hook input priority raw; policy accept;\n"
            f"  ip saddr @banned meta l4proto {{ tcp, udp }} ip daddr . th dport {{ {places} }} counter drop\n }}\n}}\n"
            f"{self._add(self._wanted)}"
        )

    def _difference(self, changed: Iterable[str]) -> str:
        """Return a script that works whether the elements are there or not: to add one twice is no error, to delete a missing one is."""
        names = tuple(changed)
        return f"{self._command('add', names)}{self._command('delete', names)}{self._add(names)}"

    def _add(self, sources: Iterable[str]) -> str:
        """Return the command that adds those sources whose ban has not expired; forget the expired ones."""
        now = time.monotonic()
        self._wanted = {source_ip: until for source_ip, until in self._wanted.items() if until > now}
        lasting = [(source_ip, self._wanted[source_ip] - now) for source_ip in sources if source_ip in self._wanted]
        return self._command("add", [f"{source_ip} timeout {max(1, round(seconds))}s" for source_ip, seconds in lasting])

    def _command(self, verb: str, elements: Sequence[str]) -> str:
        return f"{verb} element {self._table} banned {{ {', '.join(elements)} }}\n" if elements else ""
