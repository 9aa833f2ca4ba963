"""Brute force, forged sources and floods, at the whole proxy; the bans by themselves are in test_bans.py."""

from __future__ import annotations

from dataclasses import replace
from itertools import count

import pytest

from daemonkit.address import Address
from sipproxy.admission.limits import (
    BAN_SCORE,
    FAILURE_BURST,
    FIRST_BAN_SECONDS,
    FLOOD_BAN_SECONDS,
    FLOOD_BURST,
    RECENT_CALL_SECONDS,
    REQUEST_BURST,
)
from sipproxy.config import SipProxyConfig
from sipproxy.core.events import BansChanged, ProxyEvent, ReportMade
from sipproxy.sip import Challenge, Request, Response, parse_message
from sipproxy.transactions.listener import Listener
from tests.support.digest import answer_challenge
from tests.support.ua import PASSWORD
from tests.unit.proxy.harness import ALIAS, CALLER, CONFIG, DOMAIN, TCP, UDP, URI, ProxyHarness, application
from voiceapps.rules.admission import Reason
from voiceapps.rules.bans import BanReason
from voiceapps.rules.reports import SourceBanned

SERIAL = count(1)
OWNER: Address = ("203.0.113.77", 5060)
SILENT = replace(CONFIG, drop_foreign_hosts=True)
ENOUGH = int(BAN_SCORE)


class Fort(ProxyHarness):
    """A harness that keeps the reports of bans, and a stranger that sends single requests."""

    def __init__(self, config: SipProxyConfig = CONFIG) -> None:
        super().__init__(config)
        self.bans: list[SourceBanned] = []
        self.changes: list[BansChanged] = []
        self.service()

    def on_event(self, event: ProxyEvent, now: float) -> None:
        if isinstance(event, ReportMade) and isinstance(event.record, SourceBanned):
            self.bans.append(event.record)
        elif isinstance(event, BansChanged):
            self.changes.append(event)
        else:
            super().on_event(event, now)

    def send(self, data: bytes, source: Address = CALLER, to: Listener = UDP, *, after: float = 0.0) -> list[Response]:
        self.receive(data, source, to.address, self.now + after)
        answers = [parse_message(data.replace(b"CSeq: x", b"CSeq: 1")) for place, data, _ in self.take() if place == to.address]
        return [answer for answer in answers if isinstance(answer, Response)]

    def status(
        self, authorization: object = "", source: Address = CALLER, to: Listener = UDP, *, after: float = 0.0, **options: str
    ) -> int:
        answers = self.send(request(str(authorization), **options), source, to, after=after)
        return answers[-1].status if answers else 0

    def challenge(self, source: Address = CALLER, to: Listener = UDP) -> Challenge:
        return Challenge.parse(self.send(request(), source, to)[0].header("proxy-authenticate") or "")

    def credentials(self, password: str, source: Address = CALLER, to: Listener = UDP) -> str:
        asked = self.challenge(source, to)
        return str(answer_challenge(asked, username=ALIAS, password=password, method="INVITE", uri=URI, cnonce="c"))

    def guesses(self, times: int, source: Address = CALLER, to: Listener = UDP) -> list[int]:
        asked = self.credentials("wrong", source, to)
        return [self.status(asked, source, to) for _ in range(times)]


def request(authorization: str = "", *, method: str = "INVITE", uri: str = URI, to_tag: str = "") -> bytes:
    serial = next(SERIAL)
    headers = [
        ("Via", f"SIP/2.0/UDP 198.51.100.7:5080;branch=z9hG4bK{serial}"),
        ("From", "<sip:a@pbx.example>;tag=f"),
        ("To", f"<{uri}>" + (f";tag={to_tag}" if to_tag else "")),
        ("Call-ID", str(serial)),
        ("CSeq", f"1 {method}"),
    ]
    if authorization:
        headers.append(("Proxy-Authorization", authorization))
    return bytes(Request.build(method, uri, headers))


@pytest.fixture
def harness() -> Fort:
    return Fort()


# Guessed passwords.


