from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from daemonkit.address import Address
from sipuri_project import environment as e


def relays(name: str) -> tuple[tuple[Address, int], ...]:
    return e.weighted_addresses(name, prefix="udp:")


@pytest.mark.parametrize(
    ("read", "value"),
    [
        (lambda n: e.boolean(n, False), "maybe"),
        (lambda n: e.whole(n, 1), "-1"),
        (lambda n: e.whole(n, 1), "1.5"),
        (lambda n: e.choice(n, "a", ("a", "b")), "c"),
        (lambda n: e.address(n, "127.0.0.1:1"), "localhost:5060"),
        (lambda n: e.address(n, "127.0.0.1:1"), "127.0.0.1:70000"),
        (lambda n: e.address(n, "127.0.0.1:1"), "127.0.0.1"),
        (lambda n: e.addresses(n, prefix="sip:"), "sip:1.2.3.4"),
        (relays, "udp:127.0.0.1:22222=0"),
        (relays, "udp:127.0.0.1:22222=1001"),
        (relays, "udp:127.0.0.1:22222="),
        (relays, "udp:127.0.0.1:22222=-1"),
        (relays, "udp:127.0.0.1:22222=1.5"),
        (relays, "udp:127.0.0.1:22222=\u0663"),
        (relays, "udp:relay.example:22222=2"),
        (relays, "udp:127.0.0.1=2"),
        (relays, "udp:127.0.0.1:22222=2,udp:127.0.0.1:22222=3"),
        (e.endpoint, "homer.example.net"),
        (e.endpoint, "homer.example.net:0"),
        (e.endpoint, "homer_one:9060"),
        (e.endpoint, "::1:9060"),
        (e.endpoint, "-homer:9060"),
        (e.endpoint, "h" * 64 + ":9060"),
        (lambda n: e.whole(n, 7, most=365), "366"),
        (lambda n: e.interface(n, "127.0.0.1"), "eth0"),
        (lambda n: e.port_range(n, "1-2"), "40000-30000"),
        (lambda n: e.port_range(n, "1-2"), "80-90"),
        (e.networks, "10.0.0.1/8"),
        (e.region_overrides, "10.0.0.0/8=usa"),
    ],
)
def test_a_bad_value_stops_the_start_by_name(monkeypatch: pytest.MonkeyPatch, read: Callable[[str], object], value: str) -> None:
    monkeypatch.setenv("SIPURI_SOMETHING", value)
    with pytest.raises(ImproperlyConfigured, match=f"SIPURI_SOMETHING='{value}'"):
        read("SIPURI_SOMETHING")


def test_good_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A", "10.0.0.1!203.0.113.9")
    assert e.interface("A", "") == ("10.0.0.1", "203.0.113.9")
    monkeypatch.setenv("A", "sip:10.0.0.1:6161, sip:10.0.0.2:6161")
    assert e.addresses("A", prefix="sip:") == (("10.0.0.1", 6161), ("10.0.0.2", 6161))


def test_addresses_may_have_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A", "udp:10.0.0.1:22222=1000, 10.0.0.1:22223, udp:10.0.0.2:22222=1")
    assert relays("A") == ((("10.0.0.1", 22222), 1000), (("10.0.0.1", 22223), 1), (("10.0.0.2", 22222), 1))


def test_an_endpoint_may_have_a_name_or_be_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A", "homer-1.example.net:9060")
    monkeypatch.setenv("B", "192.0.2.1:65535")
    assert (e.endpoint("A"), e.endpoint("B"), e.endpoint("SIPURI_NOT_SET")) == (("homer-1.example.net", 9060), ("192.0.2.1", 65535), None)


def test_processes_that_start_together_share_one_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(16) as pool:
        keys = set(pool.map(lambda _: e.key("SIPURI_TEST_KEY_X", tmp_path, generate=True), range(64)))
    assert len(keys) == 1
    assert (tmp_path / "keys" / "sipuri_test_key_x").stat().st_mode & 0o777 == 0o600
    assert len(list((tmp_path / "keys").iterdir())) == 1


def test_production_generates_no_key(tmp_path: Path) -> None:
    with pytest.raises(ImproperlyConfigured, match="SIPURI_TEST_KEY_X is required"):
        e.key("SIPURI_TEST_KEY_X", tmp_path, generate=False)


def test_a_database_is_named_by_its_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIPURI_X", "postgres://me:p%40ss@db.example.net:5433/calls")
    found = e.database("SIPURI_X", "")
    assert (found["ENGINE"], found["NAME"], found["USER"]) == ("django.db.backends.postgresql", "calls", "me")
    assert (found["PASSWORD"], found["HOST"], found["PORT"]) == ("p@ss", "db.example.net", 5433)
    monkeypatch.delenv("SIPURI_X")
    assert e.database("SIPURI_X", "sqlite:////var/x.sqlite3")["NAME"] == "/var/x.sqlite3"


@pytest.mark.parametrize("value", ["mysql://host/name", "calls", "postgres://me:secret@host:port/name"])
def test_a_database_that_is_none_of_ours_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("SIPURI_X", value)
    with pytest.raises(ImproperlyConfigured, match="SIPURI_X") as refused:
        e.database("SIPURI_X", "")
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (["manage.py", "runsipproxy", "--metrics-port", "1"], "sipuri runsipproxy"),
        (["/srv/manage.py", "--version"], "sipuri manage.py"),
        (["/venv/bin/gunicorn", "-c", "x"], "sipuri gunicorn"),
        (["/venv/lib/celery/__main__.py", "worker"], "sipuri celery"),
        (["/srv/" + "x" * 100], "sipuri " + "x" * 56),
        ([], "sipuri python"),
    ],
)
def test_a_process_is_named_in_the_databases_list_of_connections(arguments: list[str], name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", arguments)
    assert e.program() == name
