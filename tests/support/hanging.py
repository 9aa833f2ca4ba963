"""A backend that takes connections and requests, and never answers."""

from __future__ import annotations

import selectors
import socket

BACKLOG = 100


class HangingBackend:
    """Takes what comes; `asked` says how many requests wait."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self._listener = socket.create_server((host, 0), backlog=BACKLOG)
        self._listener.setblocking(False)
        self._taken: list[socket.socket] = []
        self.url = f"http://{host}:{self._listener.getsockname()[1]}/status"

    def asked(self) -> int:
        """Return how many requests wait for an answer."""
        try:
            while True:
                self._taken.append(self._listener.accept()[0])
        except BlockingIOError:
            pass
        with selectors.DefaultSelector() as selector:
            for taken in self._taken:
                selector.register(taken, selectors.EVENT_READ)
            return len(selector.select(0))

    def close(self) -> None:
        for one in (*self._taken, self._listener):
            one.close()
