"""Webhook deliveries: what was sent for a call and what was answered. A delivery can be sent again."""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

from django.db.models import Count, F, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.shortcuts import get_object_or_404
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from voiceapps.api.base import AccountViewSet
from voiceapps.api.openapi import IDEMPOTENCY_KEY, enveloped, operation
from voiceapps.api.wire.envelope import ok
from voiceapps.api.wire.forms import NoInput, TextOrNull, Time, parameters, valid
from voiceapps.api.wire.guards import once
from voiceapps.api.wire.paging import Keyset, PageQuery, answer_page
from voiceapps.choices import CallbackMethod, DeliveryState
from voiceapps.models import WebhookAttempt, WebhookDelivery
from voiceapps.models.webhooks import MAX_SHOWN_ATTEMPTS
from voiceapps.services import webhooks

TAG = "Webhook deliveries"
NEWEST_FIRST = Keyset(("created_at", "delivery_id"), descending=True)

EXAMPLE: dict[str, object] = {
    "deliveryId": "3f0c3a0e-5f3b-4d0f-8c70-0c2f1a9b7e55",
    "callId": "c-2f9d1b6a-7c1e4d5f-0a3b-4c6d-9e8f-1a2b3c4d5e6f",
    "applicationId": "15f99d57-f823-4718-80cc-5d95d5b83e59",
    "eventType": "disconnect",
    "synchronous": False,
    "url": "https://backend.example.com/status",
    "method": "POST",
    "state": "pending",
    "createdTime": "2026-11-22T18:04:31.250Z",
    "nextAttemptTime": "2026-11-22T18:04:36.610Z",
    "attemptCount": 1,
}
ATTEMPT_EXAMPLE: dict[str, object] = {
    "time": "2026-11-22T18:04:31.610Z",
    "url": "https://backend.example.com/status",
    "status": 502,
    "latencyMs": 311,
    "error": None,
    "responseBody": "Bad Gateway",
}
_FILTERS = {
    "state": "state",
    "eventType": "event_type",
    "callId": "call_id",
    "applicationId": "call__application_id",
    "startTime": "created_at__gte",
    "endTime": "created_at__lt",
}


class DeliveryQuery(PageQuery):
    """The filters of the list."""

    state = serializers.ChoiceField(DeliveryState.choices, required=False)
    eventType = serializers.CharField(required=False, max_length=32)
    callId = serializers.CharField(required=False, max_length=47)
    applicationId = serializers.UUIDField(required=False)
    startTime = serializers.DateTimeField(required=False, help_text="Written then or later.")
    endTime = serializers.DateTimeField(required=False, help_text="Written before then.")


class WebhookDeliveryData(serializers.Serializer[Any]):
    """One event on its way to a customer's backend; credentials are never part of it."""

    deliveryId = serializers.UUIDField(source="delivery_id")
    callId = serializers.CharField(source="call_id")
    applicationId = serializers.UUIDField(source="application", allow_null=True, help_text="Null once the application is deleted.")
    eventType = serializers.CharField(source="event_type")
    synchronous = serializers.BooleanField(help_text="True where a call waited for the answer, whose BXML it ran.")
    url = serializers.CharField(help_text="Without user name, password and the values of its query.")
    method = serializers.ChoiceField(CallbackMethod.choices)
    state = serializers.ChoiceField(DeliveryState.choices)
    createdTime = Time(source="created_at")
    nextAttemptTime = Time(source="next_attempt_at", allow_null=True, help_text="Null unless pending.")
    attemptCount = serializers.IntegerField(source="attempt_count")


class WebhookAttemptData(serializers.Serializer[Any]):
    """One request and its answer."""

    time = Time(source="at")
    url = serializers.CharField()
    status = serializers.IntegerField(allow_null=True, help_text="Null where no HTTP answer came.")
    latencyMs = serializers.IntegerField(source="latency_ms")
    error = TextOrNull()
    responseBody = serializers.CharField(source="response_body", allow_blank=True)


class WebhookDeliveryDetailData(WebhookDeliveryData):
    """A delivery with all that went over the wire."""

    requestBody = serializers.DictField(source="body", help_text="The event, as it was or will be sent.")
    attempts = WebhookAttemptData(
        source="newest_attempts", many=True, help_text=f"The newest {MAX_SHOWN_ATTEMPTS}, in the order of their time."
    )


class WebhookDeliveryViewSet(AccountViewSet):
    """The deliveries of an account."""

    lookup_url_kwarg = "delivery_id"
    lookup_value_converter = "id"

    scopes: ClassVar[dict[str, str]] = {"GET": "calls:read", "POST": "calls:write"}

    def deliveries(self) -> QuerySet[WebhookDelivery]:
        """Return the account's deliveries with the annotations that answers show, without loading passwords."""
        attempts = WebhookAttempt.objects.filter(delivery=OuterRef("pk")).order_by().values("delivery")
        # A subquery runs for the rows of one page only; a join would first count the attempts of the whole account.
        counted = Subquery(attempts.annotate(number=Count("pk")).values("number"))
        rows = WebhookDelivery.without_secrets().filter(account_id=self.kwargs["account_id"])
        return rows.annotate(attempt_count=Coalesce(counted, 0), application=F("call__application_id"))

    @operation(
        "listWebhookDeliveries",
        tag=TAG,
        answers={200: enveloped("WebhookDeliveriesAnswer", WebhookDeliveryData(many=True))},
        example=[EXAMPLE],
        query=DeliveryQuery,
        errors=(400, 401, 403, 429),
    )
    def list(self, request: Request, account_id: str) -> Response:
        """List the account's webhook deliveries, the newest first."""
        query = parameters(request, DeliveryQuery)
        rows = self.deliveries().defer("body").filter(**{_FILTERS[name]: query[name] for name in _FILTERS if name in query})
        return answer_page(request, query, NEWEST_FIRST, rows, WebhookDeliveryData)

    @operation(
        "getWebhookDelivery",
        tag=TAG,
        answers={200: enveloped("WebhookDeliveryDetailAnswer", WebhookDeliveryDetailData())},
        example={**EXAMPLE, "requestBody": {"eventType": "disconnect", "cause": "hangup"}, "attempts": [ATTEMPT_EXAMPLE]},
        errors=(401, 403, 404, 429),
    )
    def retrieve(self, _request: Request, account_id: str, delivery_id: UUID) -> Response:
        """Show a delivery with its event and what each attempt brought."""
        return ok(WebhookDeliveryDetailData(get_object_or_404(self.deliveries(), pk=delivery_id)).data)

    @operation(
        "replayWebhookDelivery",
        tag=TAG,
        request=NoInput,
        answers={202: enveloped("WebhookReplayAnswer", WebhookDeliveryData())},
        example=EXAMPLE,
        headers=[IDEMPOTENCY_KEY],
        errors=(400, 401, 403, 404, 409, 429),
    )
    @action(detail=True, methods=["post"], name="Webhook Replay List")
    def replays(self, request: Request, account_id: str, delivery_id: UUID) -> Response:
        """Send a delivered or failed webhook once more: same event, same message id, retries of its own."""
        valid(NoInput(data=request.data))
        delivery = get_object_or_404(self.deliveries(), pk=delivery_id)

        def replay() -> Response:
            webhooks.replay(delivery.pk, actor=self.actor)
            return ok(WebhookDeliveryData(self.deliveries().get(pk=delivery.pk)).data, status=202)

        return once(self.client, request, replay)