def test_brute_force_from_one_address_ends_in_a_ban(harness: Fort) -> None:
    assert harness.guesses(ENOUGH + 20) == [401] * (ENOUGH + 1) + [0] * 19
    (ban,) = harness.bans
    assert (ban.source_ip, ban.reason, ban.node) == (CALLER[0], BanReason.WRONG_PASSWORD, CONFIG.name)
    assert ban.until - ban.at == FIRST_BAN_SECONDS
    assert ban.at == 1_700_000_000 + harness.now
    assert harness.core.drops.banned == 19
    assert harness.core.count_bans(harness.now) == 1
    assert harness.is_empty()


def test_nothing_of_a_banned_source_is_read(harness: Fort) -> None:
    harness.guesses(ENOUGH + 1)
    seen = harness.lookups
    for data in (request(), request(method="OPTIONS"), b"noise", request(method="BYE", to_tag="x")):
        assert harness.send(data) == []
    assert harness.send(request(), to=TCP) == []
    assert (harness.lookups, harness.core.drops.banned, harness.core.drops.malformed) == (seen, 5, 0)


def test_a_queued_message_of_a_newly_banned_source_is_not_read(harness: Fort) -> None:
    passed_at = harness.core.gate_revision
    assert not harness.core.drops_unread(request(), CALLER, harness.now)
    harness.guesses(ENOUGH + 1)
    seen = harness.lookups
    harness.core.receive_datagram(UDP, request(), CALLER, harness.now, passed_at=passed_at)
    assert (harness.lookups, harness.core.drops.banned) == (seen, 1)


def test_a_ban_ends(harness: Fort) -> None:
    harness.guesses(ENOUGH + 1)
    assert harness.status(after=FIRST_BAN_SECONDS - 1) == 0
    assert harness.status(after=FIRST_BAN_SECONDS + 1) == 407


def test_neighbours_in_a_subnet_share_no_ban(harness: Fort) -> None:
    harness.guesses(ENOUGH + 1)
    assert harness.status(source=("198.51.100.8", 5080)) == 407


def test_guesses_from_many_addresses_lock_nobody_out(harness: Fort) -> None:
    for number in range(500):
        assert harness.guesses(1, (f"100.{number >> 8}.{number & 255}.1", 5060)) == [401]
    assert harness.bans == []
    assert harness.status(harness.credentials(PASSWORD, OWNER), OWNER) == 100


def test_a_bare_407_counts_nothing(harness: Fort) -> None:
    for _ in range(ENOUGH + 20):
        assert harness.status() == 407
        assert harness.status(f'Digest realm="{DOMAIN}", username="x", nonce="forged", uri="{URI}", response="{"0" * 32}"') == 407
    assert (harness.bans, harness.refusals) == ([], [])


def test_success_resets_score_and_failures(harness: Fort) -> None:
    for _ in range(4):
        assert harness.guesses(ENOUGH) == [401] * ENOUGH
        assert harness.status(harness.credentials(PASSWORD)) == 100
    assert harness.bans == []


def test_a_call_without_a_password_resets_nothing(harness: Fort) -> None:
    harness.guesses(ENOUGH)
    harness.applications = [application(password_auth=False, allowed_source_ips=("0.0.0.0/0",))]
    assert harness.status() == 100
    harness.applications = [application()]
    harness.guesses(1)
    assert len(harness.bans) == 1


def test_one_call_id_counts_once(harness: Fort) -> None:
    data = request(harness.credentials("wrong"))
    for number in range(ENOUGH + 20):
        harness.send(data.replace(b"z9hG4bK", b"z9hG4bK%d-" % number))
    assert (len(harness.refusals), harness.bans) == (ENOUGH + 20, [])


# Forged sources.


def malformed(**options: str) -> bytes:
    return request(f'Digest realm="{DOMAIN}", username="x"', **options)


def test_a_forged_datagram_bans_nobody() -> None:
    """Nothing here proves that the peer receives our responses: malformed digests, nonces of others, plain refusals."""
    harness = Fort()
    stolen = harness.credentials("wrong", ("192.0.2.66", 5060))
    for _ in range(3 * ENOUGH):
        harness.send(malformed())
        harness.send(request(stolen))
        harness.send(request(uri="sip:x@elsewhere.example"))
        harness.send(request(method="BYE", to_tag="x"))
    assert harness.bans == []


