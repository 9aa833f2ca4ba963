"""The rules for where webhooks go and how long their answers are waited for."""

from __future__ import annotations

import math

import pytest

from voiceapps.rules.http.callback import MAX_TIMEOUT, MIN_TIMEOUT, check_timeout, check_url


@pytest.mark.parametrize("url", ["https://a.example/x?y=1", "HTTP://a.example", "http://u:p@a.example:8080/", "http://[2001:db8::1]/"])
def test_an_absolute_http_url_passes(url: str) -> None:
    check_url(url)


@pytest.mark.parametrize(
    "url",
    [
        *("", "not a url", "/relative", "//a.example/", "https://", "https:///x", "http://a.example:0/", "http://a.example:70000/"),
        *("javascript:alert(1)", "ftp://a.example/", "data:text/xml,<Response/>", "http://a.example/x y", "http://a.example/\r\nX: 1"),
        *("http://[broken/", "https://a.example/\x00", "sip:x@a.example"),
    ],
)
def test_anything_else_breaks_the_rule(url: str) -> None:
    with pytest.raises(ValueError, match=r"Must be an absolute URL; only http and https are allowed\."):
        check_url(url)


@pytest.mark.parametrize("seconds", [MIN_TIMEOUT, 2.5, MAX_TIMEOUT])
def test_a_time_within_the_bounds_passes(seconds: float) -> None:
    check_timeout(seconds)


@pytest.mark.parametrize("seconds", [-5, 0, MIN_TIMEOUT - 0.01, MAX_TIMEOUT + 0.01, math.nan, math.inf])
def test_any_other_time_is_told_the_bounds(seconds: float) -> None:
    with pytest.raises(ValueError, match=r"Must be within 1-25 seconds\."):
        check_timeout(seconds)
