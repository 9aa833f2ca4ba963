"""The front of a relay's workers: pass each command to the worker that has its call (D14).

A call's worker follows from its id, so every command of a call finds it, before and after a restart of either. A
command about all calls goes to all workers, and their answers are merged into one; a worker that does not answer in
time is left out. A ping is always answered: a relay whose worker is being started again is not dead, and one drains only
where all of them do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import count
from zlib import crc32

from daemonkit.address import Address
from mediarelay.ng.control import DRAINING, Command, pong, split_cookie
from mediarelay.ng.limits import MAX_LISTED_CALLS, MAX_LISTED_OCTETS

GATHER_SECONDS = 0.2
MAX_GATHERING = 256
"""Questions to all workers at once; more are not answered, but for pings."""

NgReply = Mapping[str, object]


@dataclass(slots=True)
class _Gathering:
    """A question that all workers were asked."""

    sender: Address
    cookie: bytes
    command: Command
    until: float
    missing: set[int]
    replies: list[Mapping[bytes, object]] = field(default_factory=list)


class CommandFront:
    """The front of `workers` workers."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._gathering: dict[bytes, _Gathering] = {}
        self._numbers = count()
        self._to_workers: list[tuple[int, bytes, Address]] = []
        self._outbox: list[tuple[bytes, Address]] = []

    def receive_datagram(self, data: bytes, addr: Address, now: float) -> None:
        """Take a client's datagram; never raises on what a peer sent."""
        try:
            cookie, body = split_cookie(data)
        except ValueError:
            self._to_workers.append((0, data, addr))
            return
        try:
            command = Command.parse(body)
            if command.name == "ping" and len(self._gathering) >= MAX_GATHERING:
                self._reply(cookie, command, pong(draining=False), addr)
            elif command.name in _MERGERS:
                self._ask_all(_Gathering(addr, cookie, command, now + GATHER_SECONDS, set(range(self._workers))))
            else:
                self._to_workers.append((crc32(command.octets("call-id")) % self._workers, data, addr))
        except ValueError:
            # A worker has to say what is wrong with it; any one will do.
            self._to_workers.append((0, data, addr))

    def receive_reply(self, worker: int, data: bytes, addr: Address) -> None:
        """Take a worker's datagram: a reply for a client, or one part of a merged reply."""
        cookie, _, body = data.partition(b" ")
        gathering = self._gathering.get(cookie) if addr == _NOBODY else None
        if gathering is None:
            if addr != _NOBODY:
                self._outbox.append((data, addr))
            return
        gathering.replies.append(Command.parse(body).fields)
        gathering.missing.discard(worker)
        if not gathering.missing:
            self._finish(cookie)

    def for_workers(self) -> list[tuple[int, bytes, Address]]:
        """Return the datagrams for workers: number, datagram, and the client's address."""
        waiting, self._to_workers = self._to_workers, []
        return waiting

    def datagrams_to_send(self) -> list[tuple[bytes, Address]]:
        """Return the replies that are ready, each with its receiver."""
        outbox, self._outbox = self._outbox, []
        return outbox

    def get_timer(self) -> float | None:
        """Return when `handle_timer` is to be called, or None."""
        return min((gathering.until for gathering in self._gathering.values()), default=None)

    def handle_timer(self, now: float) -> None:
        """Answer expired questions with the parts that have come."""
        for cookie in [cookie for cookie, gathering in self._gathering.items() if gathering.until <= now]:
            self._finish(cookie)

    def _ask_all(self, gathering: _Gathering) -> None:
        if len(self._gathering) >= MAX_GATHERING:
            return
        cookie = b"front-%d" % next(self._numbers)
        self._gathering[cookie] = gathering
        question = cookie + b" " + _bencoded(gathering.command)
        self._to_workers += [(worker, question, _NOBODY) for worker in range(self._workers)]

    def _finish(self, cookie: bytes) -> None:
        gathering = self._gathering.pop(cookie)
        try:
            merged = _MERGERS[gathering.command.name](gathering.command, gathering.replies)
        except ValueError as error:
            merged = {"result": "error", "error-reason": str(error)}
        self._reply(gathering.cookie, gathering.command, merged, gathering.sender)

    def _reply(self, cookie: bytes, command: Command, reply: NgReply, addr: Address) -> None:
        self._outbox.append((cookie + b" " + command.write(reply), addr))


_NOBODY: Address = ("0.0.0.0", 0)
"""Stands for the front itself where a client's address is expected."""


def _bencoded(command: Command) -> bytes:
    return Command(command.fields, as_json=False).write({key.decode("latin-1"): value for key, value in command.fields.items()})


def _merge_lists(command: Command, replies: Iterable[Mapping[bytes, object]]) -> NgReply:
    limit = max(0, min(command.number("limit", 32), MAX_LISTED_CALLS))
    calls: list[object] = []
    size = 0
    for reply in replies:
        for call in _list(reply.get(b"calls")):
            size += len(call) + 8 if isinstance(call, bytes) else MAX_LISTED_OCTETS
            if len(calls) < limit and size <= MAX_LISTED_OCTETS:
                calls.append(call)
    return {"result": "ok", "calls": calls}


def _merge_pings(command: Command, replies: Iterable[Mapping[bytes, object]]) -> NgReply:
    drains = [DRAINING.encode() in reply for reply in replies]
    return pong(draining=bool(drains) and all(drains))


def _merge_statistics(command: Command, replies: Iterable[Mapping[bytes, object]]) -> NgReply:
    total: dict[str, object] = {}
    for reply in replies:
        _add(total, reply.get(b"statistics"))
    return {"result": "ok", "statistics": total}


def _add(total: dict[str, object], part: object) -> None:
    """Add the numbers of a nested dictionary to those of another."""
    for key, value in (part if isinstance(part, dict) else {}).items():
        name = key.decode("latin-1")
        if isinstance(value, int):
            known = total.get(name)
            total[name] = (known if isinstance(known, int) else 0) + value
        else:
            inner = total.setdefault(name, {})
            if isinstance(inner, dict):
                _add(inner, value)


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


_MERGERS: Mapping[str, Callable[[Command, Iterable[Mapping[bytes, object]]], NgReply]] = {
    "list": _merge_lists,
    "ping": _merge_pings,
    "statistics": _merge_statistics,
}
