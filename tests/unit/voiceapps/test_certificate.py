"""The end of the certificate, as its file says it, and the age of the country data."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.support.kamailio import make_certificate
from voiceapps.daemon.certificate import certificate_end
from voiceapps.daemon.geo import country_data_time


def test_its_end_is_read(tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path)
    end = certificate_end(str(certificate.certificate))
    assert end is not None
    assert end > datetime.now(UTC)


def test_what_is_no_certificate_has_no_end(tmp_path: Path) -> None:
    path = tmp_path / "x.pem"
    assert certificate_end(str(path)) is None
    path.write_text("nothing")
    assert certificate_end(str(path)) is None


def test_the_built_in_country_data_have_the_age_of_their_package() -> None:
    made = country_data_time("")
    assert made is not None
    assert datetime(2024, 1, 1, tzinfo=UTC) < made < datetime.now(UTC) + timedelta(days=1)


@pytest.mark.parametrize("content", [None, b"no database"])
def test_a_database_that_cannot_be_read_has_no_age(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "x.mmdb"
    if content is not None:
        path.write_bytes(content)
    assert country_data_time(str(path)) is None
