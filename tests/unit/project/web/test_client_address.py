"""Who asks, behind proxies of ours and of nobody's."""

from __future__ import annotations

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory
from pytest_django import Settings

from sipuri_project.web.client_address import MAX_HOPS, ClientAddressMiddleware


def seen(peer: str, forwarded: str | None) -> str:
    addresses: list[str] = []

    def view(request: HttpRequest) -> HttpResponse:
        addresses.append(request.META["REMOTE_ADDR"])
        return HttpResponse()

    headers = {"X-Forwarded-For": forwarded} if forwarded is not None else {}
    ClientAddressMiddleware(view)(RequestFactory().get("/", headers=headers, REMOTE_ADDR=peer))
    return addresses[0]


@pytest.mark.parametrize(
    ("peer", "forwarded", "caller"),
    [
        ("10.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "198.51.100.1, 203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "203.0.113.9, 10.0.0.2", "203.0.113.9"),
        ("10.0.0.1", "2001:db8::1", "2001:db8::1"),
        ("10.0.0.1", None, "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "nonsense", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.9, nonsense", "10.0.0.1"),
        ("10.0.0.1", "10.0.0.2, 10.0.0.3", "10.0.0.2"),
        ("203.0.113.7", "198.51.100.1", "203.0.113.7"),
        ("", "198.51.100.1", ""),
    ],
)
def test_the_last_address_that_is_no_proxy_asks(settings: Settings, peer: str, forwarded: str | None, caller: str) -> None:
    settings.HTTP_PROXIES = ("10.0.0.0/8",)
    assert seen(peer, forwarded) == caller


def test_without_proxies_nobody_is_believed(settings: Settings) -> None:
    settings.HTTP_PROXIES = ()
    assert seen("10.0.0.1", "203.0.113.9") == "10.0.0.1"


def test_a_long_header_is_read_from_its_end(settings: Settings) -> None:
    settings.HTTP_PROXIES = ("10.0.0.0/8",)
    assert seen("10.0.0.1", ", ".join(["198.51.100.1", *["10.0.0.9"] * MAX_HOPS])) == "10.0.0.9"
