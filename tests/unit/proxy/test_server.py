"""The shell around the core: every event of the core has a handler, and each decision a line in the log."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from daemonkit.address import Address
from sipproxy.admission.bans import Ban, BanChange
from sipproxy.aio.server import ProxyServer, Surroundings
from sipproxy.core.events import (
    BansChanged,
    InviteChallenged,
    InviteRefused,
    NodeChosen,
    OfferStands,
    ProxyEvent,
    RelayWanted,
    ReportMade,
    RequestSeen,
    ResponseSent,
)
from sipproxy.transactions.listener import Side
from tests.unit.proxy.harness import APP, CALLER, CONFIG, NODE_A, RELAY, UDP
from voiceapps.rules.admission import Reason
from voiceapps.rules.bans import BanReason
from voiceapps.rules.endings import EndReason
from voiceapps.rules.reports import CallAdmitted, CallEnded, CallFacts, Report

CALL = CallFacts("c-1", APP, "9900000", "sip-call", "sip:a@b", "sip:c@d", CALLER[0], CALLER[1], "US", 1.0)
REFUSED = InviteRefused(APP, CALLER[0], Reason.DIGEST_WRONG, 401, 1.0, "US", "user", "sip-call", "agent", ())


class Shell:
    """A server without sockets, whose core is told what to tell."""

    def __init__(self) -> None:
        self.records: list[Report] = []
        self.refusals: list[InviteRefused] = []
        self.chosen: list[NodeChosen] = []
        self.changes: list[BanChange] = []
        self.registry = CollectorRegistry()
        around = Surroundings(
            ask_directory=lambda users, on_answer: None,
            country_of=lambda address: None,
            is_trusted=lambda address: False,
            on_record=self.records.append,
            on_refusal=self.refusals.append,
            on_node=self.chosen.append,
            on_bans=self.changes.append,
        )
        self.server = ProxyServer(replace(CONFIG, external=(UDP,)), around, registry=self.registry)

    def log_of(self, event: ProxyEvent) -> list[dict[str, object]]:
        with capture_logs() as lines:
            self.server._handlers[type(event)](event)
        return [{name: value for name, value in line.items() if name != "log_level"} for line in lines]


def test_every_event_has_a_handler() -> None:
    assert Shell().server._handlers.keys() == set(get_args(ProxyEvent))


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (
            ReportMade(CallAdmitted(CALL, "n")),
            {"event": "call_admitted", "call_id": "c-1", "application_id": APP, "source": CALLER[0]},
        ),
        (
            ReportMade(CallEnded(CALL, "n", 2.0, EndReason.NO_CALLFLOW, None, 503, None, None, None)),
            {"event": "call_ended", "call_id": "c-1", "reason": EndReason.NO_CALLFLOW.value, "status": 503},
        ),
        (
            InviteChallenged(CALLER[0], "sip-call"),
            {"event": "invite_challenged", "source": CALLER[0], "sip_call_id": "sip-call"},
        ),
        (
            REFUSED,
            {"event": "invite_refused", "reason": Reason.DIGEST_WRONG.value, "status": 401, "source": CALLER[0], "sip_call_id": "sip-call"},
        ),
        (NodeChosen("c-1", NODE_A), {"event": "node_chosen", "call_id": "c-1", "node": NODE_A}),
        (
            BansChanged(BanChange(banned=(Ban(CALLER[0], BanReason.FLOOD, 1.0, 2.0),))),
            {"event": "source_banned", "source": CALLER[0], "reason": BanReason.FLOOD.value},
        ),
    ],
)
def test_each_decision_has_a_line(event: ProxyEvent, line: dict[str, object]) -> None:
    assert Shell().log_of(event) == [line]


async def test_the_line_of_a_relay_says_which_call_it_got() -> None:
    shell = Shell()
    event = RelayWanted("", RELAY, {"command": "offer", "call-id": "c-1"})
    assert shell.log_of(event) == [{"event": "relay_asked", "call_id": "c-1", "relay": RELAY, "command": "offer"}]


def test_decisions_reach_their_callbacks() -> None:
    shell = Shell()
    admitted = CallAdmitted(CALL, "n")
    change = BanChange(lifted=(CALLER[0],))
    chosen = NodeChosen("c-1", NODE_A)
    for event in (ReportMade(admitted), REFUSED, BansChanged(change), chosen):
        shell.log_of(event)
    assert (shell.records, shell.refusals, shell.changes, shell.chosen) == ([admitted], [REFUSED], [change], [chosen])


def test_the_connection_of_an_admitted_call_is_a_callers(monkeypatch: pytest.MonkeyPatch) -> None:
    shell = Shell()
    welcome: list[Address] = []
    monkeypatch.setattr(shell.server._listeners, "welcome", welcome.append)
    shell.log_of(ReportMade(CallAdmitted(CALL, "n")))
    assert welcome == [CALLER]


@pytest.mark.parametrize(
    ("event", "name", "labels"),
    [
        (REFUSED, "sipuri_sip_refusals_total", {"reason": Reason.DIGEST_WRONG.value}),
        (OfferStands("c-1"), "sipuri_sip_offers_standing_total", {}),
        (RequestSeen(Side.EXTERNAL, "INVITE"), "sipuri_sip_requests_total", {"side": "external", "method": "INVITE"}),
        (ResponseSent("INVITE", 407), "sipuri_sip_responses_total", {"method": "INVITE", "status": "407"}),
    ],
)
def test_the_shell_counts_what_the_core_tells(event: ProxyEvent, name: str, labels: dict[str, str]) -> None:
    shell = Shell()
    for _ in range(2):
        shell.log_of(event)
    assert shell.registry.get_sample_value(name, labels) == 2
