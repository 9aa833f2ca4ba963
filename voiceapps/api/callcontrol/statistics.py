"""How many calls of an account wait, in the shape of Programmable Voice."""

from __future__ import annotations

from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from voiceapps.api.callcontrol.base import CALLS_TAG, CallControlViewSet
from voiceapps.api.openapi import operation
from voiceapps.api.wire.forms import MAX_INTEGER
from voiceapps.choices import CallState
from voiceapps.models import Call, OpenCall


@extend_schema_serializer(many=False)
class StatisticsData(serializers.Serializer[Any]):
    """Calls that wait to be answered, and how many there may be."""

    currentCallQueueSize = serializers.IntegerField()
    maxCallQueueSize = serializers.IntegerField(help_text="The account's limit of concurrent calls; 2147483647 if it has none.")


class StatisticsViewSet(CallControlViewSet):
    """The figures of an account."""

    scopes: ClassVar[dict[str, str]] = {"GET": "calls:read"}

    @operation(
        "getStatistics",
        tag=CALLS_TAG,
        answers={200: StatisticsData()},
        example={"currentCallQueueSize": 0, "maxCallQueueSize": 100},
        errors=(401, 403, 429),
        shape="call control",
    )
    def list(self, _request: Request, account_id: str) -> Response:
        """Show how many calls of the account wait to be answered, and how many there may be."""
        open_calls = OpenCall.objects.filter(account_id=account_id).values_list("call_id", flat=True)
        waiting = Call.objects.filter(pk__in=open_calls, state=CallState.INITIATED).count()
        limit = self.account.max_calls
        return Response({"currentCallQueueSize": waiting, "maxCallQueueSize": MAX_INTEGER if limit is None else limit})
