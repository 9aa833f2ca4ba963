"""`python -m bench.flood.sender`: send prepared requests from loopback addresses at a rate, and print how many went out.

One process with one socket for each address. The requests are made before the first one is sent; they differ in Call-ID and branch, and
are used again once all have been sent. What the system refuses at once is not sent later: the printed rate is the real one.
"""

from __future__ import annotations

import argparse
import json
import socket
import time

DISTINCT = 2_000
# A tick sends what is due; more ticks a second would only cost the CPU that the proxy needs.
TICK_SECONDS = 0.005
MAX_BEHIND_SECONDS = 0.1


def requests(kind: str, host: str, user: str, tag: str) -> list[bytes]:
    """Return different requests of a kind, `INVITE` to a SIP URI or `OPTIONS` to the host."""
    uri = f"sip:{user}@{host}" if kind == "INVITE" else f"sip:{host}"
    head = f"{kind} {uri} SIP/2.0\r\nMax-Forwards: 70\r\nFrom: <sip:flood@flood.example>;tag={tag}\r\nTo: <{uri}>\r\nCSeq: 1 {kind}\r\n"
    ids = (f"Call-ID: {tag}-{number}\r\nVia: SIP/2.0/UDP flood.example;branch=z9hG4bK{tag}{number}\r\n" for number in range(DISTINCT))
    return [f"{head}{one}Content-Length: 0\r\n\r\n".encode() for one in ids]


def send(target: tuple[str, int], sources: list[str], messages: list[bytes], rate: float, seconds: float) -> int:
    """Send for a number of seconds, each source in turn, and return the number of datagrams."""
    sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in sources]
    for sock, source in zip(sockets, sources, strict=True):
        sock.bind((source, 0))
        sock.connect(target)
        sock.setblocking(False)
    began = time.monotonic()
    planned = sent = 0
    while (elapsed := time.monotonic() - began) < seconds:
        due = int(elapsed * rate)
        # After a pause in which the process did not run, the backlog is not sent at once.
        planned = max(planned, due - int(MAX_BEHIND_SECONDS * rate))
        while planned < due:
            try:
                sockets[planned % len(sockets)].send(messages[planned % DISTINCT])
                sent += 1
            except OSError:
                pass  # The send buffer is full, or an ICMP error of an earlier datagram surfaces.
            planned += 1
        time.sleep(TICK_SECONDS)
    return sent


def main() -> None:
    """Read the command line, send, print one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m bench.flood.sender")
    parser.add_argument("--target", required=True)
    parser.add_argument("--kind", choices=("INVITE", "OPTIONS"), required=True)
    parser.add_argument("--host", required=True)
    parser.add_argument("--user", default="")
    parser.add_argument("--tag", required=True)
    parser.add_argument("--rate", type=float, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("sources", nargs="+")
    given = parser.parse_args()
    host, _, port = given.target.partition(":")
    messages = requests(given.kind, given.host, given.user, given.tag)
    began = time.monotonic()
    sent = send((host, int(port)), given.sources, messages, given.rate, given.seconds)
    print(json.dumps({"sent": sent, "seconds": time.monotonic() - began}))  # noqa: T201  # this program's output


if __name__ == "__main__":
    main()
