"""All examinations, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import structlog

from sipuri_project.doctor import addresses, certificates, clock, countries, disk, keys, limits, names, ports, roles, sources, stores
from voiceapps.rules.diagnosis.findings import Finding, bad

Examination = Callable[[], Iterator[Finding]]

EXAMINATIONS: dict[str, Examination] = {
    "Database": stores.examine_database,
    "Broker": stores.examine_broker,
    "Roles": roles.examine,
    "Keys": keys.examine,
    "Certificate": certificates.examine,
    "Addresses": addresses.examine,
    "Sources": sources.examine,
    "Ports": ports.examine,
    "DNS": names.examine,
    "Clock": clock.examine,
    "Countries": countries.examine,
    "Limits": limits.examine,
    "Disk": disk.examine,
}
"""In the order in which a fault of one makes those of others."""

log = structlog.get_logger(__name__)


def examine() -> list[Finding]:
    """Return everything that was found; takes some seconds where something does not answer."""
    return [finding for subject, look in EXAMINATIONS.items() for finding in _looked_at(subject, look)]


def _looked_at(subject: str, look: Examination) -> list[Finding]:
    try:
        return list(look())
    except Exception as error:  # noqa: BLE001  # one part that cannot be examined must not hide the others
        log.warning("examination_failed", subject=subject, error=repr(error))
        return [bad(subject, f"This could not be examined. {type(error).__name__}: {error}", "Mend what stands above, and look again.")]
