from __future__ import annotations

from ipaddress import IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemonkit.address import Address
from mediarelay.core.addresses import AddressPolicy, MediaRules, is_public
from mediarelay.core.learning import NAT_PACKETS, Arrival, Learner, Rank

SDP: Address = ("198.51.100.7", 5000)
SIP = "192.0.2.33"
OWN = frozenset({"203.0.113.1"})


def policy(*, trusted: bool = False, allow_private: bool = False, sockets: frozenset[Address] = frozenset()) -> AddressPolicy:
    return AddressPolicy(trusted, allow_private, OWN, sockets.__contains__)


def learner(
    sdp: Address | None = SDP,
    sip: str | None = SIP,
    *,
    nat: bool = False,
    rules: AddressPolicy | None = None,
    sources: tuple[IPv4Network, ...] = (),
) -> Learner:
    made = Learner(rules or policy(), lambda: None)
    made.follow(MediaRules(nat, sources))
    made.describe(sdp, sip)
    return made


def feed(made: Learner, source: Address, now: float, sequence: int = 1, *, ssrc: int = 1, payload_type: int = 0) -> bool:
    admitted = made.admit(Arrival(source, ssrc, sequence, payload_type), now)
    if admitted:
        made.last_at = now
    return admitted


@pytest.mark.parametrize(
    ("source", "rank"),
    [(SDP, Rank.EXACT), ((SDP[0], 5777), Rank.SDP_ADDRESS), ((SIP, 6000), Rank.SIP_SOURCE), (("192.0.2.99", 5000), None)],
)
def test_sources_are_ranked_by_how_well_they_fit_signalling(source: Address, rank: Rank | None) -> None:
    made = learner()
    assert feed(made, source, 0.0) is (rank is not None)
    assert made.rank is rank
    assert made.source == (source if rank else None)


def test_a_better_rank_takes_the_lock_within_five_seconds() -> None:
    made = learner()
    assert feed(made, (SIP, 6000), 0.0)
    assert feed(made, SDP, 4.9)
    assert (made.source, made.rank) == (SDP, Rank.EXACT)
    assert not feed(made, (SIP, 6000), 4.95)


def test_a_better_rank_is_too_late_after_five_seconds() -> None:
    made = learner()
    assert feed(made, (SIP, 6000), 0.0)
    assert not feed(made, SDP, 5.1)
    assert made.source == (SIP, 6000)


def test_nothing_else_is_accepted_after_the_lock() -> None:
    made = learner()
    assert feed(made, SDP, 0.0)
    for second in range(1, 60):
        assert not feed(made, ("192.0.2.99", 5000), float(second), second)
        assert not feed(made, (SIP, 5000), float(second), second)
    assert made.source == SDP


def test_a_new_port_takes_over_after_silence_and_three_packets_in_sequence() -> None:
    made = learner()
    assert feed(made, SDP, 0.0)
    moved = (SDP[0], 5900)
    assert not feed(made, moved, 0.1, 10)
    assert [feed(made, moved, 0.25 + n / 50, 11 + n) for n in range(3)] == [False, False, True]
    assert made.target == moved


def test_a_gap_in_the_sequence_or_a_living_old_port_stops_the_takeover() -> None:
    made = learner()
    moved = (SDP[0], 5900)
    feed(made, SDP, 0.0)
    assert [feed(made, moved, 0.3, sequence) for sequence in (1, 2, 4, 5)] == [False] * 4
    feed(made, SDP, 0.31)
    assert not feed(made, moved, 0.32, 6)
    assert made.source == SDP
    assert [feed(made, moved, 0.6, sequence) for sequence in (0xFFFF, 0, 1)] == [False, False, True]


def test_a_new_address_needs_a_new_description() -> None:
    made = learner()
    feed(made, SDP, 0.0)
    elsewhere = ("198.51.100.200", 7000)
    assert not feed(made, elsewhere, 10.0)
    made.describe(elsewhere, SIP)
    assert made.target == SDP
    assert feed(made, elsewhere, 10.1)
    assert made.target == elsewhere


def test_the_same_description_again_moves_nothing() -> None:
    made = learner()
    feed(made, (SIP, 6000), 0.0)
    made.describe(SDP, SIP)
    made.describe(None, None)
    assert (made.source, made.rank) == ((SIP, 6000), Rank.SIP_SOURCE)


def test_nat_learning_needs_the_flag_and_ten_packets() -> None:
    made = learner(("10.1.1.1", 5000), nat=True)
    made.payload_types = frozenset({0})
    phone = ("192.0.2.99", 6000)
    assert [feed(made, phone, n / 50, n) for n in range(NAT_PACKETS)] == [False] * 9 + [True]
    assert made.rank is Rank.NAT
    strict = learner(("10.1.1.1", 5000))
    strict.payload_types = frozenset({0})
    assert not any(feed(strict, phone, n / 50, n) for n in range(50))


