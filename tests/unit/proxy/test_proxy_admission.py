"""Which requests are admitted, and what the sender of a refused one sees."""

from __future__ import annotations

from dataclasses import replace

import pytest

from daemonkit.address import Address
from sipproxy.admission.limits import BAN_SCORE, REQUEST_BURST
from sipproxy.core.limits import LOOKUP_SECONDS, MAX_LOOKUPS
from sipproxy.sip import Challenge, Credentials, Request, parse_message
from sipproxy.sip.digest import MD5, SHA256
from tests.support.digest import answer_challenge
from tests.support.ua import PASSWORD
from tests.unit.proxy.harness import ALIAS, APP, CALLER, CONFIG, DOMAIN, INTERNAL, NODE_A, OUTSIDE, UDP, URI, ProxyHarness, application
from tests.unit.sip.wire import DATA
from voiceapps.rules.admission import Reason
from voiceapps.rules.endings import EndReason


class Stranger:
    """Sends single datagrams and reads the responses."""

    def __init__(self, harness: ProxyHarness, source: Address = CALLER) -> None:
        self.harness = harness
        self.source = source
        self.serial = 0

    def send(self, data: bytes, *, now: float = 0.0) -> list[bytes]:
        self.harness.core.receive_datagram(UDP, data, self.source, now)
        self.harness.drain(now)
        return [item.data for item in self.harness.core.datagrams_to_send()]

    def request(
        self,
        method: str = "INVITE",
        uri: str = URI,
        *,
        to: str | None = None,
        now: float = 0.0,
        number: int = 1,
        call_id: str = "c",
        **headers: str,
    ) -> list[bytes]:
        self.serial += 1
        lines = [
            ("Via", f"SIP/2.0/UDP {self.source[0]}:{self.source[1]};branch=z9hG4bK{self.serial}{self.source[0]}"),
            ("Max-Forwards", "70"),
            ("From", "<sip:a@b.example>;tag=f"),
            ("To", f"<{to or uri}>"),
            ("Call-ID", call_id),
            ("CSeq", f"{number} {method}"),
            ("Contact", f"<sip:a@{self.source[0]}:{self.source[1]}>"),
        ]
        request = Request.build(method, uri, lines)
        for name, value in headers.items():
            request.replace(name.replace("_", "-"), value)
        return self.send(bytes(request), now=now)

    def status(self, *arguments: str, **options: object) -> int:
        answers = self.request(*arguments, **options)  # type: ignore[arg-type]  # options of request
        return int(answers[0].split(b" ")[1]) if answers else 0

    def challenge(self, uri: str = URI, now: float = 0.0) -> Challenge:
        answer = parse_message(self.request("INVITE", uri, now=now)[0])
        return Challenge.parse(answer.header("proxy-authenticate") or "")

    def answer(self, challenge: Challenge, *, user: str = ALIAS, password: str = PASSWORD, uri: str = URI, count: int = 1) -> Credentials:
        return answer_challenge(challenge, username=user, password=password, method="INVITE", uri=uri, cnonce="c", count=count)

    def try_digest(self, credentials: Credentials | str, **options: object) -> int:
        return self.status(Proxy_Authorization=str(credentials), **options)


@pytest.fixture
def harness() -> ProxyHarness:
    return ProxyHarness()


@pytest.fixture
def stranger(harness: ProxyHarness) -> Stranger:
    return Stranger(harness)


def reasons(harness: ProxyHarness) -> list[Reason]:
    return [refusal.reason for refusal in harness.refusals]


# Requests other than INVITE.


def test_options_is_a_keepalive_of_our_hosts_only(harness: ProxyHarness, stranger: Stranger) -> None:
    assert stranger.request("OPTIONS", f"sip:{DOMAIN}")[0].startswith(b"SIP/2.0 200 Keepalive\r\n")
    assert stranger.status("OPTIONS", f"sip:x@{OUTSIDE[0]}") == 200
    assert stranger.status("OPTIONS", "sip:elsewhere.example") == 403
    assert stranger.status("OPTIONS", "tel:+1555") == 416
    assert harness.is_empty()