def test_forged_digests_do_not_count_as_failures_of_the_source(harness: Fort) -> None:
    for _ in range(3 * ENOUGH):
        harness.send(malformed())
    assert harness.status(harness.credentials(PASSWORD)) == 100


def test_a_digest_that_answers_no_challenge_counts_nowhere(harness: Fort) -> None:
    for _ in range(ENOUGH + 1):
        harness.send(malformed(), to=TCP)
    assert harness.bans == []


def test_a_forged_flood_does_not_ban_a_source_that_calls(harness: Fort) -> None:
    assert harness.status(harness.credentials(PASSWORD)) == 100
    for _ in range(int(REQUEST_BURST + FLOOD_BURST) + 500):
        harness.send(request(method="OPTIONS"))
    assert harness.bans == []


# Floods.


def test_a_flood_is_banned_for_half_a_minute(harness: Fort) -> None:
    for _ in range(int(REQUEST_BURST + FLOOD_BURST) + 500):
        harness.send(request(method="OPTIONS", uri=f"sip:{DOMAIN}"))
    (ban,) = harness.bans
    assert (ban.reason, ban.until - ban.at) == (BanReason.FLOOD, FLOOD_BAN_SECONDS)
    assert harness.core.drops.banned == 499
    assert harness.status(after=FLOOD_BAN_SECONDS + 1) == 407
    assert harness.status(source=OWNER) == 407


def test_requests_of_a_silenced_source_are_not_read(harness: Fort, monkeypatch: pytest.MonkeyPatch) -> None:
    while harness.status(method="OPTIONS", uri=f"sip:{DOMAIN}"):
        pass
    monkeypatch.setattr("sipproxy.core.proxy.parse_message", lambda data: pytest.fail(f"read {data!r}"))
    silenced = harness.core.drops.silenced
    for method in ("INVITE", "OPTIONS", "REGISTER", "MESSAGE"):
        assert harness.status(method=method) == 0
    assert harness.core.drops.silenced == silenced + 4


def test_requests_inside_a_dialog_are_read_during_a_forged_flood(harness: Fort, monkeypatch: pytest.MonkeyPatch) -> None:
    while harness.status(method="OPTIONS", uri=f"sip:{DOMAIN}"):
        pass
    read: list[bytes] = []

    def parse(data: bytes) -> Request | Response:
        read.append(data[:3])
        return parse_message(data)

    monkeypatch.setattr("sipproxy.core.proxy.parse_message", parse)
    for method in ("BYE", "ACK", "INFO", "INVITE", "CANCEL"):
        harness.status(method=method, to_tag="x")
    assert read == [b"BYE", b"ACK", b"INF", b"INV", b"CAN"]


def test_malformed_messages_are_a_flood_too(harness: Fort) -> None:
    broken = request(method="OPTIONS").replace(b"CSeq: 1", b"CSeq: x")
    for _ in range(int(REQUEST_BURST + FLOOD_BURST) + 500):
        harness.send(broken)
    assert [ban.reason for ban in harness.bans] == [BanReason.FLOOD]


def test_a_forged_source_leaves_only_its_bucket(harness: Fort) -> None:
    for number in range(500):
        assert harness.status(source=(f"100.{number >> 8}.{number & 255}.1", 5060)) == 407
    assert harness.is_empty()
    assert (len(harness.core._gate._limits), len(harness.core._gate._bans)) == (500, 0)


# Bans of others.


def told(source_ip: str, harness: Fort, seconds: float = 60.0) -> SourceBanned:
    at = 1_700_000_000 + harness.now
    return SourceBanned(source_ip, BanReason.OPERATOR, "", at, at + seconds)


def test_bans_of_the_fleet_are_taken_and_lifted(harness: Fort) -> None:
    harness.core.replace_bans([told(CALLER[0], harness)], harness.now)
    assert harness.status() == 0
    assert harness.status(after=61.0) == 407
    harness.run(70.0)
    harness.core.replace_bans([told(CALLER[0], harness)], harness.now)
    harness.core.replace_bans([], harness.now)
    assert harness.status() == 407
    assert [(len(event.change.banned), event.change.lifted) for event in harness.changes] == [(1, ()), (1, ()), (0, (CALLER[0],))]
    assert harness.bans == []


