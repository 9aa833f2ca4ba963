"""Refuse values that parse but are dangerous: some everywhere, most in production only.

The settings call this at their end, so no entry point gets past it: gunicorn, Celery, `manage.py` and each daemon read them first.
Every fault is one sentence that begins with the variable's name, and all of them are told at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network, ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cryptography.fernet import Fernet
from django.core.exceptions import ImproperlyConfigured

from mediarelay.config import ranges_overlap
from voiceapps.api.access import token_keys
from voiceapps.rules.bans import WIDEST_TRUST

MIN_KEY_CHARACTERS = 32
ROUTE_KEYS = "SIPURI_ROUTE_KEY"
MIN_DIFFERENT_CHARACTERS = 10
PLACEHOLDERS = ("changeme", "change-me", "change_me", "default", "example", "insecure", "password", "replace", "secret")

Values = Mapping[str, Any]


def refuse_unsafe(values: Values) -> None:
    """Check settings by their names; raises ImproperlyConfigured with a line for each fault."""
    faults = list(_faults_everywhere(values))
    if values["PRODUCTION"]:
        faults += _faults_in_production(values)
    if faults:
        raise ImproperlyConfigured("\n".join(faults))


def _faults_everywhere(values: Values) -> Iterator[str]:
    for name, key in _secrets(values):
        if len(key) < MIN_KEY_CHARACTERS:
            yield f"{name} {'has a key that is' if name == ROUTE_KEYS else 'is'} shorter than {MIN_KEY_CHARACTERS} characters."
    yield from _bad_field_keys(values["SIPURI_FIELD_KEYS"])
    try:
        token_keys.parse(values["SIPURI_TOKEN_KEYS"])
    except ValueError as error:
        yield f"SIPURI_TOKEN_KEYS: {error}."
    if not values["METRICS_TOKEN"] and not _is_loopback(values["METRICS_HOST"]):
        yield f"SIPURI_METRICS_TOKEN is required where metrics pages listen on {values['METRICS_HOST']} (SIPURI_METRICS_HOST)."
    same_address = values["MEDIA_EXTERNAL"][0] == values["MEDIA_INTERNAL"][0]
    if same_address and ranges_overlap(values["RTP_PORTS"], values["RTP_INTERNAL_PORTS"]):
        yield "SIPURI_RTP_PORTS and SIPURI_RTP_INTERNAL_PORTS overlap on one address."


def _bad_field_keys(keys: Sequence[str]) -> Iterator[str]:
    if not any(keys):
        yield "SIPURI_FIELD_KEYS is empty: it holds commas and no key."
    elif not all(keys):
        yield "SIPURI_FIELD_KEYS has an empty key: write one comma between two keys, and none at its ends."
    elif not all(map(_is_fernet_key, keys)):
        yield "SIPURI_FIELD_KEYS has a key that is not 32 bytes in URL-safe base64."


def _faults_in_production(values: Values) -> Iterator[str]:
    yield from _weak_keys(values)
    yield from _lab_settings(values)
    yield from _names(values)
    yield from _wide_trust(values)
    yield from _open_insides(values)
    yield from _readable_files(values)


def _secrets(values: Values) -> list[tuple[str, str]]:
    """Return the keys that may be any text, by variable; all but the token of the metrics pages have to be there."""
    token = [("SIPURI_METRICS_TOKEN", values["METRICS_TOKEN"])] if values["METRICS_TOKEN"] else []
    return [
        *token,
        ("SIPURI_SECRET_KEY", values["SECRET_KEY"]),
        ("SIPURI_NONCE_KEY", values["SIPURI_NONCE_KEY"].decode()),
        *((ROUTE_KEYS, key.decode()) for key in values["ROUTE_KEYS"]),
        ("SIPURI_WEBHOOK_KEY", values["SIPURI_WEBHOOK_KEY"].decode()),
    ]


def _weak_keys(values: Values) -> Iterator[str]:
    held: dict[str, str] = {}
    for name, key in (*_secrets(values), *(("SIPURI_FIELD_KEYS", key) for key in values["SIPURI_FIELD_KEYS"])):
        if _is_weak(key):
            yield f"{name} can be guessed: generate it, with `openssl rand -base64 48` or the like."
        if key in held:
            yield f"{name} equals {held[key]}." if name != held[key] else f"{name} names one key twice."
        held.setdefault(key, name)


def _is_weak(key: str) -> bool:
    """Return whether a key has few characters, repeats itself or contains a word that stands for a key to come."""
    folded = key.casefold()
    repeats = key in (key + key)[1:-1]
    return repeats or len(set(key)) < MIN_DIFFERENT_CHARACTERS or any(word in folded for word in PLACEHOLDERS)


def _is_fernet_key(key: str) -> bool:
    try:
        Fernet(key)
    except ValueError:
        return False
    return True


def _lab_settings(values: Values) -> Iterator[str]:
    if values["WEBHOOK_ALLOW_PRIVATE"]:
        yield "SIPURI_WEBHOOK_ALLOW_PRIVATE lets webhooks reach your own network."
    if values["MEDIA_ALLOW_PRIVATE"]:
        yield "SIPURI_MEDIA_ALLOW_PRIVATE lets callers point media at your own network."


def _names(values: Values) -> Iterator[str]:
    if not values["PUBLIC_URL"].startswith("https://"):
        yield "SIPURI_PUBLIC_URL does not begin with https://: tokens and passwords would travel in the clear."
    if "*" in values["ALLOWED_HOSTS"]:
        yield "SIPURI_ALLOWED_HOSTS contains *, so that a request may name any host: name those of SIPURI_PUBLIC_URL."
    if _is_localhost(values["SIP_DOMAIN"]):
        yield "SIPURI_SIP_DOMAIN is a name under localhost, which nobody else can call: set a domain of yours."
    elif _is_localhost(values["SIP_REALM"]):
        yield "SIPURI_SIP_REALM is a name under localhost: set a domain of yours, or leave it to SIPURI_SIP_DOMAIN."


def _is_localhost(name: str) -> bool:
    return name.lower().rstrip(".").rpartition(".")[2] == "localhost"


def _wide_trust(values: Values) -> Iterator[str]:
    ranges: dict[str, Sequence[str]] = {
        "SIPURI_HTTP_PROXIES": values["HTTP_PROXIES"],
        "SIPURI_GUARD_TRUSTED": values["GUARD_TRUSTED"],
        "SIPURI_NG_ALLOW": values["NG_ALLOW"],
        "SIPURI_REGION_OVERRIDES": [str(network) for network, _ in values["REGION_OVERRIDES"]],
    }
    for name, networks in ranges.items():
        for network in networks:
            if IPv4Network(network).prefixlen < WIDEST_TRUST:
                yield f"{name} trusts {network}, which is wider than a /{WIDEST_TRUST}: name your own ranges."


def _open_insides(values: Values) -> Iterator[str]:
    for name, bind in (("SIPURI_SIP_INTERNAL_BIND", "SIP_INTERNAL_BIND"), ("SIPURI_CALLFLOW_BIND", "CALLFLOW_BIND")):
        host = values[bind][0]
        if _is_exposed(host):
            yield f"{name} is {host}, where strangers can reach the inside: bind a private address."
    yield from open_commands(values["NG_BIND"][0], values["NG_ALLOW"])
    url = urlsplit(values["REDIS_URL"])
    if url.hostname and not url.password and not _is_loopback(url.hostname):
        yield "SIPURI_REDIS_URL names another machine and no password: whoever reaches that Redis could queue tasks."


def open_commands(host: str, allowed: Sequence[str]) -> Iterator[str]:
    """Return the fault of an ng address that strangers can reach while nobody is named who may command the relay."""
    if _is_exposed(host) and not allowed:
        yield f"SIPURI_NG_BIND is {host}, where strangers can reach it: bind a private address, or name the proxies in SIPURI_NG_ALLOW."


def _is_exposed(host: str) -> bool:
    """Return whether an address to bind is every address of the machine, or one of the public internet."""
    address = IPv4Address(host)
    return address.is_unspecified or address.is_global


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return _is_localhost(host)


def _readable_files(values: Values) -> Iterator[str]:
    key = values["SIP_TLS_KEY"] or values["SIP_TLS_CERT"]
    if key and Path(key).is_file() and Path(key).stat().st_mode & 0o004:
        name = "SIPURI_SIP_TLS_KEY" if values["SIP_TLS_KEY"] else "SIPURI_SIP_TLS_CERT"
        yield f"{name}: every user of this machine can read the private key in {key}: take that right away."
