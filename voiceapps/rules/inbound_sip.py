"""The rules for changing an application's inbound SIP settings: enabling, rotating the password, disabling."""

from __future__ import annotations

from dataclasses import dataclass, replace

from voiceapps.rules.cidr import MAX_SOURCE_RANGES, parse_range
from voiceapps.rules.entries import entry_errors
from voiceapps.rules.regions import parse_region

MAX_REGIONS = 250
DIGEST_ALGORITHMS = ("MD5", "SHA-256")

ENABLED = "inboundSipCallsEnabled"
PASSWORD = "passwordAuthEnabled"  # noqa: S105  # a field's name
SOURCE_IPS = "allowedSourceIps"
REGIONS = "allowedRegions"
ALGORITHMS = "sipDigestAlgorithms"


class InvalidFields(Exception):
    """An error with one sentence for each bad field, by the field's wire name."""

    def __init__(self, errors: dict[str, str]) -> None:
        super().__init__("; ".join(f"{field}: {error}" for field, error in errors.items()))
        self.errors = errors


@dataclass(frozen=True, slots=True)
class InboundSip:
    """The settings of an application."""

    enabled: bool = False
    password_auth: bool = False
    source_ips: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    digest_algorithms: tuple[str, ...] = ("MD5",)


@dataclass(frozen=True, slots=True)
class InboundSipPatch:
    """The settings in a request; None means that a setting is not in it."""

    enabled: bool | None = None
    password_auth: bool | None = None
    source_ips: tuple[str, ...] | None = None
    regions: tuple[str, ...] | None = None
    digest_algorithms: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Transition:
    """The settings after a change, and what has to be created or deleted for it."""

    after: InboundSip
    new_alias: bool
    new_password: bool
    drop_credential: bool


def apply(current: InboundSip, patch: InboundSipPatch) -> Transition:
    """Return the transition for a patch; raises InvalidFields with an error for each bad field."""
    errors = _value_errors(patch)
    enabled = current.enabled if patch.enabled is None else patch.enabled
    if not enabled:
        errors = _set_while_disabled(patch) | errors
        _raise(errors)
        return Transition(InboundSip(), new_alias=False, new_password=False, drop_credential=True)
    after = replace(
        current,
        enabled=True,
        password_auth=current.password_auth if patch.password_auth is None else patch.password_auth,
        source_ips=current.source_ips if patch.source_ips is None else patch.source_ips,
        regions=current.regions if patch.regions is None else patch.regions,
        digest_algorithms=current.digest_algorithms if patch.digest_algorithms is None else patch.digest_algorithms,
    )
    if not after.password_auth and not after.source_ips:
        errors.setdefault(_blame(patch), f"Inbound SIP calls need {PASSWORD}: true, a non-empty {SOURCE_IPS} list, or both.")
    _raise(errors)
    return Transition(
        after,
        new_alias=not current.enabled,
        new_password=patch.password_auth is True,
        drop_credential=not after.password_auth,
    )


def _value_errors(patch: InboundSipPatch) -> dict[str, str]:
    checks = {
        SOURCE_IPS: entry_errors(patch.source_ips or (), MAX_SOURCE_RANGES, parse_range),
        REGIONS: entry_errors(patch.regions or (), MAX_REGIONS, parse_region),
        ALGORITHMS: _algorithm_errors(patch.digest_algorithms),
    }
    return {field: " ".join(errors) for field, errors in checks.items() if errors}


def _algorithm_errors(algorithms: tuple[str, ...] | None) -> list[str]:
    if algorithms in {None, ("MD5",), ("MD5", "SHA-256"), ("SHA-256",)}:
        return []
    return ['Must be ["MD5"], ["MD5", "SHA-256"] or ["SHA-256"].']


def _set_while_disabled(patch: InboundSipPatch) -> dict[str, str]:
    carried = {
        PASSWORD: patch.password_auth,
        SOURCE_IPS: patch.source_ips,
        REGIONS: patch.regions,
        ALGORITHMS: patch.digest_algorithms,
    }
    return {field: f"Cannot be set while {ENABLED} is false." for field, value in carried.items() if value}


def _blame(patch: InboundSipPatch) -> str:
    """Return the field of the request that left the application without any authentication."""
    if patch.enabled is not None:
        return ENABLED
    return PASSWORD if patch.password_auth is False else SOURCE_IPS


def _raise(errors: dict[str, str]) -> None:
    if errors:
        raise InvalidFields(errors)
