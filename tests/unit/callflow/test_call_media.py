"""What a call's media side reports when it closes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from callflow.aio.call_media import CallMedia
from callflow.audio.agreement import Agreement, Codec
from callflow.audio.session import AudioSession
from callflow.secure.sdes import Crypto, Keys, Suite
from voiceapps.rules.reports import MediaReport

KEYS = Keys(Crypto(1, Suite.AES_CM_128_80, bytes(30)), Crypto(1, Suite.AES_CM_128_80, bytes(range(30))))


@pytest.mark.parametrize("keys", [KEYS, None])
def test_encrypted_audio_alone_is_reported_at_its_end(keys: Keys | None) -> None:
    records: list[MediaReport] = []
    services: Any = SimpleNamespace(
        config=SimpleNamespace(name="callflow-1"), metrics=SimpleNamespace(packets_refused=lambda _count: None), put_record=records.append
    )
    engine: Any = SimpleNamespace(facts=SimpleNamespace(call_id="c-1"))
    media = CallMedia(engine, services, lambda: None)
    media._session = AudioSession(Agreement(("127.0.0.1", 4000), Codec.PCMU, 0, None, keys=keys), ssrc=1, sequence=1, timestamp=0)
    media.close()
    media.close()
    assert [(record.call_id, record.node, record.figures.side) for record in records] == [("c-1", "callflow-1", "callflow")] * bool(keys)