@pytest.mark.parametrize("method", ["REGISTER", "MESSAGE", "SUBSCRIBE", "PUBLISH", "NOTIFY", "INFO", "REFER", "UPDATE", "BYE", "FOO"])
def test_other_methods_are_405_without_state(harness: ProxyHarness, stranger: Stranger, method: str) -> None:
    answer = stranger.request(method)
    assert answer[0].startswith(b"SIP/2.0 405 ")
    assert b"Allow: INVITE, ACK" in answer[0]
    assert harness.is_empty()


def test_hops_loops_and_extensions(harness: ProxyHarness, stranger: Stranger) -> None:
    assert stranger.status(Max_Forwards="0") == 483
    answer = stranger.request(Proxy_Require="nothing, we-know")[0]
    assert answer.startswith(b"SIP/2.0 420 ")
    assert b"Unsupported: nothing, we-know" in answer
    assert stranger.status("CANCEL") == 481
    assert stranger.request("ACK") == []
    assert harness.core.drops.lost_acks == 1
    assert harness.lookups == 0


def test_our_own_invite_coming_back_is_a_loop_unless_it_spirals(harness: ProxyHarness) -> None:
    caller, service = harness.caller(), harness.service()
    caller.call(URI, harness.now)
    harness.run(1)
    invite = next(request for request in service.requests if request.method == "INVITE").copy()
    invite.prepend("Via", "SIP/2.0/UDP 198.51.100.99:5080;branch=z9hG4bKback")
    elsewhere = Stranger(harness, ("198.51.100.99", 5080))
    assert elsewhere.send(bytes(invite), now=harness.now)[0].startswith(b"SIP/2.0 482 ")
    invite.set_uri(f"sip:{APP}@{DOMAIN}")
    assert elsewhere.send(bytes(invite), now=harness.now)[0].startswith(b"SIP/2.0 407 ")


def test_a_request_inside_a_dialog_needs_its_token(harness: ProxyHarness, stranger: Stranger) -> None:
    assert stranger.status("BYE", To=f"<{URI}>;tag=x") == 481
    assert stranger.status("BYE", To=f"<{URI}>;tag=x", Route="nonsense") == 481
    assert stranger.status("BYE", To=f"<{URI}>;tag=x", Route=f"<sip:{'A' * 64}@{OUTSIDE[0]}:{OUTSIDE[1]};lr>") == 403
    assert stranger.request("ACK", To=f"<{URI}>;tag=x", Route=f"<sip:{'A' * 64}@{OUTSIDE[0]}:{OUTSIDE[1]};lr>") == []
    assert harness.is_empty()


def test_a_token_for_a_node_that_is_gone_is_refused(harness: ProxyHarness) -> None:
    caller = harness.caller()
    harness.service()
    attempt = caller.call(URI, harness.now)
    harness.run(1)
    harness.core.replace_nodes((), ())
    assert attempt.leg is not None
    caller.send_inside(attempt.leg, "OPTIONS", harness.now)
    harness.run(1)
    assert caller.responses[-1].status == 481


def test_a_preloaded_route_does_not_bypass_admission(harness: ProxyHarness) -> None:
    caller = harness.caller()
    harness.service()
    attempt = caller.call(URI, harness.now)
    harness.run(1)
    assert attempt.leg is not None
    stranger = Stranger(harness, ("198.51.100.99", 5060))
    assert stranger.status(Route=attempt.leg.routes[0], now=harness.now) == 407


# The order of checks.


@pytest.mark.parametrize(
    ("changes", "uri", "status", "reason"),
    [
        ({}, "sip:x@elsewhere.example", 403, Reason.FOREIGN_HOST),
        ({}, f"sip:nobody@{DOMAIN}", 401, Reason.UNKNOWN_APPLICATION),
        ({"enabled": False}, URI, 401, Reason.DISABLED),
        ({"allowed_source_ips": ("203.0.113.0/24",)}, URI, 401, Reason.IP_NOT_ALLOWED),
        ({"allowed_regions": ("DE",)}, URI, 401, Reason.REGION_NOT_ALLOWED),
        ({"password_auth": False}, URI, 401, Reason.IP_NOT_ALLOWED),
    ],
)
def test_refusals(harness: ProxyHarness, stranger: Stranger, changes: dict[str, object], uri: str, status: int, reason: Reason) -> None:
    harness.applications = [application(**changes)]
    assert stranger.status("INVITE", uri) == status
    assert reasons(harness) == [reason]
    refusal = harness.refusals[0]
    assert (refusal.status, refusal.source_ip, refusal.country, refusal.sip_call_id) == (status, CALLER[0], "US", "c")
    assert refusal.trace
    assert harness.is_empty()


