"""`make conformance CORPUS=DIR`: compare our reading of every message with tshark's; send messages to a proxy, descriptions to a relay."""

from __future__ import annotations

import contextlib
import select
import socket
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.conformance import descriptions, oracle
from tests.conformance.corpus import DEVIATIONS, SILENCE, Message, messages
from tests.support.fleet import Fleet, free_ports

ANSWER_SECONDS, SILENCE_SECONDS = 2.0, 0.3
MAX_DATAGRAM = 65_507
PING = (
    "OPTIONS sip:sip-uri.localhost SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bKping{0};rport\r\nMax-Forwards: 70\r\n"
    "From: <sip:a@b>;tag=1\r\n"
    "To: <sip:sip-uri.localhost>\r\nCall-ID: ping{0}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
)


def main() -> int:
    """Return 0 if every field is read as by tshark, and every message gets a verdict that its class allows."""
    corpus = Path(sys.argv[1])
    if not corpus.is_dir():
        print(f"No corpus at {corpus}: nothing to run.")
        return 0
    differs = oracle.report(corpus)
    nowhere = {"SIPURI_CALLFLOW_TARGETS": "sip:127.0.0.1:9", "SIPURI_GUARD_TRUSTED": "127.0.0.0/8"}
    with tempfile.TemporaryDirectory(prefix="sipuri-conformance-") as state:
        fleet = Fleet(Path(state), ("sipproxy", "mediarelay"), nowhere)
        try:
            fleet.start()
            host, _, port = fleet.env["SIPURI_NG_BIND"].partition(":")
            wrong = descriptions.report(corpus, (host, int(port)))
            return _run(fleet, list(messages(corpus))) or wrong or differs
        finally:
            fleet.stop()


def _run(fleet: Fleet, wanted: list[Message]) -> int:
    seen: Counter[str] = Counter()
    misses = []
    fitting = [message for message in wanted if len(message.data) <= MAX_DATAGRAM]
    for number, message in enumerate(fitting):
        status = _exchange(fleet.sip, message)
        seen[status] += 1
        if status not in message.allowed and message.name in DEVIATIONS:
            print(f"{message.name}: {status}. {DEVIATIONS[message.name]}")
        elif status not in message.allowed:
            misses.append(f"{message.name}: {status}")
        if not _alive(fleet.sip, number):
            misses.append(f"{message.name}: the proxy no longer answers")
            break
    print(*misses, sep="\n")
    print(f"{len(fitting)} messages ({len(wanted) - len(fitting)} too long for UDP left out), {len(misses)} misses; answers: {dict(seen)}")
    return 1 if misses else 0


def _exchange(proxy: tuple[str, int], message: Message) -> str:
    """Return the final status that came to the source or to where Via points, `none` for silence."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(2)]
        sockets[0].bind(("127.0.0.1", free_ports(1)[0]))
        with contextlib.suppress(OSError):
            sockets[1].bind(("127.0.0.1", message.reply_port))
        sockets[0].sendto(message.data, proxy)
        deadline = time.monotonic() + (SILENCE_SECONDS if message.allowed == {SILENCE} else ANSWER_SECONDS)
        while (left := deadline - time.monotonic()) > 0:
            for ready in select.select(sockets, [], [], left)[0]:
                status = ready.recv(65_535).split(b" ", 2)[1].decode("ascii", "replace")
                if status >= "200":
                    return status
    return SILENCE


def _alive(proxy: tuple[str, int], number: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(ANSWER_SECONDS)
        sock.sendto(PING.format(number).encode(), proxy)
        try:
            return sock.recv(65_535).startswith(b"SIP/2.0 200 Keepalive")
        except TimeoutError:
            return False


if __name__ == "__main__":
    sys.exit(main())
