"""Read the environment; a bad value stops the start with the variable's name and the rule."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import sys
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import TypeVar

import dj_database_url
from cryptography.fernet import Fernet
from dj_database_url import DBConfig
from django.core.exceptions import ImproperlyConfigured

from daemonkit.address import Address

MAX_WEIGHT = 1_000
MAX_PROGRAM = 63
"""Octets of a name in that list."""
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_HOST = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*")

_DATABASES = ("sqlite", "postgres", "postgresql")

T = TypeVar("T")


def text(name: str, default: str = "") -> str:
    """Return a variable's text."""
    return os.environ.get(name, default).strip()


def boolean(name: str, default: bool) -> bool:
    """Return true or false; anything but true, false, 1, 0, yes, no stops the start."""
    value = text(name, str(default)).lower()
    if value in {"true", "1", "yes"}:
        return True
    if value in {"false", "0", "no"}:
        return False
    raise ImproperlyConfigured(f"{name}={value!r} is neither true nor false.")


def whole(name: str, default: int, *, least: int = 0, most: int = 1_000_000_000) -> int:
    """Return a whole number within bounds."""

    def parse(value: str) -> int:
        if not (value.isascii() and value.isdecimal() and least <= int(value) <= most):
            raise ValueError(f"write a whole number from {least} to {most}")
        return int(value)

    return _parsed(name, text(name, str(default)), parse)


def mark_base(name: str, default: str) -> int:
    """Return the first of 2^24 packet marks: a number whose last 24 bits are 0, and not 0 itself."""

    def parse(value: str) -> int:
        base = int(value, 0)
        if not 0 < base <= 0xFF00_0000 or base & 0x00FF_FFFF:
            raise ValueError("write a number from 0x01000000 to 0xff000000 that ends in six zeros")
        return base

    return _parsed(name, text(name, default), parse)


def choice(name: str, default: str, allowed: Sequence[str]) -> str:
    """Return one of the allowed words."""
    value = text(name, default)
    if value not in allowed:
        raise ImproperlyConfigured(f"{name}={value!r} is not one of {', '.join(allowed)}.")
    return value


def words(name: str, default: str = "") -> tuple[str, ...]:
    """Return a comma-separated list without blanks."""
    return tuple(word.strip() for word in text(name, default).split(",") if word.strip())


def address(name: str, default: str) -> Address:
    """Return `ip:port` as a pair."""
    return _parsed(name, text(name, default), _address)


def host(name: str, default: str) -> str:
    """Return one IPv4 address."""
    return _parsed(name, text(name, default), lambda value: str(IPv4Address(value)))


def addresses(name: str, default: str = "", *, prefix: str = "") -> tuple[Address, ...]:
    """Return a list of `ip:port`, each with an optional prefix such as `sip:` or `udp:`."""
    return tuple(_parsed(name, word, lambda value: _address(value.removeprefix(prefix))) for word in words(name, default))


def weighted_addresses(name: str, default: str = "", *, prefix: str = "") -> tuple[tuple[Address, int], ...]:
    """Return a list of `ip:port` or `ip:port=weight`, each with an optional prefix, as pairs; a weight is 1 to 1000, by default 1."""

    def parse(value: str) -> tuple[Address, int]:
        place, weighs, weight = value.removeprefix(prefix).partition("=")
        if weighs and not (weight.isascii() and weight.isdecimal() and 1 <= int(weight) <= MAX_WEIGHT):
            raise ValueError(f"write the weight as a whole number from 1 to {MAX_WEIGHT}")
        return _address(place), int(weight or 1)

    found = tuple(_parsed(name, word, parse) for word in words(name, default))
    if len(dict(found)) < len(found):
        raise ImproperlyConfigured(f"{name}={text(name, default)!r} names an address twice.")
    return found


def database(name: str, default: str) -> DBConfig:
    """Return a database's URL, `sqlite:///…` or `postgres://…`, as Django's configuration of it."""
    value = text(name, default)
    try:
        if value.partition(":")[0] not in _DATABASES:
            raise ValueError("write a URL that begins with sqlite: or postgres:")
        return dj_database_url.parse(value)
    except ValueError as error:
        # Its value is not shown: it holds a password.
        raise ImproperlyConfigured(f"{name} is not valid: {error}.") from None