def test_final_refusals_look_the_same(harness: ProxyHarness, stranger: Stranger) -> None:
    seen = set()
    shapes: list[tuple[dict[str, object], str]] = [
        ({}, f"sip:{'0' * 8}-2222-4333-8444-555555555555@{DOMAIN}"),
        ({"enabled": False}, URI),
        ({"allowed_source_ips": ("203.0.113.0/24",)}, URI),
        ({"allowed_regions": ("DE",)}, URI),
    ]
    for changes, uri in shapes:
        harness.applications = [application(**changes)]
        answer = parse_message(stranger.request("INVITE", uri)[0])
        seen.add((answer.keys, bytes(answer).split(b"\r\n")[0]))
    harness.applications = [application()]
    wrong = stranger.answer(stranger.challenge(), password="wrong")
    answer = parse_message(stranger.request(Proxy_Authorization=str(wrong))[0])
    seen.add((answer.keys, bytes(answer).split(b"\r\n")[0]))
    assert seen == {(("via", "from", "to", "call-id", "cseq", "content-length"), b"SIP/2.0 401 Unauthorized")}


def test_request_uri_and_to_must_name_one_application(harness: ProxyHarness, stranger: Stranger) -> None:
    other = replace(application(), application_id="other", users=frozenset({"other"}))
    harness.applications.append(other)
    assert stranger.status(to=f"sip:other@{DOMAIN}") == 403
    assert stranger.status(to="tel:+15551234") == 403
    assert stranger.status(to=f"sip:{APP}@{DOMAIN}") == 407
    assert reasons(harness) == [Reason.USER_MISMATCH] * 2


def test_a_challenge_is_no_refusal_and_leaves_nothing(harness: ProxyHarness, stranger: Stranger) -> None:
    assert stranger.status() == 407
    assert (harness.refusals, harness.is_empty()) == ([], True)
    # The same datagram is a new request: nothing was kept.
    assert stranger.status() == 407


def test_a_retransmission_during_the_lookup_asks_once(harness: ProxyHarness, stranger: Stranger) -> None:
    harness.answer_lookups = False
    assert stranger.request() == []
    stranger.serial -= 1
    assert stranger.request() == []
    assert harness.lookups == 1
    harness.answer_lookup(1.0)
    assert len(harness.core.datagrams_to_send()) == 1


def test_a_database_that_fails_or_is_silent_is_503(harness: ProxyHarness, stranger: Stranger) -> None:
    harness.directory_lives = False
    answer = stranger.request()[0]
    assert answer.startswith(b"SIP/2.0 503 ")
    assert b"Retry-After: 5" in answer
    harness.answer_lookups = False
    stranger.request()
    harness.core.handle_timer(LOOKUP_SECONDS)
    harness.drain(LOOKUP_SECONDS)
    assert [item.data[:11] for item in harness.core.datagrams_to_send()] == [b"SIP/2.0 503"]
    assert reasons(harness) == [Reason.DATABASE_UNAVAILABLE] * 2
    assert harness.is_empty()


def test_lookups_are_bounded(harness: ProxyHarness, stranger: Stranger) -> None:
    harness.answer_lookups = False
    statuses = []
    for number in range(MAX_LOOKUPS + 1):
        stranger.source = (f"198.51.{number // 250}.{number % 250}", 5060)
        statuses.append(stranger.status())
    assert statuses == [0] * MAX_LOOKUPS + [503]
    assert reasons(harness) == [Reason.CAPACITY]


def test_draining_refuses_new_calls(harness: ProxyHarness, stranger: Stranger) -> None:
    harness.core.set_draining(True)
    answer = stranger.request()[0]
    assert answer.startswith(b"SIP/2.0 503 ")
    assert b"Retry-After" in answer
    assert stranger.status("OPTIONS", f"sip:{DOMAIN}") == 200


