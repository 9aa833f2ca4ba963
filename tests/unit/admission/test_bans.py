from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sipproxy.admission.bans import Ban, BanBook, BanChange
from sipproxy.admission.limits import (
    BAN_SCORE,
    BANS_FORGOTTEN_SECONDS,
    FIRST_BAN_SECONDS,
    FLOOD_BAN_SECONDS,
    FLOOD_BURST,
    FLOOD_PER_SECOND,
    LAST_BAN_SECONDS,
    MAX_PAST_BANS,
    MAX_SOURCES,
    RECENT_CALL_SECONDS,
    SCORE_FORGIVEN_PER_SECOND,
    UNSEEN_BAN_SECONDS,
)
from voiceapps.rules.bans import BanReason

SOURCE, OTHER, TRUSTED = "198.51.100.7", "198.51.100.8", "192.0.2.1"
ENOUGH = int(BAN_SCORE)


def book(**options: int) -> BanBook:
    return BanBook(is_trusted=lambda source_ip: source_ip == TRUSTED, **options)


def guess(bans: BanBook, times: int, now: float, source_ip: str = SOURCE) -> list[Ban]:
    return [ban for _ in range(times) if (ban := bans.count(source_ip, 1.0, now))]


def flood(bans: BanBook, times: int, now: float, source_ip: str = SOURCE) -> list[Ban]:
    return [ban for _ in range(times) if (ban := bans.count_refused(source_ip, now))]


def told(source_ip: str = SOURCE, *, until: float = 100.0, reason: BanReason = BanReason.OPERATOR) -> Ban:
    return Ban(source_ip, reason, 0.0, until)


def test_too_many_wrong_passwords_lead_to_a_ban() -> None:
    bans = book()
    assert guess(bans, ENOUGH, 5.0) == []
    assert not bans.is_banned(SOURCE, 5.0)
    assert guess(bans, 1, 5.0) == [Ban(SOURCE, BanReason.WRONG_PASSWORD, 5.0, 5.0 + FIRST_BAN_SECONDS)]
    assert bans.is_banned(SOURCE, 5.0 + FIRST_BAN_SECONDS - 0.01)
    assert not bans.is_banned(OTHER, 5.0)
    assert bans.active(5.0) == 1
    assert not bans.is_banned(SOURCE, 5.0 + FIRST_BAN_SECONDS)
    assert bans.active(5.0 + FIRST_BAN_SECONDS) == 0


def test_points_are_forgiven_with_time() -> None:
    bans = book()
    seconds = 1 / SCORE_FORGIVEN_PER_SECOND
    assert all(not guess(bans, 1, number * seconds) for number in range(3 * ENOUGH))
    assert guess(bans, ENOUGH + 1, 3 * ENOUGH * seconds) != []


def test_a_correct_password_clears_the_points() -> None:
    bans = book()
    guess(bans, ENOUGH, 0.0)
    bans.forgive(SOURCE)
    assert guess(bans, ENOUGH, 0.0) == []
    assert len(guess(bans, 1, 0.0)) == 1


def test_failures_sent_before_a_ban_do_not_prolong_it() -> None:
    bans = book()
    assert len(guess(bans, 10 * ENOUGH, 0.0)) == 1
    assert flood(bans, 10_000, 0.0) == []


def test_each_ban_is_twice_as_long_until_a_day_has_passed_without_one() -> None:
    bans, now, lengths = book(), 0.0, []
    for _ in range(10):
        (ban,) = guess(bans, ENOUGH + 1, now)
        lengths.append(ban.until - ban.at)
        now = ban.until
    assert lengths == [min(FIRST_BAN_SECONDS * 2**number, LAST_BAN_SECONDS) for number in range(10)]
    (ban,) = guess(bans, ENOUGH + 1, now + BANS_FORGOTTEN_SECONDS)
    assert ban.until - ban.at == FIRST_BAN_SECONDS


def test_a_ban_at_another_proxy_makes_ours_longer() -> None:
    bans = book()
    bans.replace([Ban(SOURCE, BanReason.WRONG_PASSWORD, 0.0, 600.0)], 1.0)
    (ban,) = guess(bans, ENOUGH + 1, 700.0)
    assert ban.until - ban.at == 1_200.0


def test_a_flood_is_a_short_ban_and_never_a_longer_one() -> None:
    bans = book()
    assert flood(bans, int(FLOOD_BURST), 0.0) == []
    for start in (0.0, 100.0, 200.0):
        found = flood(bans, int(FLOOD_BURST) + 1, start)
        assert found[0] == Ban(SOURCE, BanReason.FLOOD, start, start + FLOOD_BAN_SECONDS)
    (ban,) = guess(bans, ENOUGH + 1, 300.0)
    assert ban.until - ban.at == FIRST_BAN_SECONDS


def test_a_source_a_little_over_its_limit_is_never_banned() -> None:
    bans = book()
    assert all(not flood(bans, int(FLOOD_PER_SECOND), float(second)) for second in range(600))


def test_a_source_with_a_recent_call_is_not_banned_for_a_flood_that_may_be_forged() -> None:
    bans = book()
    bans.note_call(SOURCE, 0.0)
    assert flood(bans, 5_000, RECENT_CALL_SECONDS - 1) == []
    assert flood(bans, 5_000, RECENT_CALL_SECONDS) != []