def postgres_url(name: str, default: str) -> str:
    """Return the URL of a PostgreSQL as its own clients read it; "" if the variable is empty and the default is another database."""
    value = text(name)
    if not value:
        return default if default.startswith("postgres") else ""
    if not value.startswith(("postgres://", "postgresql://")):
        # Its value is not shown: it holds a password.
        raise ImproperlyConfigured(f"{name} is not valid: write a URL that begins with postgres:.")
    return value


def endpoint(name: str) -> tuple[str, int] | None:
    """Return `host:port` as a pair, the host an IPv4 address or a name; None if the variable is empty."""

    def parse(value: str) -> tuple[str, int]:
        host, _, port = value.rpartition(":")
        if not _HOST.fullmatch(host) or not port.isdecimal() or not 0 < int(port) <= 65_535:
            raise ValueError("write an IPv4 address or a name, and a port, such as homer.example.net:9060")
        return host, int(port)

    value = text(name)
    return _parsed(name, value, parse) if value else None


def interface(name: str, default: str) -> tuple[str, str]:
    """Return `address[!advertised]` as (local, advertised)."""

    def parse(value: str) -> tuple[str, str]:
        local, _, advertised = value.partition("!")
        return str(IPv4Address(local)), str(IPv4Address(advertised or local))

    return _parsed(name, text(name, default), parse)


def port_range(name: str, default: str) -> tuple[int, int]:
    """Return `low-high`, both between 1024 and 65535."""

    def parse(value: str) -> tuple[int, int]:
        low, high = (int(part) for part in value.split("-"))
        if not 1024 <= low < high <= 65_535:
            raise ValueError("ports must rise within 1024-65535")
        return low, high

    return _parsed(name, text(name, default), parse)


def networks(name: str) -> tuple[str, ...]:
    """Return a list of IPv4 ranges."""
    return tuple(_parsed(name, word, lambda value: str(IPv4Network(value))) for word in words(name))


def region_overrides(name: str) -> tuple[tuple[IPv4Network, str], ...]:
    """Return `10.0.0.0/8=US,…` as pairs of range and country."""

    def parse(value: str) -> tuple[IPv4Network, str]:
        network, _, country = value.partition("=")
        if len(country) != 2 or not country.isupper():
            raise ValueError("write range=CC with a country in capitals")
        return IPv4Network(network), country

    return tuple(_parsed(name, word, parse) for word in words(name))


def key(name: str, state: Path, *, generate: bool, make: Callable[[], str] = lambda: secrets.token_urlsafe(48)) -> str:
    """Return a secret from the environment, or, where that is allowed, one that is generated once and kept in `state`."""
    value = text(name)
    if value:
        return value
    if not generate:
        raise ImproperlyConfigured(f"{name} is required when SIPURI_ENV=production.")
    return _stored_key(state / "keys" / name.lower(), make)


def program() -> str:
    """Return what this process is called in the database's list of connections: `sipuri runsipproxy`, `sipuri gunicorn`."""
    first, *words = sys.argv or ["python"]
    path = Path(first)
    command = next((word for word in words if not word.startswith("-")), "") if path.name == "manage.py" else ""
    # `python -m celery` is called by the path of its package.
    return f"sipuri {command or (path.parent.name if path.stem == '__main__' else path.name)}"[:MAX_PROGRAM]


def fernet_key() -> str:
    """Make a key for the encrypted fields."""
    return Fernet.generate_key().decode()


def _stored_key(path: Path, make: Callable[[], str]) -> str:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not path.exists():
        # A complete file is linked into place: of several processes that start together, one wins and none reads half a key.
        draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
        draft.write_text(make(), encoding="ascii")
        draft.chmod(0o600)
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(draft)
        draft.unlink()
    return path.read_text(encoding="ascii")


def _address(value: str) -> Address:
    host, _, port = value.rpartition(":")
    if not port.isdecimal() or not 0 < int(port) <= 65_535:
        raise ValueError("write an IPv4 address and a port, such as 192.0.2.1:6160")
    return str(IPv4Address(host)), int(port)


def _parsed(name: str, value: str, parse: Callable[[str], T]) -> T:
    try:
        return parse(value)
    except ValueError as error:
        raise ImproperlyConfigured(f"{name}={value!r} is not valid: {error}.") from error
