"""Whether the domain of the SIP URIs leads to the proxies that are up, as our own DNS server answers and as the world hears it."""

from __future__ import annotations

from collections.abc import Iterator

import dns.exception
import dns.resolver
from django.conf import settings

from voiceapps.choices import NodeState
from voiceapps.daemon.dns_question import SECONDS, NoAnswerError, ask
from voiceapps.rules.diagnosis.findings import Finding, bad, doubtful, good
from voiceapps.selectors import live_nodes

SUBJECT = "DNS"


def examine() -> Iterator[Finding]:
    """Yield what is found of our own answers, and of those of this machine's resolver."""
    wanted = frozenset(node.public_address.rpartition(":")[0] for node in live_nodes("sipproxy") if node.state == NodeState.UP)
    if live_nodes("sipdns"):
        yield judge_ours(wanted, _of_server())
    if not settings.SIP_DOMAIN.endswith("localhost"):
        yield judge_world(wanted, _of_resolver())
    else:
        yield good(SUBJECT, f"{settings.SIP_DOMAIN} is a name for trials on this machine: no DNS leads to it.")


def judge_ours(wanted: frozenset[str], answered: frozenset[str] | None) -> Finding:
    """Return what is found, given the addresses that our own server answers, None if it does not answer."""
    if answered is None:
        where = "{}:{}".format(*settings.DNS_BIND)
        return bad(
            SUBJECT, f"A DNS server of ours beats, but none answers at {where}.", "See its log, and what else is bound to that port."
        )
    if answered != wanted:
        return bad(
            SUBJECT, f"Our DNS answers {_list(answered)}, and the proxies that are up have {_list(wanted)}.", "See the log of runsipdns."
        )
    return good(SUBJECT, f"Our DNS answers {_list(answered)} for {settings.SIP_DOMAIN}.")


def judge_world(wanted: frozenset[str], answered: frozenset[str]) -> Finding:
    """Return what is found, given the addresses that this machine's resolver finds."""
    name = settings.SIP_DOMAIN
    if not answered:
        return doubtful(
            SUBJECT,
            f"This machine's resolver finds no address of {name}.",
            f"Delegate {name} to runsipdns, or give it A records of the proxies.",
        )
    if answered.isdisjoint(wanted):
        return bad(
            SUBJECT,
            f"{name} leads to {_list(answered)}, where none of the proxies is ({_list(wanted)}).",
            "Correct the records, or the delegation.",
        )
    if answered - wanted:
        return doubtful(
            SUBJECT,
            f"{name} leads also to {_list(answered - wanted)}, where no proxy is up.",
            "Wait for the records' TTL, then correct them.",
        )
    return good(SUBJECT, f"{name} leads to {_list(answered)}.")


def _of_server() -> frozenset[str] | None:
    try:
        return frozenset(ask(settings.DNS_BIND, settings.SIP_DOMAIN, "A"))
    except NoAnswerError:
        return None


def _of_resolver() -> frozenset[str]:
    try:
        return frozenset(str(record) for record in dns.resolver.resolve(settings.SIP_DOMAIN, "A", lifetime=2 * SECONDS))
    except (dns.exception.DNSException, OSError):
        return frozenset()


def _list(found: frozenset[str]) -> str:
    return ", ".join(sorted(found)) or "nothing"