def test_two_proxies_share_their_bans(harness: Fort) -> None:
    harness.guesses(ENOUGH + 1)
    second = Fort()
    assert second.status() == 407
    second.core.replace_bans(harness.bans, second.now)
    assert second.status() == 0


def test_trusted_sources_are_never_limited_or_banned() -> None:
    harness = Fort(replace(CONFIG, trusted=("198.51.100.0/24",)))
    harness.core.replace_bans([told(CALLER[0], harness)], harness.now)
    assert set(harness.guesses(3 * int(FAILURE_BURST))) == {401}
    assert {harness.status(method="OPTIONS", uri=f"sip:{DOMAIN}") for _ in range(int(REQUEST_BURST + FLOOD_BURST) + 100)} == {200}
    assert (harness.bans, harness.changes, len(harness.core._gate._bans)) == ([], [], 0)


def test_nodes_inside_are_never_banned(harness: Fort) -> None:
    harness.core.replace_bans([told("10.0.0.2", harness)], harness.now)
    caller = harness.caller(OWNER)
    attempt = caller.call(URI, harness.now)
    harness.run(5)
    assert attempt.statuses[-1] == 200


# Foreign hosts without a response.

FOREIGN = "sip:100@elsewhere.example"


@pytest.mark.parametrize(
    ("method", "to_tag", "usual"),
    [("INVITE", "", 403), ("OPTIONS", "", 403), ("REGISTER", "", 405), ("BYE", "x", 481)],
)
def test_a_request_for_a_foreign_host_gets_no_response_if_configured(method: str, to_tag: str, usual: int) -> None:
    assert Fort().status(uri=FOREIGN, method=method, to_tag=to_tag) == usual
    harness = Fort(SILENT)
    assert harness.status(uri=FOREIGN, method=method, to_tag=to_tag) == 0
    assert harness.core.drops.foreign == 1
    assert harness.status() == 407


def test_a_malformed_request_for_a_foreign_host_gets_no_response() -> None:
    broken = request(uri=FOREIGN).replace(b"CSeq: 1", b"CSeq: x")
    assert [answer.status for answer in Fort().send(broken)] == [400]
    assert Fort(SILENT).send(broken) == []
    assert [answer.status for answer in Fort(SILENT).send(broken.replace(FOREIGN.encode(), URI.encode()))] == [400]


def test_a_silent_refusal_is_recorded_as_such() -> None:
    harness = Fort(SILENT)
    harness.status(uri=FOREIGN)
    (refusal,) = harness.refusals
    assert (refusal.reason, refusal.status, refusal.source_ip) == (Reason.FOREIGN_HOST, 0, CALLER[0])
    assert refusal.trace[0].seen == "elsewhere.example"


def test_a_trusted_source_gets_its_refusal() -> None:
    harness = Fort(replace(SILENT, trusted=("198.51.100.0/24",)))
    assert harness.status(uri=FOREIGN) == 403
    assert (harness.refusals[0].status, harness.core.drops.foreign) == (403, 0)


def test_floods_for_foreign_hosts_are_still_banned() -> None:
    harness = Fort(SILENT)
    for _ in range(int(REQUEST_BURST + FLOOD_BURST) + 500):
        harness.send(request(method="OPTIONS", uri=FOREIGN))
    assert [ban.reason for ban in harness.bans] == [BanReason.FLOOD]


# The queue in front of the proxy.


def test_callers_are_known_for_a_while(harness: Fort) -> None:
    assert not harness.core.is_known(CALLER[0], harness.now)
    harness.status(harness.credentials(PASSWORD))
    assert harness.core.is_known(CALLER[0], harness.now + RECENT_CALL_SECONDS - 1)
    assert not harness.core.is_known(CALLER[0], harness.now + RECENT_CALL_SECONDS)
    assert Fort(replace(CONFIG, trusted=("198.51.100.0/24",))).core.is_known(CALLER[0], 0.0)


def test_a_source_that_finds_the_queue_full_very_often_is_banned(harness: Fort) -> None:
    for _ in range(int(FLOOD_BURST) + 1):
        harness.core.count_crowded(CALLER[0], harness.now)
    assert harness.core.is_banned(CALLER[0], harness.now)
    assert harness.core.drops.crowded == FLOOD_BURST + 1
