from __future__ import annotations

from sipproxy.admission.limits import BAN_SCORE, REQUEST_BURST
from sipproxy.core.events import ProxyEvent
from sipproxy.core.shared import Drops
from sipproxy.core.source_gate import SourceGate
from tests.unit.proxy.harness import CALLER, CONFIG
from voiceapps.rules.bans import BanReason
from voiceapps.rules.reports import SourceBanned

IP = CALLER[0]
OPTIONS = b"OPTIONS sip:a SIP/2.0\r\nFrom: <sip:a>;tag=f\r\n\r\n"


def gate() -> tuple[SourceGate, Drops, list[ProxyEvent]]:
    drops = Drops()
    told: list[ProxyEvent] = []
    return SourceGate(CONFIG, wall=lambda at: at + 1_000, is_trusted=lambda _ip: False, drops=drops, tell=told.append), drops, told


def silenced() -> tuple[SourceGate, Drops]:
    held, drops, _ = gate()
    while held.count_request(IP, 0.0):
        pass
    assert held.may_be_refused(IP)
    return held, drops


def test_the_revision_stays_while_no_source_is_banned_or_silenced() -> None:
    held, drops, _ = gate()
    for _ in range(int(REQUEST_BURST)):
        assert not held.drops_unread(OPTIONS, CALLER, 0.0)
        assert held.count_request(IP, 0.0)
    assert (held.revision, drops) == (0, Drops())


def test_silencing_a_source_raises_the_revision_once() -> None:
    held, drops = silenced()
    assert held.revision == 1
    assert not held.may_be_refused(IP)
    assert held.revision == 1
    assert held.drops_unread(OPTIONS, CALLER, 0.0)
    assert drops == Drops(silenced=1)


def test_a_message_that_may_be_in_a_dialog_is_read() -> None:
    held, _ = silenced()
    for data in (OPTIONS.replace(b"From", b"To: <sip:b>;tag=t\r\nFrom"), b"ACK sip:a SIP/2.0\r\n\r\n", b"SIP/2.0 200 OK\r\n\r\n"):
        assert not held.drops_unread(data, CALLER, 0.0)


def test_failures_and_the_ban_they_lead_to_raise_the_revision() -> None:
    held, drops, told = gate()
    for number in range(int(BAN_SCORE) + 1):
        before = held.revision
        held.count_failure(IP, str(number), 0.0)
        assert held.revision > before
    assert len(told) == 2
    assert held.drops_unread(b"noise", CALLER, 0.0)
    assert drops == Drops(banned=1)


def test_bans_of_others_raise_the_revision_once() -> None:
    held, _, told = gate()
    bans = [SourceBanned(IP, BanReason.OPERATOR, "node", 1_000.0, 1_100.0)]
    for _ in range(2):
        held.replace_bans(bans, 0.0)
    assert (held.revision, len(told)) == (1, 1)
    assert held.is_banned(IP, 99.0)
    assert not held.is_banned(IP, 101.0)
