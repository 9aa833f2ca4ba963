"""Simulated calls: what a caller would meet, without a call."""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import Throttled
from rest_framework.request import Request
from rest_framework.response import Response

from voiceapps.api.access.throttles import Counter
from voiceapps.api.openapi import IDEMPOTENCY_KEY, enveloped, operation
from voiceapps.api.resources.voice_applications import TAG, ApplicationResourceViewSet
from voiceapps.api.wire.envelope import ok
from voiceapps.api.wire.forms import Seconds, StrictInput, StrictText, Time, parameters, valid
from voiceapps.api.wire.guards import once
from voiceapps.api.wire.paging import Keyset, PageQuery, answer_page
from voiceapps.choices import TrialState
from voiceapps.models import CallSimulation
from voiceapps.rules.trials.call_simulation import (
    MAX_CALLER,
    MAX_DIGITS,
    MAX_HANG_UP_SECONDS,
    MAX_TURN_SECONDS,
    MAX_TURNS,
    MAX_WORDS,
    LineKind,
    Script,
)
from voiceapps.services.trials import simulations
from voiceapps.services.trials.trial_table import TooManyOpenError

# The requests go wherever the customer says: too few to do harm there.
ORDERS = Counter("call-simulations", 60)
MAX_A_MINUTE = 30
BUSY_SECONDS = 5
NEWEST_FIRST = Keyset(("created_at", "simulation_id"), descending=True)
KINDS = [(kind.value, kind.value) for kind in LineKind]

SCRIPT_EXAMPLE: dict[str, object] = {
    "from": "sip:alice@pbx.example.com",
    "turns": [{"digits": "1"}, {"words": "Please call me back.", "digits": "#"}],
    "hangUpAt": 90,
}
EXAMPLE: dict[str, object] = {
    "simulationId": "6b1f3f3e-35a4-4a0f-9b55-1c0f6c1f3a11",
    "state": "ended",
    "problem": None,
    "createdTime": "2026-11-22T18:04:31.250Z",
    "startedTime": "2026-11-22T18:04:31.310Z",
    "endedTime": "2026-11-22T18:04:31.730Z",
}
LINES_EXAMPLE: list[dict[str, object]] = [
    {"at": 0.0, "what": "says", "text": "Press one for sales. (female, en_US)"},
    {"at": 2.1, "what": "callerPresses", "text": "1"},
    {"at": 2.1, "what": "webhook", "text": "gather to https://backend.example.com/choice"},
]


class TurnInput(StrictInput):
    """What the caller does when it is its turn: it speaks, then presses digits; neither is silence."""

    words = StrictText(required=False, allow_blank=True, max_length=MAX_WORDS, help_text="What it says.")
    seconds = Seconds(
        required=False, min_value=0, max_value=MAX_TURN_SECONDS, help_text="How long it speaks; 0.4 a word unless said otherwise."
    )
    digits = serializers.RegexField(rf"^[0-9A-Da-d*#]{{0,{MAX_DIGITS}}}\Z", required=False, allow_blank=True, max_length=MAX_DIGITS)


class CallScriptInput(StrictInput):
    """What the caller does. It is its turn when a `<Gather>` has said all, and when a `<Record>` begins."""

    locals()["from"] = StrictText(required=False, allow_blank=True, max_length=MAX_CALLER, help_text="The caller's SIP URI.")  # a keyword
    turns = TurnInput(many=True, required=False, max_length=MAX_TURNS)  # type: ignore[call-arg]  # the list takes it, which the stubs do not know
    hangUpAt = Seconds(
        required=False, allow_null=True, min_value=0, max_value=MAX_HANG_UP_SECONDS, help_text="The second of the call; null: never."
    )


class CallSimulationData(serializers.Serializer[Any]):
    """A simulated call; `problem` says why it failed, and is null if it did not, or has not ended yet."""

    simulationId = serializers.UUIDField(source="simulation_id")
    state = serializers.ChoiceField(TrialState.choices)
    problem = serializers.CharField(allow_null=True)
    createdTime = Time(source="created_at")
    startedTime = Time(source="began_at", allow_null=True)
    endedTime = Time(source="ended_at", allow_null=True)


