"""Calls as Programmable Voice shows them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from django.conf import settings
from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.fields import SkipField
from rest_framework.request import Request
from rest_framework.response import Response

from voiceapps.api.callcontrol.base import CALLS_TAG, CallControlViewSet, SpanQuery, not_found
from voiceapps.api.callcontrol.orders import CHANGE_ERRORS, UPDATE_EXAMPLE, UpdateCallInput, order
from voiceapps.api.openapi import operation
from voiceapps.api.wire.errors import ProblemError, bad
from voiceapps.api.wire.forms import TextOrNull, Time, parameters, valid
from voiceapps.api.wire.paging import MAX_CURSOR, Keyset
from voiceapps.choices import CallState
from voiceapps.models import Call
from voiceapps.rules.call_orders import OrderKind
from voiceapps.rules.diagnosis.verdicts import VerdictCode
from voiceapps.rules.endings import EndReason

OLDEST_FIRST = Keyset(("started_at", "call_id"))
DEFAULT_PAGE, MAX_PAGE = 1000, 10_000

EXAMPLE: dict[str, object] = {
    "applicationId": "15f99d57-f823-4718-80cc-5d95d5b83e59",
    "accountId": "9900000",
    "callId": "c-2f9d1b6a-7c1e4d5f-0a3b-4c6d-9e8f-1a2b3c4d5e6f",
    "parentCallId": None,
    "to": "sip:479fbd44-3362-45f3-bb80-284f21111be4@sip-uri.example.com",
    "from": "sip:2001@pbx.example.net",
    "direction": "inbound",
    "state": "disconnected",
    "stirShaken": None,
    "identity": None,
    "enqueuedTime": None,
    "startTime": "2026-11-22T18:04:19.875Z",
    "answerTime": "2026-11-22T18:04:20.250Z",
    "endTime": "2026-11-22T18:04:31.250Z",
    "disconnectCause": "hangup",
    "errorMessage": None,
    "errorId": None,
    "lastUpdate": "2026-11-22T18:04:31.250Z",
}


class CallStateQuery(serializers.Serializer[Any]):
    """What of ours is shown beside the fields of Programmable Voice."""

    include = serializers.ChoiceField(["verdict"], required=False, help_text="Also show this field, which is ours.")


class CallQuery(CallStateQuery, SpanQuery):
    """The filters and pages of the list of calls."""

    maxStartTime = serializers.DateTimeField(required=False, help_text="Started then or earlier.")
    disconnectCause = serializers.CharField(required=False, max_length=64, help_text="Ended so; a cause that never occurs finds nothing.")
    pageSize = serializers.IntegerField(required=False, default=DEFAULT_PAGE, min_value=1, max_value=MAX_PAGE)
    pageToken = serializers.CharField(required=False, max_length=MAX_CURSOR, help_text="Taken from the `Link` header.")


class VerdictField(serializers.CharField):
    """The verdict on a call, where it was asked for."""

    def get_attribute(self, instance: Call) -> str | None:
        """Return the code, None where a call that has ended was not judged; raises SkipField unless the context includes it."""
        if not self.context.get("verdict"):
            raise SkipField
        verdict = getattr(instance, "verdict", None)
        if verdict is None and instance.state != CallState.DISCONNECTED:
            return VerdictCode.GOING_ON.value
        return None if verdict is None else str(verdict.code)


class CallStateData(serializers.Serializer[Any]):
    """What is known of a call; what does not exist here is null."""

    applicationId = serializers.UUIDField(source="application_id", allow_null=True, help_text="Null once the application is deleted.")
    accountId = serializers.CharField(source="account_id")
    callId = serializers.CharField(source="call_id")
    parentCallId = serializers.CharField(allow_null=True)
    to = serializers.CharField(source="to_uri")
    locals()["from"] = serializers.CharField(source="from_uri")  # a keyword
    direction = serializers.ChoiceField(["inbound"])
    state = serializers.CharField(help_text="`initiated`, `answered` or `disconnected`.")
    stirShaken = serializers.DictField(allow_null=True)
    identity = serializers.CharField(allow_null=True)
    enqueuedTime = serializers.DateTimeField(allow_null=True)
    startTime = Time(source="started_at")
    answerTime = Time(source="answered_at", allow_null=True)
    endTime = Time(source="ended_at", allow_null=True)
    disconnectCause = TextOrNull(source="cause")
    errorMessage = TextOrNull(source="error_message")
    errorId = TextOrNull(source="error_id")
    lastUpdate = Time(source="last_update")
    verdict = VerdictField(
        required=False,
        allow_null=True,
        help_text="What became of the call, such as `caller_unheard`, where `include=verdict` asks for it; null if nobody has judged it.",
    )


class CallViewSet(CallControlViewSet):
    """The calls of an account."""

    lookup_url_kwarg = "call_id"
    lookup_value_converter = "name"

    scopes: ClassVar[dict[str, str]] = {"GET": "calls:read", "POST": "calls:write"}

    @operation(
        "listCalls",
        tag=CALLS_TAG,
        answers={200: CallStateData(many=True)},
        example=EXAMPLE,
        query=CallQuery,
        errors=(400, 401, 403, 429),
        shape="call control",
    )
    def list(self, request: Request, account_id: str) -> Response:
        """List calls, the oldest first; where more are left, the header `Link` with `rel="next"` leads to them.

        Ended calls do not go after the seven days that Programmable Voice keeps them.
        """
        query = parameters(request, CallQuery)
        rows = _rows(query).filter(account_id=account_id, **_conditions(query))
        try:
            page = OLDEST_FIRST.page(rows, limit=query["pageSize"], cursor=query.get("pageToken"))
        except ProblemError:
            raise bad("parameter", "pageToken", "Not a token of this list.") from None
        headers = {"Link": _next_link(request, page.next_cursor)} if page.next_cursor else {}
        return Response(CallStateData(page.rows, many=True, context=_context(query)).data, headers=headers)

    @operation(
        "getCallState",
        tag=CALLS_TAG,
        answers={200: CallStateData()},
        example=EXAMPLE,
        query=CallStateQuery,
        errors=(400, 401, 403, 404, 429),
        shape="call control",
    )
    def retrieve(self, request: Request, account_id: str, call_id: str) -> Response:
        """Show where a call stands or how it ended."""
        query = parameters(request, CallStateQuery)
        call = _rows(query).filter(pk=call_id, account_id=account_id).first()
        if call is None:
            raise not_found("Call", call_id)
        return Response(CallStateData(call, context=_context(query)).data)

    @operation(
        "updateCall",
        tag=CALLS_TAG,
        request=UpdateCallInput,
        request_example=UPDATE_EXAMPLE,
        answers={200: None},
        errors=CHANGE_ERRORS,
        shape="call control",
    )
    def modify(self, request: Request, account_id: str, call_id: str) -> Response:
        """Have a call leave its document for the one at `redirectUrl`, or end it; the answer comes when its node has done so."""
        wanted = valid(UpdateCallInput(data=request.data))
        kind = OrderKind.COMPLETE if wanted["state"] == "completed" else OrderKind.REDIRECT
        order(account_id, call_id, kind, wanted if kind is OrderKind.REDIRECT else None)
        return Response()


def _rows(query: dict[str, Any]) -> QuerySet[Call]:
    return Call.objects.select_related("verdict") if "include" in query else Call.objects.all()


def _context(query: dict[str, Any]) -> dict[str, Any]:
    return {query["include"]: True} if "include" in query else {}


def _conditions(query: dict[str, Any]) -> dict[str, Any]:
    columns = {"to": "to_uri", "from": "from_uri", "minStartTime": "started_at__gte"}
    conditions = {column: query[name] for name, column in columns.items() if name in query}
    if "maxStartTime" in query:
        conditions["started_at__lte"] = _end_of_millisecond(query["maxStartTime"])
    if "disconnectCause" in query:
        conditions["end_reason__in"] = [reason.value for reason in EndReason if reason.cause == query["disconnectCause"]]
    return conditions


def _end_of_millisecond(when: datetime) -> datetime:
    """Return the last microsecond that is shown as `when`, so that a call is found by the start time that its answer shows."""
    return when.replace(microsecond=when.microsecond // 1000 * 1000 + 999)


def _next_link(request: Request, token: str) -> str:
    query = request.query_params.copy()
    query["pageToken"] = token
    return f'<{settings.PUBLIC_URL}{request.path}?{query.urlencode()}>; rel="next"'
