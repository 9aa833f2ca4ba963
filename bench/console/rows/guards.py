"""What keeps strangers out, and who changed what: a week of refused attempts, bans, trusted ranges, the audit trail."""

from __future__ import annotations

from bench.console.rows.making import address, ago, hexadecimal, insert, minute_ago, octets, text
from bench.console.rows.sizes import Sizes
from voiceapps.models import AuditEntry, Ban, RefusedAttempt, TrustedRange

WEEK_SECONDS = 7 * 86_400
TRACE = [
    {"rule": "host", "verdict": "passed", "expected": "a name or address of this service", "seen": "sip.example"},
    {"rule": "source_ip", "verdict": "failed", "expected": "203.0.113.0/24", "seen": "198.51.100.1"},
    {"rule": "region", "verdict": "skipped", "expected": "", "seen": ""},
]
_REASONS = ("ip_not_allowed", "digest_wrong", "disabled", "region_not_allowed")
_ACTIONS = ("application.update", "application.rotate_password", "ban.place", "call.export")


def fill(sizes: Sizes) -> None:
    """Make the rows. Half of the refused attempts are of one application; one in ten called none."""
    seconds = f"i * {WEEK_SECONDS / sizes.refusals}"
    made = {
        # The minute, and what tells the rows of one minute from each other.
        "key": octets(f"{hexadecimal(minute_ago(seconds))} || '0000000000000000' || {hexadecimal('i')}"),
        "application_id": "CASE WHEN i % 10 = 9 THEN NULL ELSE a.id END",
        "account_id": "CASE WHEN i % 10 = 9 THEN '' ELSE a.account END",
        "source_ip": address("198.51"),
        "reason": _one_of(_REASONS),
        "first_at": ago(seconds),
        "last_at": ago(seconds),
        "sip_call_id": f"{hexadecimal('i')} || '@stranger'",
    }
    constants = {"country": "NL", "status": 403, "count": 3, "user_agent": "friendly-scanner", "request_user": "100", "trace": TRACE}
    insert(RefusedAttempt, range(1, sizes.refusals + 1), made, constants, of="CASE WHEN i % 2 = 0 THEN 0 ELSE i END")
    banned = {"source_ip": address("198.51"), "banned_at": ago("60 * i"), "expires_at": ago("60 * i - 864000")}
    insert(Ban, range(1, sizes.bans + 1), banned, {"reason": "flood"})
    insert(TrustedRange, range(1, sizes.ranges + 1), {"network": f"'192.0.2.' || {text('i')} || '/32'", "added_at": ago("i")})
    _audit(sizes.entries)


def _audit(entries: int) -> None:
    """Make entries of all accounts and of the installation; the digests are none, as no page reads them."""
    made = {
        "chain": "CASE WHEN i % 20 = 0 THEN '' ELSE a.account END",
        "number": "1000 + i",
        "at": ago(f"({entries} - i) * 10"),
        "actor": "'operator person-' || " + text("i % 200"),
        "action": _one_of(_ACTIONS),
        "subject": "a.name",
    }
    insert(AuditEntry, range(1, entries + 1), made, {"changes": {"name": "After"}, "before": {"name": "Before"}, "digest": "0" * 64})


def _one_of(words: tuple[str, ...]) -> str:
    cases = " ".join(f"WHEN {number} THEN '{word}'" for number, word in enumerate(words))
    # Applications and accounts repeat as well: each of them gets every word.
    return f"CASE (i / 7) % {len(words)} {cases} END"
