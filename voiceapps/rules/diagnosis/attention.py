"""What needs an operator's attention, worst first: facts of the installation in, sentences out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from voiceapps.rules.admission import Reason
from voiceapps.rules.diagnosis.refusals import EXPLANATIONS
from voiceapps.rules.diagnosis.verdicts import Level
from voiceapps.rules.endings import EndClass

CERTIFICATE_DAYS = 21
CERTIFICATE_URGENT_DAYS = 3
COUNTRY_DATA_DAYS = 90
PORT_SHARE = 0.8
"""Of a relay's port pairs. Beyond it released pairs wait for two seconds only, and not for thirty, before they are used again."""
RECENT_MINUTES = 10
"""Of the hour: how many refusals there were of late is compared with the time before."""
JUMP = 4.0
MIN_JUMP = 20
SHARE = 0.2
"""Of an hour's calls, or of the requests of webhooks: fewer failures may be one caller's or one customer's own."""
MIN_FAILURES = 10
MIN_UNHEARD = 3
"""Calls without audio of one application: fewer may be one caller's own network."""


class Topic(StrEnum):
    """What a sentence is about, by which a page finds its link."""

    NODES = "nodes"
    PORTS = "ports"
    CALLS = "calls"
    AUDIO = "audio"
    REFUSALS = "refusals"
    HOSTS = "hosts"
    WEBHOOKS = "webhooks"
    CERTIFICATE = "certificate"
    COUNTRIES = "countries"


@dataclass(frozen=True, slots=True)
class NodeFact:
    """One process that was heard within a day."""

    name: str
    role: str
    health: str
    """`up`, `draining`, `down` or `silent`."""
    silent_seconds: float
    load: int
    ports_used: int
    ports_total: int


@dataclass(frozen=True, slots=True)
class Rate:
    """How often something happened: in the last `RECENT_MINUTES`, and in the rest of the hour."""

    recent: int
    before: int

    @property
    def has_jumped(self) -> bool:
        """Whether it happens far more often than before."""
        usual = self.before * RECENT_MINUTES / (60 - RECENT_MINUTES)
        return self.recent >= max(MIN_JUMP, JUMP * usual)


@dataclass(frozen=True, slots=True)
class Unheard:
    """The calls of one application, of the last hour, that were answered and in which a side was not heard."""

    application_id: str
    """Empty for applications that are gone, together."""
    name: str
    calls: int


@dataclass(frozen=True, slots=True)
class Facts:
    """What is looked at; what an operator may not see is left out."""

    nodes: tuple[NodeFact, ...] | None = None
    """None for who may not see them."""
    refusals: Mapping[Reason, Rate] = field(default_factory=dict)
    calls: int = 0
    """Of the last hour."""
    ends: Mapping[EndClass, int] = field(default_factory=dict)
    unheard: tuple[Unheard, ...] = ()
    webhook_attempts: int = 0
    webhook_failures: int = 0
    resting_hosts: int = 0
    """Hosts to which no webhooks are sent for now."""
    resting_host: str = ""
    """One of them."""
    has_certificate: bool = False
    certificate_days: float | None = None
    """Until it ends; None if it cannot be read."""
    country_data_days: float | None = None
    """Its age; None if that is not known."""


@dataclass(frozen=True, slots=True)
class Matter:
    """One thing that needs attention."""

    level: Level
    topic: Topic
    sentence: str
    subject: str = ""
    """The reason, class or node that it is about."""


def attention(facts: Facts) -> tuple[Matter, ...]:
    """Return what needs attention: first what is bad, then what is doubtful."""
    found = [matter for look in _LOOKS for matter in look(facts)]
    return tuple(sorted(found, key=lambda matter: matter.level is not Level.BAD))


_WITHOUT = {
    "sipproxy": "No proxy is up: no call comes in.",
    "mediarelay": "No media relay is up: calls get 503.",
    "callflow": "No call flow is up: calls get 503.",
    "worker": "No worker is up: these figures stand still, and nothing ends the calls of lost nodes.",
    "webhooks": "Nothing sends webhooks: they wait until a worker does.",
    "sipdns": "No DNS server of ours is up: names resolve only from caches.",
}


_ALWAYS = {"sipproxy", "worker", "webhooks"}
"""Roles without which nothing works, heard of or not. The others may be another's (relays, DNS), or not needed (call flows)."""


def _nodes(facts: Facts) -> Iterator[Matter]:
    if facts.nodes is None:
        return
    wanted = _ALWAYS | {node.role for node in facts.nodes}
    dead = wanted - {node.role for node in facts.nodes if node.health in ("up", "draining")}
    for role in sorted(dead):
        yield Matter(Level.BAD, Topic.NODES, _WITHOUT[role], role)
    for node in facts.nodes:
        if node.health == "silent" and node.role not in dead:
            yield Matter(Level.DOUBTFUL, Topic.NODES, f"{node.name} has been silent for {_ago(node.silent_seconds)}.", node.name)