def test_room_for_calls_is_bounded() -> None:
    harness = ProxyHarness(max_calls=1)
    caller = harness.caller()
    harness.service()
    caller.call(URI, harness.now)
    harness.run(0.5)
    again = caller.call(URI, harness.now)
    harness.run(0.5)
    assert again.statuses == [407, 503]
    assert reasons(harness) == [Reason.CAPACITY]


def test_ip_only_calls_without_ack_are_capped_per_source() -> None:
    harness = ProxyHarness(replace(CONFIG, max_unacknowledged_per_source=3))
    harness.applications = [application(password_auth=False, allowed_source_ips=("0.0.0.0/0",))]
    harness.service()
    victim = ("198.51.100.66", 5060)
    spoofer = Stranger(harness, victim)
    statuses = [spoofer.status(call_id=str(number)) for number in range(5)]
    assert statuses == [100, 100, 100, 503, 503]
    assert reasons(harness) == [Reason.CAPACITY] * 2
    honest = harness.caller()
    attempt = honest.call(f"sip:{APP}@{DOMAIN}", harness.now)
    harness.run(2)
    assert attempt.ended == "local"


# Digest.


def test_what_a_call_was_admitted_by_is_told(harness: ProxyHarness, stranger: Stranger) -> None:
    harness.applications = [application(allowed_source_ips=("198.51.100.0/24",))]
    assert stranger.try_digest(stranger.answer(stranger.challenge())) == 100
    (admitted,) = harness.admitted
    told = {result.rule: (result.verdict, result.seen) for result in admitted.trace}
    assert told["source_ip"] == ("passed", CALLER[0])
    assert told["digest"] == ("passed", "valid")
    assert told["region"] == ("skipped", "")
    assert "application_calls" in told


def test_a_correct_digest_is_admitted(harness: ProxyHarness, stranger: Stranger) -> None:
    challenge = stranger.challenge()
    assert (challenge.realm, challenge.algorithm, challenge.qop, challenge.stale) == (DOMAIN, MD5, ("auth",), False)
    assert stranger.try_digest(stranger.answer(challenge)) == 100
    assert len(harness.admitted) == 1


@pytest.mark.parametrize("uri", [URI, f"sip:{DOMAIN}", f"sip:{OUTSIDE[0]}:6160", f"sip:{ALIAS}@{DOMAIN};transport=udp"])
def test_the_digest_uri_may_be_the_host_form(stranger: Stranger, uri: str) -> None:
    assert stranger.try_digest(stranger.answer(stranger.challenge(), uri=uri)) == 100


@pytest.mark.parametrize("uri", ["sip:elsewhere.example", f"sip:other@{DOMAIN}", "nonsense"])
def test_a_digest_for_something_else_is_wrong(stranger: Stranger, uri: str) -> None:
    assert stranger.try_digest(stranger.answer(stranger.challenge(), uri=uri)) == 401


def test_wrong_credentials_are_refused(harness: ProxyHarness, stranger: Stranger) -> None:
    challenge = stranger.challenge()
    good = stranger.answer(challenge)
    assert stranger.try_digest(stranger.answer(challenge, password="wrong")) == 401
    assert stranger.try_digest(stranger.answer(challenge, user="somebody")) == 403
    assert stranger.try_digest(replace(good, response="é" * 32)) == 401
    assert stranger.try_digest(replace(good, qop="", nc="", cnonce="")) == 401
    assert stranger.try_digest(stranger.answer(replace(challenge, algorithm=SHA256))) == 401
    assert reasons(harness) == [Reason.DIGEST_WRONG, Reason.DIGEST_USER_MISMATCH, *[Reason.DIGEST_WRONG] * 3]
    assert harness.is_empty()


@pytest.mark.parametrize(
    "value",
    ["Basic Zm9vOmJhcg==", 'NTLM realm="x", opaque="1"', f'Digest username="{APP}"', "Digest nonsense", "Digest username=" + "x" * 7000],
)
def test_what_answers_no_challenge_of_ours_is_challenged_and_costs_nothing(harness: ProxyHarness, stranger: Stranger, value: str) -> None:
    for _ in range(70):
        (raw,) = stranger.request(Proxy_Authorization=value)
        message = parse_message(raw)
        assert raw.startswith(b"SIP/2.0 407 ")
        assert not Challenge.parse(message.header("proxy-authenticate") or "").stale
    assert stranger.try_digest(stranger.answer(stranger.challenge())) == 100
    assert reasons(harness) == []


