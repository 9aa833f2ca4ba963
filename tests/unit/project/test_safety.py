"""What may be set in a lab and what not in production, setting by setting."""

from __future__ import annotations

from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from sipuri_project.start.safety import refuse_unsafe

KEYS = [f"{name}-Zq8vR3xT0pLk7WmN2sYbD5cJ4hGf6aEu" for name in "ABCD"]
FERNET_KEY = Fernet.generate_key().decode()
NAMES = (
    "SECRET_KEY SIPURI_NONCE_KEY ROUTE_KEYS SIPURI_WEBHOOK_KEY SIPURI_FIELD_KEYS SIPURI_TOKEN_KEYS MEDIA_EXTERNAL MEDIA_INTERNAL"
    " RTP_PORTS RTP_INTERNAL_PORTS SIP_INTERNAL_BIND CALLFLOW_BIND NG_BIND NG_ALLOW REDIS_URL METRICS_HOST METRICS_TOKEN"
).split()


def values(**changes: Any) -> dict[str, Any]:
    """Return the settings of a sound production, with changes."""
    return {
        **{name: getattr(settings, name) for name in NAMES},
        "PRODUCTION": True,
        "SECRET_KEY": KEYS[0],
        "SIPURI_NONCE_KEY": KEYS[1].encode(),
        "ROUTE_KEYS": (KEYS[2].encode(),),
        "SIPURI_WEBHOOK_KEY": KEYS[3].encode(),
        "SIPURI_FIELD_KEYS": (FERNET_KEY,),
        "WEBHOOK_ALLOW_PRIVATE": False,
        "MEDIA_ALLOW_PRIVATE": False,
        "PUBLIC_URL": "https://sip.example.com",
        "ALLOWED_HOSTS": ["sip.example.com"],
        "SIP_DOMAIN": "sip.example.com",
        "SIP_REALM": "sip.example.com",
        "HTTP_PROXIES": ("10.0.0.0/8",),
        "GUARD_TRUSTED": ("198.51.100.0/24",),
        "REGION_OVERRIDES": ((IPv4Network("10.0.0.0/8"), "US"),),
        "SIP_TLS_KEY": "",
        "SIP_TLS_CERT": "",
        **changes,
    }


def faults(**changes: Any) -> list[str]:
    try:
        refuse_unsafe(values(**changes))
    except ImproperlyConfigured as error:
        return str(error).splitlines()
    return []


UNSAFE = {
    "weak": ({"SECRET_KEY": "a" * 64}, "SIPURI_SECRET_KEY can be guessed"),
    "repeating": ({"SIPURI_NONCE_KEY": b"0123456789ab" * 4}, "SIPURI_NONCE_KEY can be guessed"),
    "placeholder": ({"SIPURI_WEBHOOK_KEY": b"ChangeMe-Zq8vR3xT0pLk7WmN2sYbD5cJ4h"}, "SIPURI_WEBHOOK_KEY can be guessed"),
    "one weak of two": ({"ROUTE_KEYS": (KEYS[2].encode(), b"a" * 64)}, "SIPURI_ROUTE_KEY can be guessed"),
    "one equal of two": ({"ROUTE_KEYS": (KEYS[2].encode(), KEYS[1].encode())}, "SIPURI_ROUTE_KEY equals SIPURI_NONCE_KEY."),
    "a route key twice": ({"ROUTE_KEYS": (KEYS[2].encode(), KEYS[2].encode())}, "SIPURI_ROUTE_KEY names one key twice."),
    "equal": ({"SIPURI_WEBHOOK_KEY": KEYS[1].encode()}, "SIPURI_WEBHOOK_KEY equals SIPURI_NONCE_KEY."),
    "a key for fields and for more": ({"SECRET_KEY": FERNET_KEY}, "SIPURI_FIELD_KEYS equals SIPURI_SECRET_KEY."),
    "equal token": ({"METRICS_TOKEN": KEYS[0]}, "SIPURI_SECRET_KEY equals SIPURI_METRICS_TOKEN."),
    "twice": ({"SIPURI_FIELD_KEYS": (FERNET_KEY, FERNET_KEY)}, "SIPURI_FIELD_KEYS names one key twice."),
    "weak fernet": ({"SIPURI_FIELD_KEYS": ("A" * 43 + "=",)}, "SIPURI_FIELD_KEYS can be guessed"),
    "webhooks inside": ({"WEBHOOK_ALLOW_PRIVATE": True}, "SIPURI_WEBHOOK_ALLOW_PRIVATE lets"),
    "media inside": ({"MEDIA_ALLOW_PRIVATE": True}, "SIPURI_MEDIA_ALLOW_PRIVATE lets"),
    "http": ({"PUBLIC_URL": "http://sip.example.com"}, "SIPURI_PUBLIC_URL does not begin with https://"),
    "any host": ({"ALLOWED_HOSTS": ["sip.example.com", "*"]}, "SIPURI_ALLOWED_HOSTS contains *"),
    "localhost": ({"SIP_DOMAIN": "sip-uri.localhost"}, "SIPURI_SIP_DOMAIN is a name under localhost"),
    "realm": ({"SIP_REALM": "LOCALHOST."}, "SIPURI_SIP_REALM is a name under localhost"),
    "everybody a proxy": ({"HTTP_PROXIES": ("10.0.0.0/8", "0.0.0.0/0")}, "SIPURI_HTTP_PROXIES trusts 0.0.0.0/0"),
    "half of everybody": ({"GUARD_TRUSTED": ("128.0.0.0/1",)}, "SIPURI_GUARD_TRUSTED trusts 128.0.0.0/1"),
    "all regions": ({"REGION_OVERRIDES": ((IPv4Network("0.0.0.0/0"), "US"),)}, "SIPURI_REGION_OVERRIDES trusts 0.0.0.0/0"),
    "all proxies": ({"NG_ALLOW": ("0.0.0.0/0",)}, "SIPURI_NG_ALLOW trusts 0.0.0.0/0"),
    "inside of the proxy": ({"SIP_INTERNAL_BIND": ("0.0.0.0", 6162)}, "SIPURI_SIP_INTERNAL_BIND is 0.0.0.0"),
    "call flow outside": ({"CALLFLOW_BIND": ("8.8.4.4", 6161)}, "SIPURI_CALLFLOW_BIND is 8.8.4.4"),
    "every ng": ({"NG_BIND": ("0.0.0.0", 22222)}, "SIPURI_NG_BIND is 0.0.0.0"),
    "public ng": ({"NG_BIND": ("8.8.4.4", 22222)}, "SIPURI_NG_BIND is 8.8.4.4"),
    "open Redis": ({"REDIS_URL": "redis://redis.example.com:6379/0"}, "SIPURI_REDIS_URL names another machine and no password"),
}


