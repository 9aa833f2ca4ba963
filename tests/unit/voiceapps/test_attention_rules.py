"""What needs attention: each fact alone, its bound from both sides, and the order of all."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from voiceapps.rules.admission import Reason
from voiceapps.rules.diagnosis.attention import Facts, NodeFact, Rate, Topic, Unheard, attention
from voiceapps.rules.diagnosis.refusals import EXPLANATIONS
from voiceapps.rules.diagnosis.verdicts import Level
from voiceapps.rules.endings import EndClass
from voiceapps.rules.reports import Role

UP = NodeFact("callflow-1", "callflow", "up", 1.0, 12, 0, 0)
SILENT = replace(UP, name="callflow-2", health="silent", silent_seconds=300.0)
ALWAYS = tuple(NodeFact(role, role, "up", 1.0, 0, 0, 0) for role in ("sipproxy", "worker", "webhooks"))
RELAY = NodeFact("relay-1", "mediarelay", "up", 1.0, 12, 4001, 5000)


def sentences(facts: Facts) -> list[tuple[str, str, str]]:
    return [(matter.level.value, matter.topic.value, matter.sentence) for matter in attention(facts)]


def test_an_installation_that_is_well_needs_none() -> None:
    well = Facts(
        nodes=(*ALWAYS, UP, replace(RELAY, ports_used=4000)),
        refusals={Reason.DIGEST_WRONG: Rate(40, 200)},
        calls=100,
        unheard=(Unheard("a", "Hotline", 2),),
        ends={EndClass.SUCCESS: 90, EndClass.UPSTREAM_ERROR: 19},
        webhook_attempts=100,
        webhook_failures=19,
        has_certificate=True,
        certificate_days=21.0,
        country_data_days=90.0,
    )
    assert attention(well) == ()
    assert attention(Facts()) == ()


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"unheard": (Unheard("a", "Hotline", 3),)}, ("bad", "audio", "In 3 calls of the last hour to Hotline a side was not heard.")),
        ({"unheard": (Unheard("", "", 9),)}, ("bad", "audio", "In 9 calls of the last hour to deleted applications a side was not heard.")),
        ({"nodes": (*ALWAYS, UP, SILENT)}, ("doubtful", "nodes", "callflow-2 has been silent for 5 min.")),
        ({"nodes": (*ALWAYS, SILENT)}, ("bad", "nodes", "No call flow is up: calls get 503.")),
        ({"nodes": (*ALWAYS, replace(UP, health="down"))}, ("bad", "nodes", "No call flow is up: calls get 503.")),
        ({"nodes": ALWAYS[1:]}, ("bad", "nodes", "No proxy is up: no call comes in.")),
        ({"nodes": (*ALWAYS, RELAY)}, ("bad", "ports", "relay-1 uses 80 % of its media ports: add a relay, or widen the range.")),
        (
            {"calls": 200, "ends": {EndClass.SERVER_ERROR: 1}},
            ("bad", "calls", "1 of 200 calls of the last hour ended by a fault of this system."),
        ),
        (
            {"calls": 50, "ends": {EndClass.NETWORK: 10}},
            ("doubtful", "calls", "10 of 50 calls of the last hour ended because the caller was not reached any more."),
        ),
        (
            {"refusals": {Reason.DIGEST_WRONG: Rate(80, 100)}},
            ("doubtful", "refusals", "Refusals jumped: wrong password, 80 in 10 minutes, 100 in the 50 before."),
        ),
        (
            {"resting_hosts": 1, "resting_host": "a.example:443"},
            ("bad", "hosts", "a.example:443 takes no webhooks: after failures they are sent one at a time."),
        ),
        (
            {"resting_hosts": 3, "resting_host": "a.example:443"},
            ("bad", "hosts", "a.example:443 and 2 more take no webhooks: after failures they are sent one at a time."),
        ),
        (
            {"webhook_attempts": 50, "webhook_failures": 10},
            ("doubtful", "webhooks", "10 of 50 requests of webhooks failed in the last hour."),
        ),
        (
            {"has_certificate": True, "certificate_days": 20.6},
            ("doubtful", "certificate", "The TLS certificate ends in 20 days: replace the file, and restart the proxies."),
        ),
        (
            {"has_certificate": True, "certificate_days": 2.9},
            ("bad", "certificate", "The TLS certificate ends in 2 days: replace the file, and restart the proxies."),
        ),
        (
            {"has_certificate": True, "certificate_days": 1.2},
            ("bad", "certificate", "The TLS certificate ends in 1 day: replace the file, and restart the proxies."),
        ),
        (
            {"has_certificate": True, "certificate_days": -0.1},
            ("bad", "certificate", "The TLS certificate has ended: callers by TLS do not get through."),
        ),
        ({"has_certificate": True}, ("doubtful", "certificate", "The TLS certificate cannot be read here: nobody watches its end.")),
        (
            {"country_data_days": 90.6},
            ("doubtful", "countries", "The country data are 91 days old: update iptocc, or the file of SIPURI_GEOIP_DB."),
        ),
    ],
)
def test_each_fact_has_its_sentence(facts: dict[str, Any], expected: tuple[str, str, str]) -> None:
    assert sentences(Facts(**facts)) == [expected]


@pytest.mark.parametrize(
    "facts",
    [
        {"nodes": (*ALWAYS, UP, replace(SILENT, health="draining"))},
        {"nodes": (*ALWAYS, UP, replace(SILENT, health="down"))},
        {"nodes": (*ALWAYS, replace(RELAY, ports_used=4000))},
        {"calls": 51, "ends": {EndClass.NETWORK: 10}},
        {"calls": 9, "ends": {EndClass.NETWORK: 9}},
        {"refusals": {Reason.DIGEST_WRONG: Rate(79, 100)}},
        {"refusals": {Reason.DIGEST_WRONG: Rate(19, 0)}},
        {"webhook_attempts": 51, "webhook_failures": 10},
        {"webhook_attempts": 9, "webhook_failures": 9},
        {"certificate_days": None},
    ],
)
def test_what_is_just_below_its_bound_is_not_said(facts: dict[str, Any]) -> None:
    assert sentences(Facts(**facts)) == []


def test_what_is_bad_comes_first() -> None:
    facts = Facts(nodes=(*ALWAYS, UP, SILENT, RELAY), refusals={Reason.DISABLED: Rate(20, 0)}, resting_hosts=1, resting_host="a")
    found = attention(facts)
    assert [matter.level for matter in found] == [Level.BAD, Level.BAD, Level.DOUBTFUL, Level.DOUBTFUL]
    assert [matter.topic for matter in found] == [Topic.PORTS, Topic.HOSTS, Topic.NODES, Topic.REFUSALS]
    assert [matter.subject for matter in found] == ["relay-1", "", "callflow-2", "disabled"]


@pytest.mark.parametrize("role", Role.__args__)  # type: ignore[attr-defined]  # a Literal's words are its arguments
def test_each_role_is_missed(role: str) -> None:
    others = [node for node in ALWAYS if node.role != role]
    (matter,) = attention(Facts(nodes=(*others, replace(SILENT, role=role))))
    assert matter.level is Level.BAD
    assert matter.subject == role


def test_each_reason_has_words() -> None:
    assert EXPLANATIONS.keys() == set(Reason)