def test_credentials_for_another_realm_are_ignored(stranger: Stranger) -> None:
    assert stranger.try_digest(stranger.answer(replace(stranger.challenge(), realm="other"))) == 407


def test_old_and_foreign_nonces_are_stale_and_cost_nothing(harness: ProxyHarness, stranger: Stranger) -> None:
    challenge = stranger.challenge()
    elsewhere = Stranger(harness, ("198.51.100.8", 5080))
    for answer in (
        elsewhere.request(Proxy_Authorization=str(stranger.answer(challenge))),
        stranger.request(Proxy_Authorization=str(stranger.answer(replace(challenge, nonce="forged")))),
        stranger.request(Proxy_Authorization=str(stranger.answer(challenge)), now=61.0),
    ):
        message = parse_message(answer[0])
        assert Challenge.parse(message.header("proxy-authenticate") or "").stale
    assert harness.refusals == []


def test_a_replayed_digest_is_stale(harness: ProxyHarness, stranger: Stranger) -> None:
    credentials = stranger.answer(stranger.challenge())
    assert stranger.try_digest(credentials, call_id="a", number=2) == 100
    assert stranger.try_digest(credentials, call_id="b", number=2) == 407
    assert stranger.try_digest(stranger.answer(stranger.challenge(), count=1), call_id="d") == 100
    assert len(harness.admitted) == 2


def test_a_rotated_password_fails_at_once(harness: ProxyHarness, stranger: Stranger) -> None:
    challenge = stranger.challenge()
    harness.applications = [application(ha1=())]
    assert stranger.try_digest(stranger.answer(challenge)) == 401


def test_algorithms_are_the_applications_choice(harness: ProxyHarness, stranger: Stranger) -> None:
    harness.applications = [application(digest_algorithms=(MD5, SHA256))]
    answer = parse_message(stranger.request()[0])
    offered = [Challenge.parse(text) for text in answer.headers("proxy-authenticate")]
    assert [challenge.algorithm for challenge in offered] == [SHA256, MD5]
    assert stranger.try_digest(stranger.answer(offered[0])) == 100


def test_password_guessing_ends_in_silence(harness: ProxyHarness, stranger: Stranger) -> None:
    challenge = stranger.challenge()
    guesses = [stranger.try_digest(stranger.answer(challenge, password=str(number)), call_id=str(number)) for number in range(80)]
    assert guesses == [401] * (int(BAN_SCORE) + 1) + [0] * (79 - int(BAN_SCORE))
    assert Stranger(harness, ("198.51.100.8", 5080)).status() == 407


# Floods and noise.


def test_a_flood_leaves_no_state_and_affects_no_other_source(harness: ProxyHarness, stranger: Stranger) -> None:
    answered = sum(bool(stranger.status()) for _ in range(1_000))
    assert answered == REQUEST_BURST + 1
    assert sum(bool(stranger.request("OPTIONS", f"sip:{DOMAIN}")) for _ in range(100)) == 0
    assert stranger.status("BYE", To=f"<{URI}>;tag=x") == 0
    assert harness.is_empty()
    assert harness.core.drops.silenced > 700
    assert Stranger(harness, ("198.51.100.8", 5080)).status() == 407
    assert reasons(harness) == [Reason.RATE_LIMITED]


def test_answers_are_hardly_larger_than_requests(harness: ProxyHarness, stranger: Stranger) -> None:
    request = Request.build(
        "INVITE",
        URI,
        [("Via", "SIP/2.0/UDP h;branch=z9hG4bKa"), ("From", "<sip:a@b>;tag=f"), ("To", f"<{URI}>"), ("Call-ID", "c"), ("CSeq", "1 INVITE")],
    )
    data = bytes(request)
    assert len(stranger.send(data)[0]) < 2 * len(data)


