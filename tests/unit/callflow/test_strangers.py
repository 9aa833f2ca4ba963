"""INVITEs of strangers at a running call flow: counted, logged, and no call."""

from __future__ import annotations

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from callflow.aio.phone import CallFailed, Phone
from sipproxy.headers.call_headers import SealFault
from tests.unit.callflow.harness import URI, running_callflow


async def test_a_phone_that_calls_past_the_proxy_is_refused(tmp_path: Path) -> None:
    with capture_logs() as lines:
        async with running_callflow(tmp_path) as harness:
            phone = Phone(proxy=harness.server.address)
            await phone.open()
            with pytest.raises(CallFailed) as failed:
                await phone.call(URI, username="", password="", timeout=10)
            await phone.close()
            samples = {
                sample.labels["reason"]: sample.value
                for family in harness.server._metrics._registry.collect()
                for sample in family.samples
                if sample.name == "sipuri_callflow_refused_invites_total"
            }
            assert (harness.records, harness.backend.requests, harness.server.load) == ([], [], 0)
    assert failed.value.status == 403
    assert samples == {fault.value: fault is SealFault.MISSING for fault in SealFault}
    (line,) = [line for line in lines if line["event"] == "invite_refused"]
    assert (line["log_level"], line["source"], line["reason"], line["refused"]) == ("warning", "127.0.0.1", "missing", 1)
