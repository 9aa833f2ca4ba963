"""Changes of calls that go on: another document, the end, a pause of what is being recorded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from voiceapps.api.callcontrol.base import CALLS_TAG, MAX_TAG, CallControlViewSet, callback_method, credential, not_found
from voiceapps.api.openapi import operation
from voiceapps.api.wire.errors import Problem, ProblemError
from voiceapps.api.wire.forms import CallbackUrl, StrictInput, StrictText, valid
from voiceapps.choices import CallState
from voiceapps.rules.call_orders import OrderKind
from voiceapps.services import call_orders
from voiceapps.services.call_orders import CallOverError, NodeSilentError, NotRecordingError

CHANGE_ERRORS = (400, 401, 403, 404, 409, 415, 429)

UPDATE_EXAMPLE: dict[str, object] = {
    "state": "active",
    "redirectUrl": "https://backend.example.com/agent-is-ready",
    "redirectMethod": "POST",
    "tag": "queue-7",
}


class UpdateCallInput(StrictInput):
    """Take where the call goes on, or its end; methods may be there in either case, as the vendor's SDK always sends them."""

    state = serializers.ChoiceField(["active", "completed"], default="active")
    redirectUrl = CallbackUrl(required=False, help_text="Required unless the call is to be completed.")
    redirectMethod = callback_method()
    redirectFallbackUrl = CallbackUrl(required=False)
    redirectFallbackMethod = callback_method()
    username = credential()
    password = credential(write_only=True)
    fallbackUsername = credential()
    fallbackPassword = credential(write_only=True)
    tag = StrictText(max_length=MAX_TAG, required=False, allow_blank=True, trim_whitespace=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Return the values; raises ValidationError where a field is missing or does not go with the state."""
        if attrs["state"] == "completed":
            given = [name for name in attrs if name != "state" and not name.endswith("Method")]
            if given:
                raise serializers.ValidationError({name: ["Not allowed when state is completed."] for name in given})
        elif not attrs.get("redirectUrl"):
            raise serializers.ValidationError({"redirectUrl": ["Required when state is active."]})
        return attrs


class RecordingStateInput(StrictInput):
    """Take what becomes of the recording that runs."""

    state = serializers.ChoiceField(["paused", "recording"])


class NodeAwayError(ProblemError):
    """The node that holds the call does not answer."""

    wait = 1  # DRF makes Retry-After of it

    def __init__(self, call_id: str) -> None:
        super().__init__(Problem(503, f"The node that holds call {call_id} does not answer. Try again."))


class CallRecordingStateViewSet(CallControlViewSet):
    """What is being recorded of a call."""

    scopes: ClassVar[dict[str, str]] = {"PUT": "calls:write"}

    @operation(
        "updateCallRecordingState",
        tag=CALLS_TAG,
        request=RecordingStateInput,
        request_example={"state": "paused"},
        answers={200: None},
        errors=CHANGE_ERRORS,
        shape="call control",
    )
    def replace(self, request: Request, account_id: str, call_id: str) -> Response:
        """Pause or resume what is being recorded of a call; what is said meanwhile is in no file."""
        order(account_id, call_id, OrderKind.RECORDING, valid(RecordingStateInput(data=request.data)))
        return Response()


def order(account_id: str, call_id: str, kind: OrderKind, details: Mapping[str, object] | None = None) -> None:
    """Have the node of an account's call do something, and return when it has; raises ProblemError 404, 409, 503."""
    call = call_orders.find(account_id, call_id)
    if call is None:
        raise not_found("Call", call_id)
    if call.state == CallState.DISCONNECTED:
        raise _over(call_id)
    try:
        call_orders.give(call_id, kind, details)
    except CallOverError:
        raise _over(call_id) from None
    except NotRecordingError:
        raise ProblemError(Problem(404, f"Call {call_id} has no recording in progress")) from None
    except NodeSilentError:
        raise NodeAwayError(call_id) from None


def _over(call_id: str) -> ProblemError:
    return ProblemError(Problem(409, f"Call {call_id} cannot be modified in its current state"))
