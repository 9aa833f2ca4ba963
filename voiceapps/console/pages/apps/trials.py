"""An application tried from its page: its callback is asked as a call would ask it."""

from __future__ import annotations

from uuid import UUID

from cryptography.fernet import InvalidToken
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_POST

from voiceapps.console.base import operator
from voiceapps.console.pages.apps.views import UNREADABLE, find, opened
from voiceapps.console.pages.shell import page
from voiceapps.console.roles import Capability
from voiceapps.services.trials import webhook_tests
from voiceapps.services.trials.webhook_tests import Attempt, TooManyRunningError


@require_POST
@page(Capability.SEE_APPLICATIONS, Capability.TRY_OUT)
def test(request: HttpRequest, application_id: UUID) -> HttpResponse:
    """Send a made-up call to the callback URL, and show what it answers."""
    found = find(request, application_id)
    attempts: tuple[Attempt, ...] = ()
    try:
        attempts = webhook_tests.run(found.row, actor=operator(request))
    except TooManyRunningError as error:
        messages.error(request, str(error))
    except InvalidToken:
        messages.error(request, UNREADABLE)
    return opened(request, found, tab="trials", attempts=attempts)
