"""What browsers are told about our pages."""

from __future__ import annotations

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory
from pytest_django.fixtures import Settings

from sipuri_project.web.page_headers import POLICY, PageHeadersMiddleware

OWN = "default-src 'none'"


def answered(response: HttpResponse) -> HttpResponse:
    def view(_request: HttpRequest) -> HttpResponse:
        return response

    return PageHeadersMiddleware(view)(RequestFactory().get("/"))


def test_each_page_has_the_policy() -> None:
    assert answered(HttpResponse("<p>"))["Content-Security-Policy"] == POLICY
    assert POLICY == (
        "default-src 'self'; script-src 'self' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'; object-src 'none'"
    )


def test_a_views_own_policy_wins() -> None:
    assert answered(HttpResponse("<p>", headers={"Content-Security-Policy": OWN}))["Content-Security-Policy"] == OWN


def test_other_answers_have_none() -> None:
    assert "Content-Security-Policy" not in answered(HttpResponse("{}", content_type="application/json"))


@pytest.mark.parametrize(("url", "header"), [("https://a.example", "max-age=31536000"), ("http://a.example", None)])
def test_only_a_host_with_tls_says_so(settings: Settings, url: str, header: str | None) -> None:
    settings.PUBLIC_URL = url
    assert answered(HttpResponse("{}", content_type="application/json")).headers.get("Strict-Transport-Security") == header


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/console/login/", "/docs/redoc", "/docs/api"])
def test_they_are_on_the_real_pages(path: str) -> None:
    answer = Client().get(path)
    assert (answer["Content-Security-Policy"] == POLICY) == path.startswith("/console/")
    assert (answer["Referrer-Policy"], answer["X-Content-Type-Options"], answer["X-Frame-Options"]) == ("same-origin", "nosniff", "DENY")
