"""What is found of this machine: clock, limits, disk, country data, certificate."""

from __future__ import annotations

import resource
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from pytest_django.fixtures import Settings

from sipuri_project.doctor import certificates, clock, countries, disk, limits
from voiceapps.rules.diagnosis.verdicts import Level

GOOD, DOUBTFUL, BAD = Level.GOOD, Level.DOUBTFUL, Level.BAD
NOW = datetime(2026, 11, 30, tzinfo=UTC)


@pytest.mark.parametrize(("state", "level"), [(0, GOOD), (1, GOOD), (clock.TIME_ERROR, DOUBTFUL), (-1, DOUBTFUL)])
def test_a_clock_that_nothing_keeps_right(state: int, level: Level) -> None:
    assert clock.judge_discipline(state).level is level


@pytest.mark.parametrize(("seconds", "level"), [(0.3, GOOD), (-1.9, GOOD), (2.0, DOUBTFUL), (-29.0, DOUBTFUL), (30.0, BAD), (-4000.0, BAD)])
def test_clocks_that_differ(seconds: float, level: Level) -> None:
    found = clock.judge_difference(seconds)
    assert found.level is level
    assert f"{abs(seconds):.1f} s" in found.sentence


@pytest.mark.parametrize(("most", "level"), [(1_024, BAD), (4_096, DOUBTFUL), (16_384, GOOD), (resource.RLIM_INFINITY, GOOD)])
def test_too_few_descriptors(most: int, level: Level) -> None:
    assert limits.judge_descriptors(most).level is level


def test_few_descriptors_are_told_as_calls() -> None:
    assert "at most 240 calls" in limits.judge_descriptors(1_024).sentence


@pytest.mark.parametrize(("octets", "level"), [(212_992, DOUBTFUL), (4_194_304, GOOD)])
def test_small_buffers(octets: int, level: Level) -> None:
    assert limits.judge_buffers(octets).level is level


@pytest.mark.parametrize(
    ("missing", "plane", "production", "level"),
    [
        ("", "kernel", True, GOOD),
        ("the capability CAP_NET_ADMIN", "kernel", False, BAD),
        ("the capability CAP_NET_ADMIN", "auto", True, DOUBTFUL),
        ("the capability CAP_NET_ADMIN", "auto", False, GOOD),
    ],
)
def test_packet_rules_that_this_process_may_not_write(missing: str, plane: str, production: bool, level: Level) -> None:
    assert limits.judge_rules(missing, plane, production=production).level is level


GIB = 1 << 30


@pytest.mark.parametrize(
    ("free", "size", "level"),
    [
        (50 * GIB, 100 * GIB, GOOD),
        (5 * GIB, 100 * GIB, GOOD),  # a small share of much is much
        (GIB, 5 * GIB, GOOD),  # and little of little is a large share
        (GIB, 100 * GIB, DOUBTFUL),
        (GIB // 5, 100 * GIB, BAD),
        (0, 100 * GIB, BAD),
    ],
)
def test_a_disk_that_is_nearly_full(free: int, size: int, level: Level) -> None:
    assert disk.judge("/var", free, size).level is level


def test_a_file_system_is_told_once(settings: Settings, tmp_path: Path) -> None:
    settings.VAR_DIR = settings.RECORDINGS_DIR = tmp_path
    settings.JOURNAL_DIR = tmp_path / "not" / "there" / "yet"
    assert len([finding for finding in disk.examine() if "GiB" in finding.sentence]) == 1


@pytest.mark.parametrize(("days", "level"), [(0, GOOD), (90, GOOD), (91, DOUBTFUL)])
def test_old_country_data(days: int, level: Level) -> None:
    found = countries.judge("The data were made", NOW - timedelta(days=days), NOW, "Fetch new ones.")
    assert found.level is level
    assert f"{days} days ago" in found.sentence


def test_country_data_that_cannot_be_read(settings: Settings, tmp_path: Path) -> None:
    settings.GEOIP_DB = str(tmp_path / "none.mmdb")
    assert [finding.level for finding in countries.examine()] == [BAD]
    (tmp_path / "none.mmdb").write_bytes(b"no database")
    assert [finding.level for finding in countries.examine()] == [BAD]
    settings.GEOIP_DB = ""
    assert [finding.level for finding in countries.examine()] == [GOOD]


def chain(days: int, name: str = "sip.example") -> tuple[bytes, bytes]:
    """Return a certificate that ends in so many days, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW - timedelta(days=400))
        .not_valid_after(NOW + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(Encoding.PEM), key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@pytest.mark.parametrize(
    ("days", "name", "levels", "says"),
    [
        (200, "sip.example", [GOOD], "200 days"),
        (200, "*.example", [GOOD], "200 days"),
        (200, "other.example", [DOUBTFUL, GOOD], "does not name sip.example"),
        (20, "sip.example", [DOUBTFUL], "in 20 days"),
        (-1, "sip.example", [BAD], "has ended on 2026-11-29"),
    ],
)
def test_a_certificate(days: int, name: str, levels: list[Level], says: str) -> None:
    found = list(certificates.judge(*chain(days, name), "sip.example", NOW))
    assert [finding.level for finding in found] == levels
    assert says in found[0].sentence


def test_a_key_of_another_certificate() -> None:
    (mine, _), (_, other) = chain(200), chain(200)
    assert next(certificates.judge(mine, other, "sip.example", NOW)).level is BAD


def test_files_that_are_no_certificate(settings: Settings, tmp_path: Path) -> None:
    settings.SIP_TLS_CERT, settings.SIP_TLS_KEY = str(tmp_path / "chain.pem"), ""
    assert [finding.level for finding in certificates.examine()] == [BAD]
    (tmp_path / "chain.pem").write_text("no certificate")
    assert [finding.level for finding in certificates.examine()] == [BAD]
    settings.SIP_TLS_CERT = ""
    assert [finding.level for finding in certificates.examine()] == [GOOD]
