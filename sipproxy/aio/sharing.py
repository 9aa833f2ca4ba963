"""The sockets of all workers of one proxy, opened by their supervisor."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from contextlib import ExitStack

from daemonkit.sockets import RECEIVE_BUFFER_BYTES, open_tcp, open_udp
from sipproxy.aio.handover import HANDOVER
from sipproxy.config import SipProxyConfig


def shared_sockets(configs: Sequence[SipProxyConfig]) -> list[dict[str, socket.socket]]:
    """Open what each worker needs, by name; raises AddressUnavailable and leaves nothing open.

    Outside, the workers share each address. Inside, each has a port of its own, so a node's requests for a call reach the worker
    that has its caller. Each worker has a socket to every other one, for `handover`.
    """
    with ExitStack() as opened:
        found = [_own_sockets(config, opened) for config in configs]
        for number, sockets in enumerate(found):
            own, way = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
            for end in (own, way):
                opened.enter_context(end)
                end.setblocking(False)
                end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, RECEIVE_BUFFER_BYTES)
            sockets[HANDOVER] = own
            for other, theirs in enumerate(found):
                if other != number:
                    theirs[f"{HANDOVER}-{number}"] = way
        opened.pop_all()
    return found


def _own_sockets(config: SipProxyConfig, opened: ExitStack) -> dict[str, socket.socket]:
    found = {}
    for listener in config.external:
        open_shared = open_tcp if listener.transport.is_stream else open_udp
        found[listener.name] = opened.enter_context(open_shared(listener.bind, shared=True))
    found[config.internal.name] = opened.enter_context(open_udp(config.internal.bind))
    return found