@pytest.mark.parametrize(
    "broken",
    [
        {"rival": True},
        {"ssrc": True},
        {"gap": True},
        {"payload_type": 99},
        {"source": ("10.2.2.2", 6000)},
    ],
)
def test_nat_learning_fails_if_one_condition_is_not_met(broken: dict[str, object]) -> None:
    made = learner(("10.1.1.1", 5000), nat=True)
    made.payload_types = frozenset({0})
    source = broken.get("source", ("192.0.2.99", 6000))
    for n in range(40):
        if "rival" in broken and n % 5 == 0:
            assert not feed(made, ("192.0.2.98", 6000), n / 50, n)
        number = 2 * n if "gap" in broken else n
        ssrc = n // 5 if "ssrc" in broken else 1
        kind = 99 if "payload_type" in broken else 0
        assert not feed(made, source, n / 50, number, ssrc=ssrc, payload_type=kind)  # type: ignore[arg-type]  # an address, as listed


def test_nat_learning_is_off_for_public_sdp_addresses() -> None:
    made = learner(SDP, nat=True)
    made.payload_types = frozenset({0})
    assert not any(feed(made, ("192.0.2.99", 6000), n / 50, n) for n in range(50))


def test_sending_first_needs_a_public_sdp_address_that_is_the_sip_source() -> None:
    assert learner(SDP, SDP[0]).target == SDP
    assert learner(SDP, SIP).target is None
    assert learner(SDP, None).target is None
    assert learner(("10.1.1.1", 5000), "10.1.1.1").target is None
    assert learner(("10.1.1.1", 5000), "10.1.1.1", rules=policy(allow_private=True)).target == ("10.1.1.1", 5000)
    assert learner(("10.1.1.1", 5000), None, rules=policy(trusted=True)).target == ("10.1.1.1", 5000)


def test_sending_first_is_allowed_to_the_networks_of_the_application() -> None:
    media = (IPv4Network("198.51.100.0/29"), IPv4Network("192.0.2.128/25"))
    assert learner(SDP, SIP, sources=media).target == SDP
    assert learner(("192.0.2.200", 5000), SIP, sources=media).target == ("192.0.2.200", 5000)
    assert learner(("198.51.100.8", 5000), SIP, sources=media).target is None
    for host in ("10.1.1.1", "203.0.113.1"):
        own = learner((host, 5000), SIP, sources=(IPv4Network(f"{host}/32"),))
        assert own.target is None, "neither private addresses nor our own"
    assert not feed(learner(SDP, SIP, sources=media), ("192.0.2.200", 5000), 0.0), "it is not a source, only a target"


def test_a_place_that_is_only_offered_earns_no_lock() -> None:
    made = learner()
    moved = (SDP[0], 5900)
    made.proposed = moved
    assert not feed(made, moved, 0.0)
    assert feed(made, SDP, 0.1)
    assert not any(feed(made, moved, 1.0 + n / 50, n) for n in range(20))
    made.proposed = None
    assert [feed(made, moved, 2.0 + n / 50, n) for n in range(3)] == [False, False, True]


@pytest.mark.parametrize("host", ["10.0.0.1", "127.0.0.1", "169.254.1.1", "224.0.0.5", "255.255.255.255", "0.0.0.0", "203.0.113.1"])
def test_private_multicast_and_own_addresses_are_never_targets_outside(host: str) -> None:
    made = learner((host, 5000), host)
    assert made.target is None
    assert not feed(made, (host, 5000), 0.0)
    assert made.target is None


def test_our_own_sockets_are_never_a_target_even_in_a_lab() -> None:
    own = ("127.0.0.1", 30000)
    made = learner(own, own[0], rules=policy(allow_private=True, sockets=frozenset({own})))
    assert made.target is None
    assert not feed(made, own, 0.0)


def test_port_zero_is_no_target() -> None:
    assert not feed(learner(), (SDP[0], 0), 0.0)


@pytest.mark.parametrize(
    ("host", "public"), [("203.0.113.9", True), ("8.8.8.8", True), ("100.64.0.1", False), ("x", False), ("::1", False)]
)
def test_only_ordinary_ipv4_addresses_are_public(host: str, public: bool) -> None:
    assert is_public(host) is public


@given(
    st.lists(
        st.tuples(st.sampled_from([SDP, (SDP[0], 1), (SIP, 2), ("192.0.2.99", 3)]), st.integers(0, 30), st.integers(0, 3)), max_size=60
    )
)
def test_a_stranger_is_never_accepted_or_fed(steps: list[tuple[Address, int, int]]) -> None:
    made = learner()
    now = 0.0
    for source, hundredths, sequence in steps:
        now += hundredths / 100
        admitted = feed(made, source, now, sequence)
        assert not (admitted and source[0] == "192.0.2.99")
        assert made.target is None or made.target[0] in (SDP[0], SIP)
