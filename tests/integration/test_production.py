"""Unsafe values against the real entry points: each stops each of them by name in production, and none where it may be a lab."""

from __future__ import annotations

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from tests.support.entries import BOOTSTRAP, ENTRIES, start

OTHERS = ("runmediarelay", "runcallflow", "runsipdns", "migrate", "tokenkey")
KEYS = {
    "SIPURI_SECRET_KEY": "0a-Zq8vR3xT0pLk7WmN2sYbD5cJ4hGf6aEu",
    "SIPURI_NONCE_KEY": "1b-Zq8vR3xT0pLk7WmN2sYbD5cJ4hGf6aEu",
    "SIPURI_ROUTE_KEY": "2c-Zq8vR3xT0pLk7WmN2sYbD5cJ4hGf6aEu",
    "SIPURI_WEBHOOK_KEY": "3d-Zq8vR3xT0pLk7WmN2sYbD5cJ4hGf6aEu",
    "SIPURI_FIELD_KEYS": Fernet.generate_key().decode(),
}
UNSAFE = (
    ("SIPURI_SECRET_KEY", "a" * 64),
    ("SIPURI_SECRET_KEY", "short"),
    ("SIPURI_NONCE_KEY", "changeme-Zq8vR3xT0pLk7WmN2sYbD5cJ4h"),
    ("SIPURI_ROUTE_KEY", KEYS["SIPURI_NONCE_KEY"]),
    ("SIPURI_WEBHOOK_KEY", "0123456789abcdef" * 3),
    ("SIPURI_FIELD_KEYS", "A" * 43 + "="),
    ("SIPURI_FIELD_KEYS", "no-fernet-key"),
    ("SIPURI_TOKEN_KEYS", '{"keys": []}'),
    ("SIPURI_METRICS_HOST", "0.0.0.0"),
    ("SIPURI_PUBLIC_URL", "http://sip.example.com"),
    ("SIPURI_ALLOWED_HOSTS", "*"),
    ("SIPURI_SIP_DOMAIN", "sip-uri.localhost"),
    ("SIPURI_NG_ALLOW", "0.0.0.0/0"),
    ("SIPURI_GUARD_TRUSTED", "0.0.0.0/0"),
    ("SIPURI_HTTP_PROXIES", "0.0.0.0/0"),
    ("SIPURI_REGION_OVERRIDES", "0.0.0.0/0=US"),
    ("SIPURI_WEBHOOK_ALLOW_PRIVATE", "true"),
    ("SIPURI_MEDIA_ALLOW_PRIVATE", "true"),
    ("SIPURI_NG_BIND", "0.0.0.0:22222"),
    ("SIPURI_NG_BIND", "8.8.4.4:22222"),
    ("SIPURI_SIP_INTERNAL_BIND", "0.0.0.0:6162"),
    ("SIPURI_CALLFLOW_BIND", "8.8.4.4:6161"),
    ("SIPURI_REDIS_URL", "redis://redis.example.com:6379/0"),
)
ROUNDS = 4
NOWHERE = {
    ("SIPURI_METRICS_HOST", "0.0.0.0"),
    ("SIPURI_SECRET_KEY", "short"),
    ("SIPURI_FIELD_KEYS", "no-fernet-key"),
    ("SIPURI_TOKEN_KEYS", '{"keys": []}'),
}
"""What cannot work in a lab, either."""


@pytest.fixture(scope="module")
def production(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a sound production."""
    state = tmp_path_factory.mktemp("production")
    sound = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("SIPURI_", "DJANGO_"))},
        **KEYS,
        "SIPURI_VAR_DIR": str(state),
        "SIPURI_PUBLIC_URL": "https://sip.example.com",
        "SIPURI_SIP_DOMAIN": "sip.example.com",
    }
    made = start(("manage.py", "tokenkey"), sound)
    return {**sound, "SIPURI_ENV": "production", "SIPURI_TOKEN_KEYS": made.stdout.strip()}


def unnamed(entry: str, environment: dict[str, str], unsafe: tuple[tuple[str, str], ...]) -> list[object]:
    """Return those of these values that an entry point starts with, or does not name."""
    ran = start(ENTRIES[entry], {**environment, **dict(unsafe)})
    return [(entry, name, ran.returncode, ran.stderr[-300:]) for name, _ in unsafe if ran.returncode == 0 or f"{name} " not in told(ran)]


def told(ran: subprocess.CompletedProcess[str]) -> str:
    """Return what an entry point says of its configuration: the last lines of an error."""
    return ran.stderr.replace(":", " ").replace(")", " ")


@pytest.mark.parametrize("entry", ENTRIES)
def test_each_entry_names_each_unsafe_value(production: dict[str, str], entry: str) -> None:
    """All faults are told at once, so a start can have several; those of one variable go into different starts."""
    assert [unnamed(entry, production, UNSAFE[number::ROUNDS]) for number in range(ROUNDS)] == [[]] * ROUNDS
    assert unnamed(entry, production, (("SIPURI_WEBHOOK_KEY", ""),)) == []


def test_each_unsafe_value_alone_stops_a_start(production: dict[str, str]) -> None:
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(lambda unsafe: unnamed("bootstrap", production, (unsafe,)), UNSAFE)) == [[]] * len(UNSAFE)


@pytest.mark.parametrize("entry", OTHERS)
def test_no_other_command_starts_either(production: dict[str, str], entry: str) -> None:
    ran = start(("manage.py", entry), {**production, "SIPURI_ALLOWED_HOSTS": "*"})
    assert (ran.returncode, ran.stderr.splitlines()[-1][:61]) == (1, "Configuration error: SIPURI_ALLOWED_HOSTS contains *, so that")


def test_a_sound_production_passes(production: dict[str, str]) -> None:
    check = ("manage.py", "check", "--deploy", "--fail-level", "ERROR")
    for command in (("manage.py", "migrate", "--verbosity", "0"), BOOTSTRAP, check):
        ran = start(command, production)
        assert ran.returncode == 0, ran.stderr


def test_a_lab_may_do_what_it_could_do(production: dict[str, str], tmp_path: Path) -> None:
    lab = {**production, "SIPURI_ENV": "development", "SIPURI_VAR_DIR": str(tmp_path)}
    left = [pair for pair in UNSAFE if pair not in NOWHERE]
    while left:
        # All at once, but for the other values of the same variables.
        together = dict(left)
        left = [(name, value) for name, value in left if together[name] != value]
        ran = start(("manage.py", "check"), lab | together)
        assert ran.returncode == 0, (together, ran.stderr)
