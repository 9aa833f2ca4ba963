"""Tests of an application's `initiate` webhook, which is sent as a call would send it, without a call.

The request is the same as that of a call: body, credentials, signature, guard and time-out, and the rule for the fallback
is the engine's. Nothing of it is stored; the audit trail says that it was ordered.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock

from django.conf import settings
from django.utils.module_loading import import_string

from voiceapps.models import VoiceApplication
from voiceapps.rules import webhook_bodies
from voiceapps.rules.document_check import CheckDocument, DocumentCheck
from voiceapps.rules.http.outbound import OutboundAnswer, OutboundRequest
from voiceapps.rules.masking import masked_text, masked_url
from voiceapps.services import audit, webhooks
from voiceapps.services.audit import Actor
from voiceapps.services.trials.made_up_call import made_up_call

# A test occupies a thread of the web role until a slow backend has answered twice. This leaves threads for other requests, and an
# account whose backend hangs takes one.
MAX_RUNNING = 4
MAX_SHOWN_BODY = 4096

_lock = Lock()
_testing: set[str] = set()
"""The accounts of the tests that are running."""


class TooManyRunningError(Exception):
    """Too many tests are running."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request of a test. `error` says why a call could not use the answer; else `check` is the result of checking its document."""

    url: str
    method: str
    status: int | None
    latency_ms: int
    error: str | None
    check: DocumentCheck | None
    body: str


def run(application: VoiceApplication, *, actor: Actor) -> tuple[Attempt, ...]:
    """Send a made-up `initiate`, also to the fallback if a call would do so; raises TooManyRunningError."""
    with _seat(application.account_id):
        body = _sample(application)
        request = _request(application, body, fallback=False)
        audit.record(actor, "application.test_callback", str(application.pk), {}, account=application.account_id)
        first = _try(request)
        if first.error is None or not application.initiated_fallback_url:
            return (first,)
        return (first, _try(_request(application, body, fallback=True)))


@contextmanager
def _seat(account_id: str) -> Iterator[None]:
    with _lock:
        if account_id in _testing:
            raise TooManyRunningError("A webhook test of this account is running.")
        if len(_testing) >= MAX_RUNNING:
            raise TooManyRunningError(f"{MAX_RUNNING} webhook tests are running.")
        _testing.add(account_id)
    try:
        yield
    finally:
        with _lock:
            _testing.discard(account_id)


def _request(application: VoiceApplication, body: webhook_bodies.Payload, *, fallback: bool) -> OutboundRequest:
    return OutboundRequest(
        url=application.initiated_fallback_url if fallback else application.initiated_url,
        method=application.initiated_fallback_method if fallback else application.initiated_method,
        body=body,
        username=application.fallback_username if fallback else application.callback_username,
        password=application.fallback_password if fallback else application.callback_password,
        timeout_seconds=application.callback_timeout,
        account_id=application.account_id,
    )


def _sample(application: VoiceApplication) -> webhook_bodies.Payload:
    facts = made_up_call(application, f"sip:webhook-test@{settings.SIP_DOMAIN}")
    return webhook_bodies.initiate(webhook_bodies.CallView(facts, settings.PUBLIC_URL, at=facts.started_at, answered_at=None, tag=""))


def _try(request: OutboundRequest) -> Attempt:
    answer = send(request)
    problem = answer.problem()
    return Attempt(
        url=masked_url(request.url),
        method=request.method,
        status=answer.status,
        latency_ms=answer.latency_ms,
        error=problem,
        check=check_document(answer.body, answer.charset) if problem is None else None,
        body=masked_text(answer.text())[:MAX_SHOWN_BODY],
    )


def send(request: OutboundRequest) -> OutboundAnswer:
    """Return the answer to one request. It blocks: call it in a thread without an event loop, never inside a transaction."""
    return asyncio.run(_send(request))


async def _send(request: OutboundRequest) -> OutboundAnswer:
    client = webhooks.new_client()
    try:
        return await client.send(request)
    finally:
        await client.close()


def check_document(document: bytes, charset: str = "") -> DocumentCheck:
    """Return the result of the check that the settings name, which is the call flow's; never raises."""
    check: CheckDocument = import_string(settings.DOCUMENT_CHECK)
    return check(document, charset)
