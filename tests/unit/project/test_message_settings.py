"""What of calls' messages the settings let out of the proxy."""

from __future__ import annotations

import pytest
from pytest_django import Settings

from sipproxy.config import HepConfig
from sipuri_project.config import sip_proxy_config


@pytest.mark.parametrize(("days", "stores"), [(0, False), (1, True), (365, True)])
def test_no_days_no_messages(settings: Settings, days: int, stores: bool) -> None:
    settings.MESSAGE_STORE_DAYS = days
    assert sip_proxy_config().stores_messages is stores


def test_a_collector_is_asked_for(settings: Settings) -> None:
    assert (sip_proxy_config().hep, sip_proxy_config().exports_messages) == (None, False)
    settings.HEP_COLLECTOR, settings.HEP_ID, settings.HEP_KEY = ("homer", 9060), 7, "kéy"
    assert sip_proxy_config().hep == HepConfig("homer", 9060, 7, "kéy".encode())
    assert sip_proxy_config().exports_messages
    assert "kéy" not in repr(sip_proxy_config())


def test_the_sweep_is_planned(settings: Settings) -> None:
    assert "voiceapps.tasks.sweep_messages" in {entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values()}
