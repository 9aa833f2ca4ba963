from __future__ import annotations

from sipproxy.sip.methods import ALLOW, Use, methods_for


def test_what_allow_names_is_what_a_dialog_serves() -> None:
    assert ALLOW == "INVITE, ACK, CANCEL, BYE, OPTIONS, PRACK, UPDATE, INFO, NOTIFY"
    assert methods_for(Use.DIALOG) | {"CANCEL"} == set(ALLOW.split(", "))


def test_offers_and_target_refreshes() -> None:
    assert methods_for(Use.OFFER) == {"INVITE", "PRACK", "UPDATE"}
    assert methods_for(Use.TARGET) == {"INVITE", "UPDATE"}
