"""The vendor's Node SDK: a second client, with another HTTP stack."""

from __future__ import annotations

import base64

from pytest_django.live_server_helper import LiveServer

from tests.support.api import ApiCustomer
from tests.support.calls import AUDIO, end, place, record
from tests.support.node_sdk import drive


def test_it_reads_calls_and_recordings(live_server: LiveServer, customer: ApiCustomer) -> None:
    call = place(customer.account_id)
    end(call)
    end(place(customer.account_id, 2))
    recording_id = record(call)
    seen = drive("calls.mjs", f"{live_server.url}/api/v2", customer.account_id, call.call_id, customer.token)
    assert [found["callId"] for found in seen["calls"]] == [call.call_id]
    assert seen["link"].endswith('>; rel="next"')
    assert (seen["state"]["state"], seen["state"]["disconnectCause"]) == ("disconnected", "hangup")
    assert seen["recording"]["recordingId"] == recording_id
    assert seen["ofAccount"] == [seen["recording"]]
    assert base64.b64decode(seen["audio"]) == AUDIO
    assert seen["unknown"]["status"] == 404
    assert seen["unknown"]["data"]["description"] == "Call c-nobody not found"
    assert (seen["forbidden"]["status"], seen["forbidden"]["data"]["type"]) == (403, "authorization-error")
