"""How old the data are that tell the country of an address: blocks change their owners."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version

from django.conf import settings

from voiceapps.daemon.geo import country_data_time
from voiceapps.rules.diagnosis.findings import Finding, bad, doubtful, good

SUBJECT = "Countries"
OLD_DAYS = 90
BUILT_IN = "iptocc"
FIX = f"pip install --upgrade {BUILT_IN}, and restart the proxies."


def examine() -> Iterator[Finding]:
    """Yield what is found of the operator's database, or of the built-in one."""
    made, now = country_data_time(settings.GEOIP_DB), datetime.now(UTC)
    if settings.GEOIP_DB and made is None:
        yield bad(SUBJECT, f"The country data in {settings.GEOIP_DB} cannot be read.", "Correct SIPURI_GEOIP_DB.")
    elif settings.GEOIP_DB and made is not None:
        yield judge(f"The country data in {settings.GEOIP_DB} were made", made, now, "Fetch a new edition, and restart the proxies.")
    elif made is None:
        yield good(SUBJECT, f"The country data are those of {BUILT_IN} {version(BUILT_IN)}, which does not say how old they are.")
    else:
        yield judge(f"The country data, those of {BUILT_IN} {version(BUILT_IN)}, were made", made, now, FIX)


def judge(told: str, made: datetime, now: datetime, fix: str) -> Finding:
    """Return what is found, given when the data were made."""
    days = (now - made).days
    sentence = f"{told} on {made:%Y-%m-%d}, {days} days ago."
    return doubtful(SUBJECT, f"{sentence} Callers' regions may be wrong.", fix) if days > OLD_DAYS else good(SUBJECT, sentence)