def test_a_recent_call_does_not_protect_from_a_ban_for_guessing() -> None:
    bans = book()
    bans.note_call(SOURCE, 0.0)
    assert len(guess(bans, ENOUGH + 1, 1.0)) == 1


def test_a_trusted_source_is_never_banned() -> None:
    bans = book()
    assert guess(bans, 1_000, 0.0, TRUSTED) == []
    assert flood(bans, 10_000, 0.0, TRUSTED) == []
    assert bans.replace([told(TRUSTED)], 0.0) == BanChange()
    assert len(bans) == 0


# Bans from the database.


def test_bans_of_others_come_and_go() -> None:
    bans = book()
    ban = told()
    assert bans.replace([ban], 0.0) == BanChange(banned=(ban,))
    assert bans.replace([told(until=100.2)], 1.0) == BanChange()
    assert bans.is_banned(SOURCE, 99.0)
    longer = told(until=200.0)
    assert bans.replace([longer], 2.0) == BanChange(banned=(longer,))
    assert bans.replace([], 3.0) == BanChange(lifted=(SOURCE,))
    assert not bans.is_banned(SOURCE, 3.0)


def test_a_ban_that_ended_by_itself_is_not_lifted() -> None:
    bans = book()
    bans.replace([told()], 0.0)
    assert bans.replace([], 101.0) == BanChange()
    assert bans.replace([told()], 101.0) == BanChange()


def test_a_ban_of_our_own_holds_until_the_database_knows_it() -> None:
    bans = book()
    (ban,) = guess(bans, ENOUGH + 1, 0.0)
    assert bans.replace([], 1.0) == BanChange()
    assert bans.replace([told(reason=ban.reason, until=ban.until + 0.1)], 2.0) == BanChange()
    assert bans.replace([], 3.0) == BanChange(lifted=(SOURCE,))


def test_a_ban_that_never_reaches_the_database_ends_where_the_database_answers() -> None:
    bans = book()
    guess(bans, ENOUGH + 1, 0.0)
    assert bans.replace([], UNSEEN_BAN_SECONDS - 1) == BanChange()
    assert bans.replace([], UNSEEN_BAN_SECONDS) == BanChange(lifted=(SOURCE,))


def test_a_longer_ban_of_an_operator_replaces_ours() -> None:
    bans = book()
    guess(bans, ENOUGH + 1, 0.0)
    bans.replace([told(until=10_000.0)], 1.0)
    assert bans.is_banned(SOURCE, 9_999.0)


# Bounds.


def test_no_more_bans_than_there_is_room_for() -> None:
    bans = book(max_bans=3)
    for number in range(5):
        guess(bans, ENOUGH + 1, float(number), f"10.0.0.{number}")
    assert bans.active(5.0) == 3
    assert [bans.is_banned(f"10.0.0.{number}", 5.0) for number in range(5)] == [False, False, True, True, True]
    bans.replace([told(f"10.1.0.{number}") for number in range(9)], 6.0)
    assert bans.active(6.0) == 3


def test_tables_are_bounded() -> None:
    bans = book(max_bans=2)
    for number in range(MAX_SOURCES + 10):
        source_ip = f"{number}"
        bans.count(source_ip, 1.0, 0.0)
        bans.count_refused(source_ip, 0.0)
        bans.note_call(source_ip, 0.0)
    assert len(bans) == 3 * MAX_SOURCES
    for number in range(MAX_PAST_BANS + 10):
        bans.count(f"{number}", BAN_SCORE + 1, 0.0)
    assert len(bans) <= 3 * MAX_SOURCES + MAX_PAST_BANS + 2 * 2


_SOURCES = st.sampled_from([SOURCE, OTHER, TRUSTED])
_STEPS = st.one_of(
    st.tuples(st.just("guess"), _SOURCES, st.integers(1, 80)),
    st.tuples(st.just("flood"), _SOURCES, st.integers(1, 2_000)),
    st.tuples(st.just("call"), _SOURCES, st.just(1)),
    st.tuples(st.just("right"), _SOURCES, st.just(1)),
    st.tuples(st.just("wait"), _SOURCES, st.integers(1, 2_000)),
    st.tuples(st.just("told"), _SOURCES, st.integers(1, 2_000)),
)


@given(st.lists(_STEPS, max_size=25))
def test_all_bans_end_and_the_changes_are_complete(steps: list[tuple[str, str, int]]) -> None:
    bans, now = book(), 0.0
    # What a kernel that gets every change would drop.
    mirror: dict[str, float] = {}
    for kind, source_ip, amount in steps:
        made: list[Ban] = []
        if kind == "guess":
            made = guess(bans, amount, now, source_ip)
        elif kind == "flood":
            made = flood(bans, amount, now, source_ip)
        elif kind == "call":
            bans.note_call(source_ip, now)
        elif kind == "right":
            bans.forgive(source_ip)
        elif kind == "wait":
            now += amount
        else:
            change = bans.replace([told(source_ip, until=now + amount)], now)
            made = list(change.banned)
            for lifted in change.lifted:
                del mirror[lifted]
        mirror |= {ban.source_ip: ban.until for ban in made}
        assert {ip for ip in (SOURCE, OTHER, TRUSTED) if bans.is_banned(ip, now)} == {ip for ip, until in mirror.items() if until > now}
        assert TRUSTED not in mirror
        assert not any(bans.is_banned(ip, now + LAST_BAN_SECONDS) for ip in mirror if ip)
        assert bans.active(now) <= 2
