"""`python -m bench.orders`: how soon a call does what the API orders, where its node hears of it by SQLite, by PostgreSQL or by Redis.

A call is held. Orders come one by one, by turns `POST …/calls/{callId}` and `PUT …/bxml`; each has the call fetch another document, and
the time from the request to that webhook is measured at the backend. Every role is a process of its own, as `runall` starts them: the
one that takes the order never holds the call.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

from bench.machine import machine
from bench.program import say
from bench.signalling.figures import percentile
from callflow.aio.phone import Phone
from tests.support.backend import TestBackend
from tests.support.fleet import ACCOUNT, CLIENT, SECRET, Fleet, until
from tests.support.postgres_server import PostgresServer
from tests.support.redis_server import RedisServer

RESULT = Path(__file__).parent / "results" / "orders.json"
LIMIT_MS = 300.0
ORDERS = 100
STORAGES = ("SQLite", "PostgreSQL", "PostgreSQL and Redis")
_HOLD = '<Response><Pause duration="600"/></Response>'
_WARM_UP = 4
_SECONDS_BETWEEN = 0.05
"""Nobody orders faster than a person, or a program that waits for the webhook."""


@contextmanager
def environment(storage: str, directory: Path) -> Iterator[dict[str, str]]:
    """Start what a storage needs, and give the settings that name it."""
    if storage == STORAGES[0]:
        yield {}
        return
    postgres, redis = PostgresServer(), RedisServer(directory)
    try:
        postgres.start()
        settings = {"SIPURI_DATABASE_URL": postgres.url}
        if storage == STORAGES[2]:
            redis.start()
            settings["SIPURI_REDIS_URL"] = redis.url
        yield settings
    finally:
        redis.stop()
        postgres.stop()
        postgres.remove()


def order(fleet: Fleet, backend: TestBackend, call_id: str, number: int) -> float:
    """Order one change of a call, and return the seconds until its webhook came."""
    url, tag = f"{backend.url}/moved", f"order-{number}"
    path = f"/api/v2/accounts/{ACCOUNT}/calls/{call_id}"
    if number % 2:
        method, kind, body = "POST", "application/json", json.dumps({"redirectUrl": url, "tag": tag})
    else:
        method, kind, path = "PUT", "application/xml", f"{path}/bxml"
        body = f'<Bxml><Redirect redirectUrl="{url}" tag="{tag}"/></Bxml>'
    basic = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
    connection = HTTPConnection(fleet.http.removeprefix("http://"), timeout=10)
    asked = time.monotonic()
    connection.request(method, path, body, {"Authorization": f"Basic {basic}", "Content-Type": kind})
    status = connection.getresponse().status
    connection.close()
    if status not in (200, 204):
        raise SystemExit(f"An order was answered {status}.")
    return until(lambda: seen(backend, tag), seconds=10, what=f"the webhook of {tag}", every=0.001) - asked


def seen(backend: TestBackend, tag: str) -> float | None:
    """Return when the webhook with a tag came, None if it has not yet."""
    return next((at for event, at in zip(backend.events, backend.seen_at, strict=False) if event.get("tag") == tag), None)


async def measure(fleet: Fleet, backend: TestBackend, orders: int) -> list[float]:
    """Hold a call, order it about, and return the milliseconds of each order."""
    application = fleet.application(callback=f"{backend.url}/initiate", status=f"{backend.url}/status")
    phone = Phone(proxy=fleet.sip)
    await phone.open()
    call = await phone.call(application.sip_uri, username=application.application_id, password=application.password)
    call_id = str(backend.of("initiate")[-1]["callId"])
    taken = []
    for number in range(_WARM_UP + orders):
        taken.append(1000 * await asyncio.to_thread(order, fleet, backend, call_id, number))
        await asyncio.sleep(_SECONDS_BETWEEN)
    await call.hang_up()
    await phone.close()
    return taken[_WARM_UP:]


def run(storage: str, orders: int) -> dict[str, float]:
    """Start the whole system on a storage, and return the figures."""
    backend = TestBackend({"/initiate": _HOLD, "/moved": _HOLD})
    with tempfile.TemporaryDirectory(prefix="sipuri-bench-") as directory, environment(storage, Path(directory)) as settings:
        fleet = Fleet(Path(directory), environment=settings)
        try:
            fleet.start()
            taken = asyncio.run(measure(fleet, backend, orders))
        finally:
            fleet.stop()
            backend.close()
    return {f"p{percent}_ms": round(percentile(taken, percent), 1) for percent in (50, 95)} | {"max_ms": round(max(taken), 1)}


def main() -> int:
    """Measure, print the figures, and keep those of a whole run; the exit code is 1 if the limit was missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, default=ORDERS)
    wanted = parser.parse_args()
    ours = {}
    for storage in STORAGES:
        ours[storage] = run(storage, wanted.orders)
        say(f"{storage}: {ours[storage]}, limit of each {LIMIT_MS:g} ms")
    found = {"bench": "orders", "ours": ours, "run": {"orders": wanted.orders}, "machine": machine()}
    if wanted.orders == ORDERS:
        RESULT.write_text(json.dumps(found, indent=4) + "\n")
    say(json.dumps(found))
    return int(any(figures["max_ms"] > LIMIT_MS for figures in ours.values()))


if __name__ == "__main__":
    sys.exit(main())
