"""The socket and the timer of a user agent."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable

from callflow.sip.call_context import UserAgentConfig
from callflow.sip.events import AgentEvent
from callflow.sip.user_agent import UserAgent
from daemonkit.address import Address
from daemonkit.alarm import Alarm
from daemonkit.udp import UdpEndpoint
from sipproxy.mac import Keys

OnMessage = Callable[[str, bytes], None]


class SipEndpoint:
    """One user agent on one UDP socket.

    `on_message` gets each message that is received or sent, with "in" or "out".
    """

    def __init__(self, bind: Address, on_event: Callable[[AgentEvent], None], on_message: OnMessage | None = None) -> None:
        self._alarm = Alarm(self._on_alarm)
        self._endpoint = UdpEndpoint(bind, self._on_datagram, stamped=True)
        self._on_event = on_event
        self._on_message = on_message
        self._pumping = False
        self._agent: UserAgent | None = None

    @property
    def agent(self) -> UserAgent:
        """The user agent; it exists once the endpoint is open."""
        if self._agent is None:
            raise RuntimeError("The SIP endpoint is not open.")
        return self._agent

    @property
    def local(self) -> Address:
        """The address of the socket."""
        return self._endpoint.local

    def open(
        self,
        *,
        session_expires: int | None = None,
        max_calls: int = 1,
        invite_keys: Keys = (),
    ) -> None:
        """Bind the socket; raises AddressUnavailable."""
        self._endpoint.open()
        config = UserAgentConfig(self._endpoint.local, session_expires, max_calls, invite_keys)
        self._agent = UserAgent(config, new_token=lambda: secrets.token_hex(8), new_key=secrets.token_bytes, wall=time.time)

    def close(self) -> None:
        """Close the socket and stop the timer."""
        self._alarm.stop()
        self._endpoint.close()

    def pump(self) -> None:
        """Send the agent's datagrams, deliver its events, and re-arm the timer; call it after each command."""
        if self._pumping:
            return
        self._pumping = True
        try:
            while (event := self._send_and_take()) is not None:
                self._on_event(event)
        finally:
            self._pumping = False
            self._alarm.set(self.agent.get_timer())

    def _on_alarm(self, now: float) -> None:
        self.agent.handle_timer(now)
        self.pump()

    def _on_datagram(self, data: bytes, source: Address) -> None:
        self._trace("in", data)
        self.agent.receive_datagram(data, source, time.monotonic(), self._endpoint.came_at)
        self.pump()

    def _send_and_take(self) -> AgentEvent | None:
        for data, address in self.agent.datagrams_to_send():
            self._trace("out", data)
            self._endpoint.send(data, address)
        return self.agent.next_event()

    def _trace(self, direction: str, data: bytes) -> None:
        if self._on_message:
            self._on_message(direction, data)
