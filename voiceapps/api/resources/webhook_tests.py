"""Webhook tests: what an application's backend answers to a new call."""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

from rest_framework import serializers
from rest_framework.exceptions import Throttled
from rest_framework.request import Request
from rest_framework.response import Response

from voiceapps.api.access.throttles import Counter
from voiceapps.api.openapi import enveloped, operation
from voiceapps.api.resources.voice_applications import TAG, ApplicationResourceViewSet
from voiceapps.api.wire.envelope import ok
from voiceapps.api.wire.forms import NoInput, valid
from voiceapps.choices import CallbackMethod
from voiceapps.models import VoiceApplication
from voiceapps.services.trials import webhook_tests
from voiceapps.services.trials.webhook_tests import TooManyRunningError

# The requests go wherever the customer says: too few to do harm there.
TESTS = Counter("webhook-tests", 60)
MAX_A_MINUTE = 10
BUSY_SECONDS = 5

EXAMPLE: dict[str, object] = {
    "attempts": [
        {
            "url": "https://backend.example.com/initiate",
            "method": "POST",
            "status": 200,
            "latencyMs": 83,
            "error": None,
            "bxml": {
                "valid": False,
                "verbs": [{"name": "SpeakSentence", "line": 2}],
                "errors": [{"line": 3, "description": "<Pause> has no attribute 'lenght'."}],
            },
            "body": '<Response>\n<SpeakSentence>Hello.</SpeakSentence>\n<Pause lenght="2"/>\n</Response>\n',
        }
    ]
}


class BxmlFaultData(serializers.Serializer[Any]):
    """One rule that a document breaks."""

    line = serializers.IntegerField(allow_null=True)
    description = serializers.CharField()


class TestedVerbData(serializers.Serializer[Any]):
    """One verb of an answer."""

    name = serializers.CharField()
    line = serializers.IntegerField()


class TestedBxmlData(serializers.Serializer[Any]):
    """What a call would make of an answer."""

    valid = serializers.BooleanField()
    verbs = TestedVerbData(many=True)
    errors = BxmlFaultData(source="faults", many=True)  # type: ignore[assignment]  # the wire's name; DRF means something else by it


class WebhookTestAttemptData(serializers.Serializer[Any]):
    """One request of a test; the second one is the fallback's."""

    url = serializers.CharField()
    method = serializers.ChoiceField(CallbackMethod.choices)
    status = serializers.IntegerField(allow_null=True, help_text="Null where no HTTP answer came.")
    latencyMs = serializers.IntegerField(source="latency_ms")
    error = serializers.CharField(allow_null=True, help_text="Why a call would fail or go to the fallback, in one sentence.")
    bxml = TestedBxmlData(source="check", allow_null=True, help_text="Null where there is an error.")
    body = serializers.CharField(allow_blank=True, help_text="The first 4 KB of the answer as text.")


class WebhookTestData(serializers.Serializer[Any]):
    """What came of a test."""

    attempts = WebhookTestAttemptData(many=True)


class WebhookTestViewSet(ApplicationResourceViewSet):
    """The tests of an application; none is kept."""

    scopes: ClassVar[dict[str, str]] = {"POST": "voice-applications:write"}

    @operation(
        "testWebhook",
        tag=TAG,
        request=NoInput,
        request_example={},
        answers={200: enveloped("WebhookTestAnswer", WebhookTestData())},
        example=EXAMPLE,
    )
    def create(self, request: Request, account_id: str, application_id: UUID) -> Response:
        """Send a made-up `initiate` to the application's backend and show what a call would make of the answer."""
        valid(NoInput(data=request.data))
        application = self.application()
        _count(application)
        try:
            attempts = webhook_tests.run(application, actor=self.actor)
        except TooManyRunningError:
            raise Throttled(BUSY_SECONDS) from None
        return ok(WebhookTestData({"attempts": attempts}).data)


def _count(application: VoiceApplication) -> None:
    """Count a test of the application; raises Throttled."""
    if TESTS.add(str(application.pk)) > MAX_A_MINUTE:
        raise Throttled(TESTS.remaining())
