"""A peer of the user agent that writes its messages by hand."""

from __future__ import annotations

from callflow.sip.events import AgentEvent, CallAccepted, CallArrived, PeerAnswered
from callflow.sip.user_agent import UserAgent
from sipproxy.sip import Request, Response, parse_message
from tests.unit.user_agent.link import SERVER_MEDIA, WALL, sealed

PROXY = ("127.0.0.1", 6162)
HEAD = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
OFFER = HEAD + "m=audio 40000 RTP/AVP 8 0 96\r\na=rtpmap:96 telephone-event/8000\r\n"
VIDEO = HEAD + "m=video 40000 RTP/AVP 34\r\n"
FROM = "<sip:alice@example.net>;tag=a1"


class Raw:
    """A peer that writes requests by hand and reads the agent's answers."""

    def __init__(self, agent: UserAgent) -> None:
        self.agent = agent
        self.now = 0.0
        self.waited = 0.0
        """How long the next messages lie in the agent's socket."""
        self.branches = 0
        self.invite_branch = 0
        self.to = "<sip:app-1@sip.example.com>"

    def send(
        self,
        method: str,
        cseq: int,
        *,
        body: str = "",
        kind: str = "application/sdp",
        headers: tuple[str, ...] = (),
        to: str = "",
        contact: str = "<sip:alice@192.0.2.7:5070>",
        told: tuple[tuple[str, str], ...] | None = None,
    ) -> list[Response]:
        """Send a request and return the responses to it; `told` is what our proxy tells of a call beside its facts, in its seal."""
        self.branches += 1
        if method == "INVITE":
            self.invite_branch = self.branches
        lines = [
            f"{method} sip:app-1@sip.example.com SIP/2.0",
            f"Via: SIP/2.0/UDP 127.0.0.1:6162;branch=z9hG4bKr{self.branches}",
            "Record-Route: <sip:token@127.0.0.1:6162;lr>",
            "Record-Route: <sip:other@127.0.0.1:6164;lr>",
            f"From: {FROM}",
            f"To: {to or self.to}",
            "Call-ID: raw@example.net",
            f"CSeq: {cseq} {method}",
            f"Contact: {contact}",
            *headers,
            *([f"Content-Type: {kind}"] if body and kind else []),
            f"Content-Length: {len(body.encode())}",
        ]
        text = "\r\n".join(lines) + "\r\n\r\n" + body
        return self.give(text) if told is None else self.give(sealed(text.encode(), *told, wall=WALL + self.branches).decode())

    def cancel(self) -> list[Response]:
        """Cancel the INVITE that was sent last."""
        branch = f"z9hG4bKr{self.invite_branch}"
        lines = [
            "CANCEL sip:app-1@sip.example.com SIP/2.0",
            f"Via: SIP/2.0/UDP 127.0.0.1:6162;branch={branch}",
            f"From: {FROM}",
            "To: <sip:app-1@sip.example.com>",
            "Call-ID: raw@example.net",
            "CSeq: 1 CANCEL",
            "Content-Length: 0",
        ]
        return self.give("\r\n".join(lines) + "\r\n\r\n")

    def give(self, text: str) -> list[Response]:
        self.agent.receive_datagram(text.encode(), PROXY, self.now, self.now - self.waited)
        return self.responses()

    def responses(self) -> list[Response]:
        return [message for message in self.out() if isinstance(message, Response)]

    def out(self) -> list[Request | Response]:
        return [parse_message(data) for data, _ in self.agent.datagrams_to_send()]

    def events(self) -> list[AgentEvent]:
        return list(iter(self.agent.next_event, None))

    def invite(
        self, body: str = OFFER, headers: tuple[str, ...] = (), kind: str = "application/sdp", told: tuple[tuple[str, str], ...] = ()
    ) -> list[Response]:
        return self.send("INVITE", 1, body=body, kind=kind, headers=headers, told=told)

    def arrive(self) -> CallArrived:
        """Return the event of the call that has arrived."""
        (arrived,) = self.events()
        assert isinstance(arrived, CallArrived)
        return arrived

    def establish(self, body: str = OFFER, answer: str = "") -> Response:
        """Establish a call and return its 200."""
        self.invite(body)
        self.agent.answer(self.arrive().call, SERVER_MEDIA, self.now)
        (ok,) = self.out()
        assert isinstance(ok, Response)
        self.to = ok.header("to") or ""
        self.send("ACK", 1, body=answer)
        return ok

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.agent.handle_timer(self.now)

    def news(self) -> list[AgentEvent]:
        """Return the events other than mere signs of life, and than that a 2xx went out, which its receiver sees."""
        return [event for event in self.events() if not isinstance(event, CallAccepted | PeerAnswered)]
