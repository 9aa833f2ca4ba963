"""`python -m bench.strangers`: 15,000 strangers call the running proxy within 36 s; what that costs an SQLite database.

Each stranger has an address of its own (127.0.0.0/8) and sends one INVITE to an application that does not exist. Meanwhile another
connection asks for the write lock fifty times a second, as every other writer does, and notes how long it waited.
"""

from __future__ import annotations

import argparse
import json
import socket
import sqlite3
import tempfile
import threading
import time
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path

from bench.machine import machine
from tests.support.fleet import Fleet, until

FIRST = IPv4Address("127.1.0.1")
DATABASE = "sipuri.sqlite3"
TABLE = "voiceapps_refusedattempt"
PROBE_SECONDS = 0.02
QUIET_SECONDS = 5.0
LOCK_SECONDS = 120.0


@dataclass
class Probe:
    """Another writer: how long it waits for the lock."""

    path: Path
    waits: list[float] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Probe:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        with sqlite3.connect(self.path, timeout=LOCK_SECONDS, isolation_level=None) as database:
            while not self._over.wait(PROBE_SECONDS):
                asked = time.monotonic()
                database.execute("BEGIN IMMEDIATE")
                database.execute("ROLLBACK")
                self.waits.append(time.monotonic() - asked)


def invite(number: int, host: str) -> bytes:
    """Return a stranger's INVITE to an application that does not exist."""
    uri = f"sip:{number:08x}-0000-4000-8000-000000000000@{host}"
    return (
        f"INVITE {uri} SIP/2.0\r\nVia: SIP/2.0/UDP stranger.example;rport;branch=z9hG4bKs{number}\r\nMax-Forwards: 70\r\n"
        f"From: <sip:100@{host}>;tag=s{number}\r\nTo: <{uri}>\r\nCall-ID: {number:032x}@stranger.example\r\nCSeq: 1 INVITE\r\n"
        f"Contact: <sip:100@stranger.example>\r\nUser-Agent: friendly-scanner\r\nContent-Length: 0\r\n\r\n"
    ).encode()


def call(target: tuple[str, int], host: str, sources: int, seconds: float) -> None:
    """Send one INVITE from each of so many addresses, evenly over some seconds."""
    began = time.monotonic()
    for number in range(sources):
        time.sleep(max(0.0, began + number * seconds / sources - time.monotonic()))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.bind((str(FIRST + number), 0))
            stranger.sendto(invite(number, host), target)


def counted(path: Path) -> tuple[int, int]:
    """Return how many rows and how many attempts the table has."""
    with sqlite3.connect(path, timeout=LOCK_SECONDS) as database:
        rows, attempts = database.execute(f"SELECT COUNT(*), COALESCE(SUM(count), 0) FROM {TABLE}").fetchone()  # noqa: S608  # our own name
    return rows, attempts


def octets(path: Path) -> int:
    """Return how much larger the file is for the table's rows and their indexes, without what is free in it."""
    copy = path.with_name("copy.sqlite3")
    with sqlite3.connect(path) as source, sqlite3.connect(copy, isolation_level=None) as database:
        source.backup(database)
        # Without a log of its own a file has its size at once.
        database.execute("PRAGMA journal_mode = DELETE")
        database.execute("VACUUM")
        whole = copy.stat().st_size
        database.execute(f"DELETE FROM {TABLE}")  # noqa: S608  # likewise
        database.execute("VACUUM")
        return whole - copy.stat().st_size


def measure(directory: Path, sources: int, seconds: float) -> dict[str, object]:
    """Start the proxy, let the strangers call, and return the figures."""
    fleet = Fleet(directory, ("mediarelay", "sipproxy"), {"SIPURI_CALLFLOW_TARGETS": "sip:127.0.0.1:9", "SIPURI_GUARD_KERNEL": "off"})
    path = directory / DATABASE
    try:
        fleet.start()
        with Probe(path) as probe:
            call(fleet.sip, "sip-uri.localhost", sources, seconds)
            sent = time.monotonic()
            until(lambda: counted(path)[1] >= sources or time.monotonic() > sent + LOCK_SECONDS, seconds=2 * LOCK_SECONDS, what="the rows")
            late = time.monotonic() - sent
            time.sleep(QUIET_SECONDS)
    finally:
        fleet.stop()
    rows, attempts = counted(path)
    waits = sorted(probe.waits)
    size = octets(path)
    return {
        "sources": sources,
        "seconds": seconds,
        "attempts": attempts,
        "rows": rows,
        "octets": size,
        "octets_a_row": round(size / max(rows, 1)),
        "lock_seconds_at_most": round(waits[-1], 3),
        "lock_seconds_p99": round(waits[int(0.99 * len(waits))], 3),
        "seconds_until_written": round(late, 1),
    }


def main() -> None:
    """Measure and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sources", type=int, default=15_000)
    parser.add_argument("--seconds", type=float, default=36.0)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sipuri-bench-") as directory:
        ours = measure(Path(directory), wanted.sources, wanted.seconds)
    print(json.dumps({"bench": "strangers", "ours": ours, "machine": machine()}))  # noqa: T201  # its last line is its result


if __name__ == "__main__":
    main()