class LineData(serializers.Serializer[Any]):
    """What was at a moment of the call, in seconds from its arrival on."""

    at = serializers.FloatField()
    what = serializers.ChoiceField(KINDS)
    text = serializers.CharField(allow_blank=True)


class TurnData(serializers.Serializer[Any]):
    """What the caller does when it is its turn."""

    words = serializers.CharField(allow_blank=True)
    seconds = serializers.FloatField()
    digits = serializers.CharField(allow_blank=True)


class CallScriptData(serializers.Serializer[Any]):
    """What the caller does."""

    locals()["from"] = serializers.CharField(source="caller")  # a keyword
    turns = TurnData(many=True)
    hangUpAt = serializers.FloatField(source="hangs_up_at", allow_null=True)


class CallSimulationDetailData(CallSimulationData):
    """A simulated call with what happened in it, once it has ended."""

    script = serializers.SerializerMethodField()
    transcript = serializers.SerializerMethodField()

    @extend_schema_field(CallScriptData)
    def get_script(self, row: CallSimulation) -> Any:
        """Return what the caller does."""
        return CallScriptData(simulations.script_of(row)).data

    @extend_schema_field(LineData(many=True))
    def get_transcript(self, row: CallSimulation) -> Any:
        """Return the lines."""
        return LineData(simulations.transcript_of(row), many=True).data


class CallSimulationViewSet(ApplicationResourceViewSet):
    """The simulated calls of an application."""

    lookup_url_kwarg = "simulation_id"
    lookup_value_converter = "id"

    scopes: ClassVar[dict[str, str]] = {"GET": "voice-applications:read", "POST": "voice-applications:write"}

    def simulations(self) -> QuerySet[CallSimulation]:
        """Return the simulated calls of the application in the path; raises Http404 if the account has no such application."""
        return CallSimulation.objects.filter(application=self.application())

    @operation(
        "simulateCall",
        tag=TAG,
        request=CallScriptInput,
        request_example=SCRIPT_EXAMPLE,
        answers={202: enveloped("CallSimulationAnswer", CallSimulationData())},
        example={**EXAMPLE, "state": "waiting", "startedTime": None, "endedTime": None},
        headers=[IDEMPOTENCY_KEY],
        errors=(400, 401, 403, 404, 409, 413, 415, 429),
    )
    def create(self, request: Request, account_id: str, application_id: UUID) -> Response:
        """Run the application's documents for a call that nobody places, with its real webhooks, marked `webhook-simulated: true`."""
        script = Script.parse(valid(CallScriptInput(data=request.data)))
        application = self.application()

        def order() -> Response:
            _count(account_id)
            try:
                row = simulations.order(application, script, actor=self.actor)
            except TooManyOpenError:
                raise Throttled(BUSY_SECONDS) from None
            return ok(CallSimulationData(row).data, status=202)

        return once(self.client, request, order)

    @operation(
        "listCallSimulations",
        tag=TAG,
        answers={200: enveloped("CallSimulationsAnswer", CallSimulationData(many=True))},
        example=[EXAMPLE],
        query=PageQuery,
    )
    def list(self, request: Request, account_id: str, application_id: UUID) -> Response:
        """List the application's simulated calls of the last day, the newest first."""
        query = parameters(request, PageQuery)
        rows = self.simulations().defer(*CallSimulation.SECRETS)
        return answer_page(request, query, NEWEST_FIRST, rows, CallSimulationData)

    @operation(
        "getCallSimulation",
        tag=TAG,
        answers={200: enveloped("CallSimulationDetailAnswer", CallSimulationDetailData())},
        example={**EXAMPLE, "script": SCRIPT_EXAMPLE, "transcript": LINES_EXAMPLE},
        errors=(401, 403, 404, 429),
    )
    def retrieve(self, _request: Request, account_id: str, application_id: UUID, simulation_id: UUID) -> Response:
        """Show a simulated call with what a caller would have met; poll it until `state` is `ended`."""
        return ok(CallSimulationDetailData(get_object_or_404(self.simulations(), pk=simulation_id)).data)


def _count(account_id: str) -> None:
    """Count an order of the account; raises Throttled."""
    if ORDERS.add(account_id) > MAX_A_MINUTE:
        raise Throttled(ORDERS.remaining())