@pytest.mark.parametrize("name", sorted(path.name for path in DATA.glob("*.sip")))
def test_no_sample_raises_an_exception(harness: ProxyHarness, stranger: Stranger, name: str) -> None:
    answers = stranger.send((DATA / name).read_bytes())
    assert all(answer.startswith(b"SIP/2.0 ") for answer in answers)


@pytest.mark.parametrize("data", [b"", b"\r\n\r\n", b"\xff\x00" * 500, b"INVITE", b"SIP/2.0 200 OK\r\n\r\n"])
def test_noise_gets_no_response(harness: ProxyHarness, stranger: Stranger, data: bytes) -> None:
    assert stranger.send(data) == []


def test_broken_requests_are_limited_too(harness: ProxyHarness, stranger: Stranger) -> None:
    data = (DATA / "invite_broken.sip").read_bytes()
    answers = [stranger.send(data) for _ in range(int(REQUEST_BURST) + 50)]
    assert sum(bool(answer) for answer in answers) == REQUEST_BURST


def test_control_characters_do_not_reach_the_records(harness: ProxyHarness, stranger: Stranger) -> None:
    stranger.status("INVITE", f"sip:no%41body\udcfe@{DOMAIN}", User_Agent="a\x1b[31m\udcff\x07")
    refusal = harness.refusals[0]
    assert refusal.user_agent.isprintable()
    assert refusal.request_user.isprintable()


# Datagrams on the internal listener.


def test_only_nodes_are_heard_inside(harness: ProxyHarness) -> None:
    bye = (
        b"BYE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.2:6161;branch=z9hG4bKa\r\nFrom: <sip:a@b>;tag=1\r\n"
        b"To: <sip:c@d>;tag=2\r\nCall-ID: x\r\nCSeq: 1 BYE\r\n\r\n"
    )
    harness.core.receive_datagram(INTERNAL, bye, ("10.0.0.66", 6161), 0.0)
    assert harness.core.datagrams_to_send() == []
    assert harness.core.drops.strangers_inside == 1
    harness.core.receive_datagram(INTERNAL, bye, NODE_A, 0.0)
    assert [item.data[:11] for item in harness.core.datagrams_to_send()] == [b"SIP/2.0 481"]
    harness.core.receive_datagram(INTERNAL, bye.replace(b"BYE", b"OPTIONS").replace(b";tag=2", b""), NODE_A, 0.0)
    harness.core.receive_datagram(INTERNAL, bye.replace(b"BYE", b"INVITE").replace(b";tag=2", b"").replace(b"Ka", b"Kb"), NODE_A, 0.0)
    good, bad = (item.data for item in harness.core.datagrams_to_send())
    assert (good[:11], bad[:11]) == (b"SIP/2.0 200", b"SIP/2.0 405")
    assert parse_message(bad).header("allow") == "ACK, CANCEL, BYE, OPTIONS, PRACK, UPDATE, INFO, NOTIFY"


def test_a_body_that_could_hide_a_description_is_refused(harness: ProxyHarness, stranger: Stranger) -> None:
    harness.applications = [application(password_auth=False, allowed_source_ips=("0.0.0.0/0",))]
    harness.service()
    request = Request.build(
        "INVITE",
        f"sip:{APP}@{DOMAIN}",
        [
            ("Via", "SIP/2.0/UDP h;branch=z9hG4bKm"),
            ("From", "<sip:a@b>;tag=f"),
            ("To", f"<sip:{APP}@{DOMAIN}>"),
            ("Call-ID", "m"),
            ("CSeq", "1 INVITE"),
            ("Content-Type", "multipart/mixed;boundary=x"),
        ],
        b"--x--",
    )
    answers = stranger.send(bytes(request))
    assert [answer.split(b"\r\n")[0] for answer in answers] == [b"SIP/2.0 400 Bad Multipart Body"]
    assert harness.lookups == 0


def test_an_overdue_call_is_ended() -> None:
    harness = ProxyHarness(replace(CONFIG, callflow_targets=(NODE_A,)))
    caller = harness.caller()
    harness.service()
    caller.talk_seconds = None
    caller.call(URI, harness.now)
    harness.run(4_000)
    assert [record.reason for record in harness.ended] == [EndReason.CALLER_UNREACHABLE]
