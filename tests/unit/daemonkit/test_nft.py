from __future__ import annotations

import pytest

from daemonkit import nft


def test_a_program_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nft, "_PATH", "/nowhere")
    assert nft.missing() == "the program nft (Debian's package nftables)"
    assert "nft" in nft.run_nft("list tables")
