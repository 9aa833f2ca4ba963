"""What happened in a call, step by step: SIP messages, notices, webhooks.

Which way a message went is told by its addresses, since a BYE or a 200 may go either way. All messages of a leg have an address
of the proxy at one end. The INVITE that begins a leg shows which: callers send it to the proxy, the proxy sends it to the call
flow. From then on a message is known by an end that is known, and makes its other end known: a caller that moves, a node that
takes a dialog over, another proxy of the fleet. Where neither end is known, a request is taken to go the way of that INVITE and a
response the other way. Where both are the proxy's, one proxy of the fleet passes the message on to another.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from voiceapps.rules.diagnosis.notices import NOTICES

if TYPE_CHECKING:
    from voiceapps.reads.call_report import LadderLine, WebhookLine

_RESPONSE = re.compile(r"(?i)SIP/2\.0 ++(\d{3})(?!\d) ?(.*)")
_CALL_ID = re.compile(r"(?im)^(?:call-id|i)[ \t]*+:(.*)$")
_CSEQ = re.compile(r"(?im)^cseq[ \t]*+:(.*)$")
_VIA = re.compile(r"(?im)^(?:via|v)[ \t]*+:(.*)$")
_BRANCH = re.compile(r"(?i);[ \t]*+branch[ \t]*+=[ \t]*+([^;,\s]*+)")


class Lane(StrEnum):
    """Who takes part, from left to right."""

    CALLER = "caller"
    PROXY = "proxy"
    CALLFLOW = "callflow"
    WEBHOOK = "webhook"


class Kind(StrEnum):
    """What a step is."""

    REQUEST = "request"
    PROVISIONAL = "provisional"
    SUCCESS = "success"
    FAILURE = "failure"
    """A response of 300 or more, or a webhook that failed."""
    WEBHOOK = "webhook"
    NOTICE = "notice"


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happened; `number` names it in links and in the order of time."""

    number: int
    seconds: float
    """Since the first INVITE."""
    source: Lane
    target: Lane
    """The source itself for a notice, and for what one proxy passes on to another."""
    label: str
    kind: Kind
    note: str = ""
    """Below the arrow: "200 in 9 ms"."""
    detail: str = ""
    """The whole of it, for the reader to open."""
    identity: str = ""
    """What a SIP message shares with its retransmissions and with no other message of its label and way."""
    exchange: str = ""
    """What a SIP request shares with its copies on the other leg, its answers and its ACK; the identity if empty."""

    @property
    def key(self) -> tuple[str, Lane, Lane, str]:
        """What makes two of them repetitions of each other."""
        return self.label, self.source, self.target, self.identity

    @property
    def first(self) -> Step:
        """The step itself, as a row of one."""
        return self

    @property
    def last(self) -> Step:
        """The step itself, as a row of one."""
        return self


def steps(messages: Sequence[LadderLine], webhooks: Iterable[WebhookLine], proxies: Iterable[str] = ()) -> list[Step]:
    """Return all that happened in the order of time; `proxies` are the addresses of proxies that are known, as `ip:port`."""
    ours = proxy_addresses(messages, proxies)
    found = [*(step_of(0, line, ours) for line in messages), *(webhook_step(0, line) for line in webhooks)]
    found.sort(key=lambda step: step.seconds)
    return [replace(step, number=number) for number, step in enumerate(found, 1)]


def proxy_addresses(messages: Iterable[LadderLine], known: Iterable[str] = ()) -> frozenset[str]:
    """Return the addresses of the proxy among those of a call's messages, which come in the order of time."""
    ours, theirs = set(known), set[str]()
    for line in filter(_is_message, messages):
        leaves = _leaves(line, ours, theirs)
        ours.add(line.source if leaves else line.destination)
        theirs.add(line.destination if leaves else line.source)
    return frozenset(ours)


def _leaves(line: LadderLine, ours: Collection[str], theirs: Collection[str] = ()) -> bool:
    """Return whether a message left the proxy."""
    if (line.source in ours) != (line.destination in ours):
        return line.source in ours
    if (line.source in theirs) != (line.destination in theirs):
        return line.destination in theirs
    return (line.leg == "caller") == (_RESPONSE.match(line.first_line) is not None)


def _is_message(line: LadderLine) -> bool:
    """Return whether a line is a SIP message, and not a sentence about the call."""
    return line.transport not in NOTICES


def step_of(number: int, line: LadderLine, ours: Collection[str]) -> Step:
    """Return the step of a stored message or notice; `ours` are the addresses of the proxy."""
    far = Lane.CALLER if line.leg == "caller" else Lane.CALLFLOW
    if not _is_message(line):
        return Step(number, line.seconds, far, far, line.first_line, Kind.NOTICE, detail=line.first_line)
    between_proxies = line.source in ours and line.destination in ours
    near = Lane.PROXY
    source, target = (near, near) if between_proxies else (near, far) if _leaves(line, ours) else (far, near)
    label, kind = _label(line.first_line)
    exchange = _exchange(line.text)
    identity = f"{exchange} {_branch(line.text, label)} {line.source} {line.destination}" if exchange else ""
    return Step(number, line.seconds, source, target, label, kind, "", line.text or line.first_line, identity, exchange)


def _label(first_line: str) -> tuple[str, Kind]:
    response = _RESPONSE.match(first_line)
    if response is None:
        return first_line.partition(" ")[0], Kind.REQUEST
    status = int(response[1])
    kind = Kind.PROVISIONAL if status < 200 else Kind.SUCCESS if status < 300 else Kind.FAILURE
    return f"{status:03} {response[2]}".rstrip(), kind


def _exchange(text: str) -> str:
    """Return Call-ID and CSeq, an ACK's as its INVITE's; "" where one of them is missing."""
    call_id, cseq = _value(_CALL_ID, text), _value(_CSEQ, text).split()
    if not call_id or len(cseq) != 2:
        return ""
    number, method = cseq
    return f"{call_id} {number} {'INVITE' if method == 'ACK' else method}"


def _branch(text: str, label: str) -> str:
    """Return the branch of the topmost Via, "" for an ACK: the proxy gives each copy that it passes on a branch of its own."""
    found = None if label == "ACK" else _BRANCH.search(_value(_VIA, text))
    return found[1] if found else ""


def _value(header: re.Pattern[str], text: str) -> str:
    found = header.search(text)
    return found[1].strip() if found else ""


def webhook_step(number: int, line: WebhookLine) -> Step:
    """Return the step of a webhook's attempt; status webhooks leave from the outbox and are shown as the call flow's, too."""
    refused = line.status is not None and line.status >= 300
    unanswered = line.status is None and (bool(line.error) or line.state == "failed")
    kind = Kind.FAILURE if refused or unanswered else Kind.WEBHOOK
    detail = "\n\n".join(part for part in (line.url, line.request, line.response, line.error) if part)
    return Step(number, line.seconds, Lane.CALLFLOW, Lane.WEBHOOK, line.event_type, kind, _outcome(line), detail)


def _outcome(line: WebhookLine) -> str:
    if line.status is None:
        return line.error or line.state
    return str(line.status) if line.latency_ms is None else f"{line.status} in {line.latency_ms} ms"
