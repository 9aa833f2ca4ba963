"""Find the client's address behind a reverse proxy: audit, lock-out and throttles count by source address."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Network, ip_address

from django.conf import settings
from django.http import HttpRequest, HttpResponse

MAX_HOPS = 20


class ClientAddressMiddleware:
    """Put the client's address into REMOTE_ADDR if the peer is one of `SIPURI_HTTP_PROXIES`.

    Each proxy appends its peer to X-Forwarded-For, so the client is the last address that is not one of our proxies; the client
    may have written anything before it.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response
        self._proxies = tuple(IPv4Network(text) for text in settings.HTTP_PROXIES)

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer a request under its client's address."""
        if self._proxies:
            request.META["REMOTE_ADDR"] = self._caller(request.META.get("REMOTE_ADDR", ""), request.headers.get("X-Forwarded-For", ""))
        return self._get_response(request)

    def _caller(self, peer: str, forwarded: str) -> str:
        hops = [hop.strip() for hop in forwarded.split(",")[-MAX_HOPS:]] if forwarded else []
        while hops and self._is_proxy(peer) and _is_address(hops[-1]):
            peer = hops.pop()
        return peer

    def _is_proxy(self, address: str) -> bool:
        return _is_address(address) and any(ip_address(address) in network for network in self._proxies)


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