def test_a_sound_production_starts() -> None:
    assert faults() == []
    assert faults(NG_BIND=("0.0.0.0", 22222), NG_ALLOW=("10.0.0.0/24",)) == []
    assert faults(NG_BIND=("10.0.0.5", 22222), REDIS_URL="rediss://:hunter2@10.0.0.9/0", SIP_DOMAIN="notlocalhost.com") == []


@pytest.mark.parametrize(("changes", "sentence"), UNSAFE.values(), ids=UNSAFE)
def test_what_is_unsafe_stops_production_alone(changes: dict[str, Any], sentence: str) -> None:
    (found,) = faults(**changes)
    assert found.startswith(sentence)
    assert faults(**changes, PRODUCTION=False) == []


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"SIPURI_NONCE_KEY": b"short"}, "SIPURI_NONCE_KEY is shorter than 32 characters."),
        ({"ROUTE_KEYS": (KEYS[2].encode(), b"")}, "SIPURI_ROUTE_KEY has a key that is shorter than 32 characters."),
        ({"METRICS_HOST": "0.0.0.0"}, "SIPURI_METRICS_TOKEN is required where metrics pages listen on 0.0.0.0 (SIPURI_METRICS_HOST)."),
        ({"METRICS_TOKEN": "short"}, "SIPURI_METRICS_TOKEN is shorter than 32 characters."),
        ({"SIPURI_FIELD_KEYS": (FERNET_KEY, "x")}, "SIPURI_FIELD_KEYS has a key that is not 32 bytes"),
        ({"SIPURI_FIELD_KEYS": (FERNET_KEY, "")}, "SIPURI_FIELD_KEYS has an empty key"),
        ({"SIPURI_FIELD_KEYS": ("", "")}, "SIPURI_FIELD_KEYS is empty"),
        ({"SIPURI_TOKEN_KEYS": '{"keys": []}'}, "SIPURI_TOKEN_KEYS: a JWK Set without keys."),
        ({"RTP_PORTS": (30000, 40010)}, "SIPURI_RTP_PORTS and SIPURI_RTP_INTERNAL_PORTS overlap on one address."),
    ],
)
def test_what_cannot_work_stops_a_lab_as_well(changes: dict[str, Any], sentence: str) -> None:
    (found,) = faults(**changes, PRODUCTION=False)
    assert found.startswith(sentence)


def test_all_faults_are_told_at_once() -> None:
    assert len(faults(PUBLIC_URL="http://x", ALLOWED_HOSTS=["*"], WEBHOOK_ALLOW_PRIVATE=True)) == 3


def test_no_sentence_shows_a_key() -> None:
    told = "".join(faults(SECRET_KEY="a" * 64, SIPURI_NONCE_KEY=b"s3cr", SIPURI_WEBHOOK_KEY=KEYS[2].encode()))
    assert not any(key in told for key in ("a" * 64, "s3cr", KEYS[2]))


def test_a_private_key_that_all_may_read_stops_production(tmp_path: Path) -> None:
    key = tmp_path / "tls.key"
    key.touch(mode=0o640)
    assert faults(SIP_TLS_KEY=str(key), SIP_TLS_CERT="chain.pem") == []
    key.chmod(0o644)
    assert faults(SIP_TLS_KEY=str(key))[0].startswith("SIPURI_SIP_TLS_KEY: every user")
    assert faults(SIP_TLS_CERT=str(key))[0].startswith("SIPURI_SIP_TLS_CERT: every user")