def _ports(facts: Facts) -> Iterator[Matter]:
    for node in facts.nodes or ():
        if node.health != "silent" and node.ports_total and node.ports_used > PORT_SHARE * node.ports_total:
            share = 100 * node.ports_used / node.ports_total
            yield Matter(
                Level.BAD, Topic.PORTS, f"{node.name} uses {share:.0f} % of its media ports: add a relay, or widen the range.", node.name
            )


_BY_CLASS = (
    (EndClass.SERVER_ERROR, 1, 0.0, Level.BAD, "by a fault of this system"),
    (EndClass.UPSTREAM_ERROR, MIN_FAILURES, SHARE, Level.DOUBTFUL, "because an application's server or document failed"),
    (EndClass.NETWORK, MIN_FAILURES, SHARE, Level.DOUBTFUL, "because the caller was not reached any more"),
)
"""Ends that need attention: how many of them at least, in number and as a share, and why in words."""


def _ends(facts: Facts) -> Iterator[Matter]:
    for kind, least, share, level, why in _BY_CLASS:
        count = facts.ends.get(kind, 0)
        if count >= max(least, share * facts.calls):
            yield Matter(level, Topic.CALLS, f"{count} of {facts.calls} calls of the last hour ended {why}.", kind.value)


def _audio(facts: Facts) -> Iterator[Matter]:
    for one in sorted(facts.unheard, key=lambda unheard: -unheard.calls):
        if one.calls >= MIN_UNHEARD:
            sentence = f"In {one.calls} calls of the last hour to {one.name or 'deleted applications'} a side was not heard."
            yield Matter(Level.BAD, Topic.AUDIO, sentence, one.application_id)


def _refusals(facts: Facts) -> Iterator[Matter]:
    for reason, rate in facts.refusals.items():
        if rate.has_jumped:
            times = f"{rate.recent} in {RECENT_MINUTES} minutes, {rate.before} in the {60 - RECENT_MINUTES} before"
            sentence = f"Refusals jumped: {EXPLANATIONS[reason].title.lower()}, {times}."
            yield Matter(Level.DOUBTFUL, Topic.REFUSALS, sentence, reason.value)


def _webhooks(facts: Facts) -> Iterator[Matter]:
    if facts.resting_hosts:
        others = f" and {facts.resting_hosts - 1} more" if facts.resting_hosts > 1 else ""
        verb = "take" if facts.resting_hosts > 1 else "takes"
        yield Matter(
            Level.BAD, Topic.HOSTS, f"{facts.resting_host}{others} {verb} no webhooks: after failures they are sent one at a time."
        )
    if facts.webhook_failures >= max(MIN_FAILURES, SHARE * facts.webhook_attempts):
        sentence = f"{facts.webhook_failures} of {facts.webhook_attempts} requests of webhooks failed in the last hour."
        yield Matter(Level.DOUBTFUL, Topic.WEBHOOKS, sentence)


def _certificate(facts: Facts) -> Iterator[Matter]:
    days = facts.certificate_days
    if not facts.has_certificate:
        return
    if days is None:
        yield Matter(Level.DOUBTFUL, Topic.CERTIFICATE, "The TLS certificate cannot be read here: nobody watches its end.")
    elif days < 0:
        yield Matter(Level.BAD, Topic.CERTIFICATE, "The TLS certificate has ended: callers by TLS do not get through.")
    elif days < CERTIFICATE_DAYS:
        level = Level.BAD if days < CERTIFICATE_URGENT_DAYS else Level.DOUBTFUL
        yield Matter(level, Topic.CERTIFICATE, f"The TLS certificate ends in {_days(days)}: replace the file, and restart the proxies.")


def _countries(facts: Facts) -> Iterator[Matter]:
    days = facts.country_data_days
    if days is not None and days > COUNTRY_DATA_DAYS:
        yield Matter(
            Level.DOUBTFUL, Topic.COUNTRIES, f"The country data are {days:.0f} days old: update iptocc, or the file of SIPURI_GEOIP_DB."
        )


_LOOKS: tuple[Callable[[Facts], Iterator[Matter]], ...] = (_nodes, _ports, _ends, _audio, _refusals, _webhooks, _certificate, _countries)


def _days(days: float) -> str:
    """Return whole days that are left."""
    return "1 day" if int(days) == 1 else f"{int(days)} days"


def _ago(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"
